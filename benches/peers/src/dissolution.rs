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
use crate::rows::Measure;
use crate::script;

const BACKGROUND: u64 = 1;
const OTHERS: usize = 50;
const OTHERS_MEMBERS: u64 = 40;
const OWNER: u64 = 0;

/// One user creates all groups, and the default quotas give one user a creation each ten seconds.
const MS_BETWEEN_CREATIONS: u64 = 10_000;

/// How long it took, each the median of some.
#[derive(Debug, Clone)]
pub struct Dissolutions {
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

/// Measures dissolutions of all sizes up to `largest`.
#[derive(Debug)]
pub struct AllSizes<'a> {
    pub largest: u64,
    pub clock: Clock,
    pub bar: &'a ProgressBar,
}

impl Measure for AllSizes<'_> {
    type Figures = Dissolutions;

    fn of<P: Peer>(&self, mut peer: P) -> Dissolutions {
        fill(&mut peer, BACKGROUND, self.largest, 0);
        // Ids are not used again: the engines remember what they dissolved.
        let mut ids = BACKGROUND + 1..;
        let mut by_members = Vec::new();
        for members in sizes(self.largest) {
            let mut times = Vec::new();
            for _ in 0..samples(members) {
                let group = ids.next().expect("another id");
                fill(&mut peer, group, members, members);
                for other in ids.by_ref().take(OTHERS) {
                    fill(&mut peer, other, OTHERS_MEMBERS, OTHERS_MEMBERS);
                    let leave = Step::Leave { user: OWNER, group: other };
                    let (_, output) = self.clock.time(&mut peer, leave);
                    drop(peer.keep(output));
                }
                let output = peer.run(Step::Post { author: OWNER, group });
                drop(peer.keep(output));
                peer.snapshot();
                let leave = Step::Leave { user: OWNER, group };
                let (took, output) = self.clock.time(&mut peer, leave);
                assert_eq!(P::gone(&output).len() as u64, members, "all of them are gone");
                times.push(took);
                drop(peer.keep(output));
                peer.catch_up();
                self.bar.inc(1);
            }
            by_members.push((members, median(times)));
        }
        Dissolutions { by_members }
    }
}

fn fill<P: Peer>(peer: &mut P, group: u64, members: u64, messages: u64) {
    peer.wait(MS_BETWEEN_CREATIONS);
    peer.fill(&mut script::group(group, 0..members, messages));
}
