//! The owner leaves a group of n members with n messages, which dissolves the group.
//!
//! For each n the peer also has a group of a million members. So the results depend on the size of
//! the dissolved group, not on the size of the whole memory. Filling a large group pushes the data
//! that a dissolution needs out of the processor's caches. So some groups of 40 members are created
//! and dissolved first, and then one more message is posted in the group to dissolve.

use std::time::Duration;

use indicatif::ProgressBar;

use crate::clock::{Clock, median};
use crate::peer::{Peer, Step};
use crate::rows::Measure;
use crate::script;

/// The group of a million members, or fewer in a quick run.
const BACKGROUND: u64 = 1;
/// How many groups are created and dissolved before each measurement.
const OTHERS: usize = 50;
const OTHERS_MEMBERS: u64 = 40;
const OWNER: u64 = 0;

/// One user creates all groups, and the default rate limits allow one user a creation each 10 s.
const MS_BETWEEN_CREATIONS: u64 = 10_000;

/// The median time of a dissolution, for each number of members.
#[derive(Debug, Clone)]
pub struct Dissolutions {
    pub by_members: Vec<(u64, Duration)>,
}

/// The numbers of members: 10, 100, 1,000 … up to `largest`.
pub fn sizes(largest: u64) -> impl Iterator<Item = u64> + Clone {
    std::iter::successors(Some(10), |size| Some(size * 10)).take_while(move |size| *size <= largest)
}

/// How many dissolutions of groups of this size are measured. Small groups are fast to fill, and
/// their times vary, so there are more of them.
fn samples(members: u64) -> u64 {
    (1_000_000 / members).clamp(3, 101)
}

/// The number of all measured dissolutions.
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
        // Each group needs a new id: the peers remember dissolved groups and refuse their ids.
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
                assert_eq!(
                    P::dissolved_members(&output).len() as u64,
                    members,
                    "all memberships end"
                );
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
