//! An owner leaves a group of n members with n messages: ours beside the hand-written way.
//!
//! Ours is measured as sole owner of the state, and with a snapshot alive. In the background lives
//! a group of a million, at every size: so what is compared is the size of the group that is
//! dissolved, and not that of all the memory around it. Before each dissolution some groups of forty
//! come and go, for filling a large group empties the processor's caches of all that ending it
//! needs; then the group gets one more message, as a group that is in use does. So what is measured
//! is a leave in an engine at work, its share of the sweep included.
//!
//! Each dissolution needs a group of its own, and filling one with a million takes a second or two:
//! so iterations are few, and each is timed by itself.

mod handwritten;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use disband::{Config, Engine, GroupId, Quotas, Timestamp, UserId};

use handwritten::Handwritten;

const OWNER: u64 = 0;
const GROUP: u64 = 1;
const BACKGROUND: u64 = 2;
const BACKGROUND_MEMBERS: u64 = 1_000_000;
/// The groups that come and go, and how large they are: as trees, like the large ones.
const OTHERS: std::ops::Range<u64> = 100..150;
const OTHERS_MEMBERS: u64 = 40;
const NOW: Timestamp = Timestamp(1_000);

/// What both engines can do.
trait Groups: Clone {
    type Left;
    fn create(&mut self, group: u64);
    fn join(&mut self, user: u64, group: u64);
    fn post(&mut self, author: u64, group: u64);
    fn leave(&mut self, user: u64, group: u64) -> Self::Left;
    /// What the engine put off.
    fn catch_up(&mut self) {}

    fn fill(&mut self, group: u64, members: u64) {
        self.create(group);
        for user in 1..members {
            self.join(user, group);
        }
        for author in 0..members {
            self.post(author, group);
        }
    }
}

impl Groups for Engine {
    type Left = disband::Outcome<disband::Departure<UserId>, UserId, GroupId>;

    fn create(&mut self, group: u64) {
        let _ = Engine::create(self, UserId(OWNER), GroupId(group), NOW).unwrap();
    }

    fn join(&mut self, user: u64, group: u64) {
        let _ = Engine::join(self, UserId(user), GroupId(group), NOW).unwrap();
    }

    fn post(&mut self, author: u64, group: u64) {
        let _ = Engine::post(self, UserId(author), GroupId(group), "hello", NOW).unwrap();
    }

    fn leave(&mut self, user: u64, group: u64) -> Self::Left {
        Engine::leave(self, UserId(user), GroupId(group), NOW).unwrap()
    }

    fn catch_up(&mut self) {
        self.sweep(usize::MAX);
    }
}

impl Groups for Handwritten {
    type Left = Vec<handwritten::Signal>;

    fn create(&mut self, group: u64) {
        Handwritten::create(self, OWNER, group).unwrap();
    }

    fn join(&mut self, user: u64, group: u64) {
        self.join_silently(user, group).unwrap();
    }

    fn post(&mut self, author: u64, group: u64) {
        self.post_silently(author, group, "hello", NOW.0).unwrap();
    }

    fn leave(&mut self, user: u64, group: u64) -> Self::Left {
        Handwritten::leave(self, user, group).unwrap()
    }
}

/// One piece of code for the groups that warm it and for the one that counts.
#[inline(never)]
#[allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn timed_leave<E: Groups>(engine: &mut E, group: u64) -> (Duration, E::Left) {
    let start = Instant::now();
    let left = black_box(engine.leave(black_box(OWNER), black_box(group)));
    (start.elapsed(), left)
}

/// The time of `iterations` dissolutions of a group of `members`, and nothing else.
fn dissolve<E: Groups>(engine: &mut E, members: u64, snapshot: bool, iterations: u64) -> Duration {
    let mut time = Duration::ZERO;
    for _ in 0..iterations {
        engine.fill(GROUP, members);
        for other in OTHERS {
            engine.fill(other, OTHERS_MEMBERS);
            drop(timed_leave(engine, other));
        }
        engine.post(OWNER, GROUP);
        let snapshot = snapshot.then(|| engine.clone());

        let (took, left) = timed_leave(engine, GROUP);
        time += took;
        drop((snapshot, left));
        engine.catch_up();
    }
    time
}

fn background<E: Groups>(mut engine: E) -> E {
    engine.fill(BACKGROUND, BACKGROUND_MEMBERS);
    engine
}

fn dissolution(criterion: &mut Criterion) {
    // The groups that come and go must not leave tombstones, or they could not come again.
    let config = Config { quotas: Quotas::UNLIMITED, tombstone_ms: 0, ..Config::default() };
    let mut ours = background(Engine::new(config));
    let mut theirs = background(Handwritten::default());

    let mut group = criterion.benchmark_group("dissolution");
    group.sampling_mode(SamplingMode::Flat).warm_up_time(Duration::from_nanos(1));
    for members in [10, 1_000, 100_000, 1_000_000] {
        // Criterion plans by the time it is told, which leaves out the filling: the time asked for
        // is such that some ten to a hundred groups are filled.
        group.sample_size(if members < 100_000 { 100 } else { 10 });
        group.measurement_time(Duration::from_nanos(10));
        let mut bench = |name: &str, time: &mut dyn FnMut(u64) -> Duration| {
            group.bench_function(BenchmarkId::new(name, members), |bencher| {
                bencher.iter_custom(&mut *time);
            });
        };
        bench("ours, sole owner", &mut |n| dissolve(&mut ours, members, false, n));
        bench("ours, snapshot alive", &mut |n| dissolve(&mut ours, members, true, n));
        bench("handwritten", &mut |n| dissolve(&mut theirs, members, false, n));
    }
    group.finish();
}

criterion_group!(benches, dissolution);
criterion_main!(benches);
