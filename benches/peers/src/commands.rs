//! Single commands in a group of a million, and a walk over it.

use std::collections::BTreeSet;
use std::time::Duration;

use disband::Event;
use indicatif::ProgressBar;

use crate::clock::{Clock, median};
use crate::ours::Ours;
use crate::peer::{Peer, Step};
use crate::script;

const GROUP: u64 = 1;
const OWNER: u64 = 0;

/// How long each took: medians.
#[derive(Debug, Clone)]
pub struct Commands {
    pub peer: &'static str,
    pub leave: Duration,
    pub join: Duration,
    pub kick: Duration,
    pub post: Duration,
}

/// The members, in an order in which neighbours are far from each other.
fn scattered(members: u64) -> impl Iterator<Item = u64> + Clone {
    // Odd, and prime to every power of ten: it goes round all of them.
    const STRIDE: u64 = 618_033;
    (0..members).map(move |nth| nth.wrapping_mul(STRIDE) % members)
}

/// Measures `times` of each command in a group of `members`.
pub fn measure<P: Peer>(
    mut peer: P,
    members: u64,
    times: usize,
    clock: Clock,
    bar: &ProgressBar,
) -> Commands {
    peer.fill(&mut script::group(GROUP, scattered(members), 0));
    let some = || scattered(members).skip(1).step_by(3).take(times);
    let mut median_of = |command: &dyn Fn(u64) -> Step| {
        let each = some().map(|user| {
            peer.prepare();
            let (took, output) = clock.time(&mut peer, command(user));
            assert!(P::answer(&output).is_ok(), "{}: {:?}", P::NAME, command(user));
            took
        });
        median(each.collect())
    };
    let join = |user| Step::Join { user, group: GROUP };
    let measured = Commands {
        peer: P::NAME,
        post: median_of(&|author| Step::Post { author, group: GROUP }),
        leave: median_of(&|user| Step::Leave { user, group: GROUP }),
        join: median_of(&join),
        kick: {
            let kick = median_of(&|user| Step::Kick { by: OWNER, group: GROUP, user });
            median_of(&join);
            kick
        },
    };
    bar.inc(1);
    measured
}

/// A walk over the recipients of a signal, beside one over a `BTreeSet` of the same ids, which were
/// added in the same order.
#[derive(Debug, Clone, Copy)]
pub struct Walk {
    pub ours: Duration,
    pub set: Duration,
}

/// Each the median of `times` walks, in turns.
#[must_use]
pub fn walk(members: u64, times: usize, clock: Clock) -> Walk {
    let mut ours = Ours::default();
    ours.fill(&mut script::group(GROUP, scattered(members), 0));
    let mut set = BTreeSet::new();
    // One by one: collecting them would sort them first, and lay them out side by side.
    for user in scattered(members).skip(1) {
        set.insert(user);
    }
    let posted = ours.run(Step::Post { author: OWNER, group: GROUP }).expect("a member posts");
    let [signal] = &posted.signals[..] else { unreachable!("a post is one signal") };
    assert!(matches!(signal.event, Event::MessagePost { .. }) && signal.audience.iter().eq(&set));

    let sum = |(took, sum): (Duration, u64)| {
        assert_eq!(sum, set.iter().sum());
        took
    };
    let walks: (Vec<_>, Vec<_>) = (0..times)
        .map(|_| {
            (
                sum(clock.time_of(|| signal.audience.iter().sum())),
                sum(clock.time_of(|| set.iter().sum())),
            )
        })
        .unzip();
    Walk { ours: median(walks.0), set: median(walks.1) }
}
