//! Measures single commands in a group of a million members, and walks (iterations) over an
//! audience: the users that a signal is for.

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

/// The owner does all kicks, and the default rate limits allow one user a kick each 250 ms.
const MS_BETWEEN_KICKS: u64 = 250;

/// The median time of each command.
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

/// The ids of all members. Successive ids are far apart.
fn scattered(members: u64) -> impl Iterator<Item = u64> + Clone {
    // Each id comes exactly once, because `members` is a power of ten and this number has no common
    // factor with one.
    const STRIDE: u64 = 618_033;
    (0..members).map(move |nth| nth.wrapping_mul(STRIDE) % members)
}

/// Measures each command `times` times in a group of `members`.
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
        let times = usize::try_from((self.times / peer.one_in()).max(1))
            .expect("the number fits in a usize");
        let users = || scattered(self.members).skip(1).step_by(3).take(times);
        let mut median_of = |pause_ms, command: &dyn Fn(u64) -> Step| {
            let each = users().map(|user| {
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

/// The time of a walk over the audience of a signal, and of a walk over a `BTreeSet` of the same
/// ids, inserted in the same order.
#[derive(Debug, Clone, Copy)]
pub struct Walk {
    pub ours: Duration,
    pub set: Duration,
}

/// Both times are the median of `times` walks. The two kinds of walks alternate.
#[must_use]
pub fn walk(members: u64, times: usize, clock: Clock) -> Walk {
    let mut ours = Ours::default();
    ours.fill(&mut script::group(GROUP, scattered(members), 0));
    let mut set = BTreeSet::new();
    // Inserted one by one. `collect` would sort the ids first and build the nodes in that order,
    // side by side in memory.
    for user in scattered(members).skip(1) {
        set.insert(user);
    }
    let posted = ours.run(Step::Post { author: OWNER, group: GROUP }).expect("a member can post");
    let [signal] = &posted.signals[..] else { unreachable!("a post is one signal") };
    assert!(matches!(signal.event, Event::MessagePost { .. }) && signal.audience.iter().eq(&set));

    let checked = |(took, sum): (Duration, u64)| {
        assert_eq!(sum, set.iter().sum());
        took
    };
    let walks: (Vec<_>, Vec<_>) = (0..times)
        .map(|_| {
            (
                checked(clock.time_of(|| signal.audience.iter().sum())),
                checked(clock.time_of(|| set.iter().sum())),
            )
        })
        .unzip();
    Walk { ours: median(walks.0), set: median(walks.1) }
}
