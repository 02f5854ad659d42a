//! Notices when the wall clock is set.

use disband::Timestamp;
use tokio::time::Instant;

/// A smaller difference is not reported: clocks are corrected by small amounts all the time.
const REPORTED_MS: u64 = 2_000;

/// Compares the wall clock with the time that has passed.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    wall: Timestamp,
    at: Instant,
}

/// By how many milliseconds a clock was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Forward(u64),
    Back(u64),
}

impl ClockWatch {
    /// Begins to watch. `wall` is what the wall clock shows at `at`.
    pub(crate) fn new(wall: Timestamp, at: Instant) -> ClockWatch {
        ClockWatch { wall, at }
    }

    /// Whether the clock was set by more than two seconds since the last call.
    pub(crate) fn look(&mut self, wall: Timestamp, at: Instant) -> Option<Step> {
        let passed = u64::try_from(at.duration_since(self.at).as_millis()).unwrap_or(u64::MAX);
        let expected = Timestamp(self.wall.0.saturating_add(passed));
        *self = ClockWatch { wall, at };
        let (forward, back) = (wall.since(expected), expected.since(wall));
        match forward.max(back) {
            0..=REPORTED_MS => None,
            step if forward > 0 => Some(Step::Forward(step)),
            step => Some(Step::Back(step)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_step_of_more_than_two_seconds_is_reported_once() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut watch = ClockWatch::new(Timestamp(1_000_000), at(0));
        assert_eq!(watch.look(Timestamp(1_060_000), at(60)), None);
        assert_eq!(watch.look(Timestamp(1_063_000), at(61)), None, "two seconds");
        assert_eq!(watch.look(Timestamp(1_066_001), at(62)), Some(Step::Forward(2_001)));
        assert_eq!(watch.look(Timestamp(1_067_001), at(63)), None);
        assert_eq!(watch.look(Timestamp(5), at(64)), Some(Step::Back(1_067_996)));
        assert_eq!(watch.look(Timestamp(1_005), at(65)), None);
    }
}
