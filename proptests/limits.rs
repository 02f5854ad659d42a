//! Tests of the rate limit. It is compared with a token bucket in exact fractions, and is run under
//! clocks that jump and go back.
//!
//! A rate allows `burst` commands at once, and then `cells` commands in each `per_ms` milliseconds.
//! The window of a rate is the time in which an empty allowance refills. A cell is the stored state
//! of one rate limit.

use std::num::{NonZeroU32, NonZeroU64};

use disband::{Config, Engine, GroupId, Quota, Quotas, Rate, Refusal, Timestamp, UserId};
use proptest::prelude::*;

const ALICE: UserId = UserId(1);
const GROUP: GroupId = GroupId(1);

fn rates() -> impl Strategy<Value = Rate> {
    (1..8u32, 1..500u64, 1..6u32).prop_map(|(cells, per_ms, burst)| Rate {
        cells: NonZeroU32::new(cells).unwrap(),
        per_ms: NonZeroU64::new(per_ms).unwrap(),
        burst: NonZeroU32::new(burst).unwrap(),
    })
}

/// An engine with one group, in which only `leave` has a rate limit.
fn engine(rate: Rate) -> Engine {
    let quotas = Quotas { leave: Quota::Limited(rate), ..Quotas::UNLIMITED };
    let mut engine = Engine::new(Config { quotas, ..Config::default() });
    engine.create(UserId(0), GROUP, Timestamp(0)).unwrap().ignore_signals();
    engine
}

/// Sends a leave by a user who is not a member. The engine charges the rate limit, refuses the
/// command, and changes nothing else. If the command was too fast, returns when to try again.
fn attempt(engine: &mut Engine, now: u64) -> Result<(), u64> {
    match engine.leave(ALICE, GROUP, Timestamp(now)) {
        Err(Refusal::TooFast { retry_at }) => Err(retry_at.0),
        Err(Refusal::NotMember(_)) => Ok(()),
        other => panic!("{other:?}"),
    }
}

/// A token bucket. It counts in units of `1 / per_ms` of a token, so that each millisecond refills
/// exactly `cells` units.
struct Bucket {
    rate: Rate,
    tokens: u128,
    at: u64,
}

impl Bucket {
    fn full(rate: Rate) -> Self {
        let tokens = u128::from(rate.burst.get()) * u128::from(rate.per_ms.get());
        Bucket { rate, tokens, at: 0 }
    }

    fn attempt(&mut self, now: u64) -> bool {
        let refill = u128::from(now - self.at) * u128::from(self.rate.cells.get());
        let full = Bucket::full(self.rate).tokens;
        let tokens = (self.tokens + refill).min(full);
        let price = u128::from(self.rate.per_ms.get());
        if tokens < price {
            return false;
        }
        (self.tokens, self.at) = (tokens - price, now);
        true
    }
}

/// The window, rounded up to whole milliseconds.
fn window(rate: Rate) -> u64 {
    (u64::from(rate.burst.get()) * rate.per_ms.get()).div_ceil(u64::from(rate.cells.get()))
}

proptest! {
    #[test]
    fn the_rate_limit_admits_what_an_exact_token_bucket_admits(
        rate in rates(), ticks in prop::collection::vec(prop_oneof![0..3u64, 0..200u64], 1..100)
    ) {
        let (mut engine, mut bucket, mut now) = (engine(rate), Bucket::full(rate), 0);
        for tick in ticks {
            now += tick;
            prop_assert_eq!(attempt(&mut engine, now).is_ok(), bucket.attempt(now), "at {}", now);
        }
    }

    #[test]
    fn a_command_is_refused_before_retry_at_and_admitted_at_retry_at(
        rate in rates(), moves in prop::collection::vec(-2_000..2_000i64, 1..60)
    ) {
        let mut engine = engine(rate);
        let mut now: u64 = 1_000_000;
        for step in moves {
            now = now.saturating_add_signed(step);
            if let Err(retry_at) = attempt(&mut engine, now) {
                prop_assert!(retry_at > now);
                for early in [now, now.midpoint(retry_at), retry_at - 1] {
                    prop_assert_eq!(attempt(&mut engine.clone(), early), Err(retry_at));
                }
                prop_assert_eq!(attempt(&mut engine.clone(), retry_at), Ok(()));
            }
        }
    }

    #[test]
    fn a_clock_that_goes_back_by_up_to_a_window_admits_no_extra_commands(
        rate in rates(), back in 0.0..1.0f64, sends in 1..12u32
    ) {
        // Send some commands, put the clock back by up to a window, and send again: no more are
        // admitted than if the clock had stood still.
        let mut engine = engine(rate);
        let now = 1_000_000;
        let back = (window(rate) as f64 * back) as u64;
        let admitted = (0..sends).filter(|_| attempt(&mut engine, now).is_ok()).count() as u32;
        prop_assert_eq!(admitted, sends.min(rate.burst.get()));
        let left = rate.burst.get() - admitted;
        let later = (0..=left).filter(|_| attempt(&mut engine, now - back).is_ok()).count() as u32;
        prop_assert!(later <= left, "{} instead of {}", later, left);
    }

    #[test]
    fn after_a_clock_jumps_ahead_and_back_a_user_waits_at_most_a_window_and_one_command(
        rate in rates(), ahead in prop_oneof![0..10_000u64, 0..10_000_000u64], sends in 1..12u32
    ) {
        let mut engine = engine(rate);
        let now = 1_000_000;
        for _ in 0..sends {
            let _ = attempt(&mut engine, now + ahead);
        }
        let price = rate.per_ms.get().div_ceil(u64::from(rate.cells.get()));
        let wait = attempt(&mut engine, now).map_or_else(|retry_at| retry_at - now, |()| 0);
        prop_assert!(wait <= window(rate) + price, "a wait of {} ms", wait);
    }

    #[test]
    fn a_changed_quota_starts_full_and_an_unchanged_quota_keeps_its_cells(
        rate in rates(), other in rates(), sends in 1..12u32
    ) {
        let mut engine = engine(rate);
        let now = 1_000_000;
        for _ in 0..sends {
            let _ = attempt(&mut engine, now);
        }
        let expected = attempt(&mut engine.clone(), now);
        let set_quotas = |engine: &mut Engine, quotas| {
            let config = Config { quotas, ..*engine.config() };
            let _ = engine.set_config(config).unwrap();
        };
        let old = engine.config().quotas;
        set_quotas(&mut engine, Quotas { kick: Quota::Limited(other), ..old });
        prop_assert_eq!(attempt(&mut engine.clone(), now), expected, "same quota");

        let mut limited = engine.clone();
        set_quotas(&mut limited, Quotas { leave: Quota::Limited(other), ..old });
        let full = if other == rate { expected } else { Ok(()) };
        prop_assert_eq!(attempt(&mut limited, now), full);

        // Without a limit nothing is charged, so the allowance is full when the limit is set again.
        set_quotas(&mut engine, Quotas { leave: Quota::Unlimited, ..old });
        for _ in 0..sends {
            prop_assert_eq!(attempt(&mut engine, now), Ok(()));
        }
        set_quotas(&mut engine, old);
        let admitted = (0..sends).filter(|_| attempt(&mut engine, now).is_ok()).count() as u32;
        prop_assert_eq!(admitted, sends.min(rate.burst.get()));
    }

    #[test]
    fn there_are_never_more_cells_than_commands_in_two_windows(
        rate in rates(), ticks in prop::collection::vec((0..300u64, 0..40u64), 1..300)
    ) {
        let mut engine = engine(rate);
        let (mut now, mut charged, mut most) = (0, Vec::new(), 0);
        for (tick, user) in ticks {
            now += tick;
            let result = engine.leave(UserId(user + 1), GROUP, Timestamp(now));
            if !matches!(result, Err(Refusal::TooFast { .. })) {
                charged.push(now);
            }
            let recent = charged.iter().filter(|at| *at + 2 * window(rate) > now).count();
            most = most.max(recent as u64);
            prop_assert!(engine.stats().cells <= most);
        }
    }
}
