//! Single commands in a group of a million, and a walk over it.

use std::collections::BTreeSet;
use std::time::Duration;

use disband::Event;
use indicatif::ProgressBar;

use crate::clock::{Clock, median};
use crate::ours::Ours;
use crate::peer::{Peer, Step};
use crate::rows::Measure;
use crate::script;

const GROUP: u64 = 1;
const OWNER: u64 = 0;

/// The owner kicks everybody, and the default quotas give one user a kick each 250 ms.
const MS_BETWEEN_KICKS: u64 = 250;

/// How long each took: medians.
#[derive(Debug, Clone)]
pub struct Commands {
    pub leave: Duration,
    pub join: Duration,
    pub kick: Duration,
    pub post: Duration,
}

impl Commands {
    /// The times in the order of the table.
    #[must_use]
    pub const fn each(&self) -> [(&'static str, Duration); 4] {
        [("leave", self.leave), ("join", self.join), ("kick", self.kick), ("post", self.post)]
    }
}

/// The members, in an order in which neighbours are far from each other.
fn scattered(members: u64) -> impl Iterator<Item = u64> + Clone {
    // Odd, and prime to every power of ten: it goes round all of them.
    const STRIDE: u64 = 618_033;
    (0..members).map(move |nth| nth.wrapping_mul(STRIDE) % members)
}

/// Measures `times` of each command in a group of `members`.
#[derive(Debug)]
pub struct SingleCommands<'a> {
    pub members: u64,
    pub times: u64,
    pub clock: Clock,
    pub bar: &'a ProgressBar,
}

impl Measure for SingleCommands<'_> {
    type Figures = Commands;

    fn of<P: Peer>(&self, mut peer: P) -> Commands {
        peer.fill(&mut script::group(GROUP, scattered(self.members), 0));
        let times = usize::try_from((self.times / peer.one_in()).max(1)).expect("few enough");
        let some = || scattered(self.members).skip(1).step_by(3).take(times);
        let mut median_of = |pause_ms, command: &dyn Fn(u64) -> Step| {
            let each = some().map(|user| {
                peer.wait(pause_ms);
                peer.snapshot();
                let (took, output) = self.clock.time(&mut peer, command(user));
                let answer = P::answer(&output);
                assert!(answer.is_ok(), "{:?}: {answer:?}", command(user));
                drop(peer.keep(output));
                took
            });
            median(each.collect())
        };
        let kick = |user| Step::Kick { by: OWNER, group: GROUP, user };
        let join = |user| Step::Join { user, group: GROUP };
        let measured = Commands {
            post: median_of(0, &|author| Step::Post { author, group: GROUP }),
            leave: median_of(0, &|user| Step::Leave { user, group: GROUP }),
            join: median_of(0, &join),
            kick: median_of(MS_BETWEEN_KICKS, &kick),
        };
        self.bar.inc(1);
        measured
    }
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
