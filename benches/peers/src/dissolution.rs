//! An owner leaves a group of n members with n messages.
//!
//! At every size a group of a million lives beside it: what is compared is the size of the group that
//! is dissolved, and not that of all the memory around it. Before each dissolution groups of forty
//! come and go, for filling a large group empties the processor's caches of all that ending it needs;
//! then the group gets one more message, as a group that is in use does.

use std::time::Duration;

use indicatif::ProgressBar;

use crate::clock::{Clock, median};
use crate::peer::{Peer, Step};
use crate::script;

const BACKGROUND: u64 = 1;
const OTHERS: usize = 50;
const OTHERS_MEMBERS: u64 = 40;
const OWNER: u64 = 0;

/// How long it took, each the median of some.
#[derive(Debug, Clone)]
pub struct Dissolutions {
    pub peer: &'static str,
    pub by_members: Vec<(u64, Duration)>,
}

/// Ten, and ten times that, up to `largest`.
pub fn sizes(largest: u64) -> impl Iterator<Item = u64> + Clone {
    std::iter::successors(Some(10), |size| Some(size * 10)).take_while(move |size| *size <= largest)
}

/// Many of the small, which are over soon and vary; a few of the large.
fn samples(members: u64) -> u64 {
    (1_000_000 / members).clamp(3, 101)
}

/// How many dissolutions that is.
#[must_use]
pub fn work(largest: u64) -> u64 {
    sizes(largest).map(samples).sum()
}

/// Measures them all, in an engine where nothing is yet.
pub fn measure<P: Peer>(
    mut peer: P,
    largest: u64,
    clock: Clock,
    bar: &ProgressBar,
) -> Dissolutions {
    peer.fill(&mut script::group(BACKGROUND, 0..largest, 0));
    // Ids are not used again: the engines remember what they dissolved.
    let mut ids = BACKGROUND + 1..;
    let mut by_members = Vec::new();
    for members in sizes(largest) {
        let mut times = Vec::new();
        for _ in 0..samples(members) {
            let group = ids.next().expect("another id");
            peer.fill(&mut script::group(group, 0..members, members));
            for other in ids.by_ref().take(OTHERS) {
                peer.fill(&mut script::group(other, 0..OTHERS_MEMBERS, OTHERS_MEMBERS));
                drop(clock.time(&mut peer, Step::Leave { user: OWNER, group: other }));
            }
            drop(peer.run(Step::Post { author: OWNER, group }));
            peer.prepare();
            let (took, output) = clock.time(&mut peer, Step::Leave { user: OWNER, group });
            assert_eq!(P::gone(&output).len() as u64, members, "all of them are gone");
            times.push(took);
            drop(output);
            peer.catch_up();
            bar.inc(1);
        }
        by_members.push((members, median(times)));
    }
    Dissolutions { peer: P::NAME, by_members }
}
