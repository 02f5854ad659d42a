//! Time, which the host passes in.

use std::ops::Add;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::decimal::decimal;

/// Milliseconds since an epoch of the host's choice.
///
/// The engine reads no clock: the host passes the time with every command. A time earlier than the
/// last one is allowed and never panics. Sums saturate at [`Timestamp::MAX`].
///
/// # Examples
/// ```
/// use disband::Timestamp;
/// use std::time::{Duration, SystemTime, UNIX_EPOCH};
///
/// let now = Timestamp(1_000);
/// assert_eq!(now + Duration::from_secs(2), Timestamp(3_000));
/// assert_eq!(now.after(500).since(now), 500);
/// assert_eq!("1000".parse(), Ok::<_, disband::ParseNumberError>(now));
///
/// // A server passes its clock, as milliseconds since 1970.
/// # #[allow(clippy::disallowed_methods)]
/// let now = Timestamp::from(SystemTime::now());
/// assert!(now > Timestamp::from(UNIX_EPOCH));
/// ```
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp(pub u64);

decimal!(Timestamp);

impl Timestamp {
    /// The largest time, some 584 million years after the epoch.
    pub const MAX: Timestamp = Timestamp(u64::MAX);

    /// The time `ms` milliseconds later, or [`Timestamp::MAX`]. [`Timestamp`] has an example.
    #[must_use]
    pub const fn after(self, ms: u64) -> Timestamp {
        Timestamp(self.0.saturating_add(ms))
    }

    /// Whether this time is less than `ms` milliseconds after `start`. It is exact even where
    /// `start` plus `ms` is past [`Timestamp::MAX`].
    pub(crate) const fn is_before(self, start: Timestamp, ms: u64) -> bool {
        self.0 < start.0 || self.since(start) < ms
    }

    /// Milliseconds from `earlier` to this time; zero if `earlier` is the later one. [`Timestamp`]
    /// has an example.
    #[must_use]
    pub const fn since(self, earlier: Timestamp) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The time that much after the epoch, rounded down to milliseconds. Saturates.
impl From<Duration> for Timestamp {
    fn from(since_epoch: Duration) -> Self {
        Timestamp(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Milliseconds since 1970 in UTC, rounded down. A time before 1970 is zero.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        time.duration_since(UNIX_EPOCH).unwrap_or_default().into()
    }
}

/// The duration is rounded down to milliseconds. Saturates.
impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, duration: Duration) -> Timestamp {
        self.after(Timestamp::from(duration).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_round_down_and_saturate() {
        assert_eq!(Timestamp::from(Duration::from_micros(1_999)), Timestamp(1));
        assert_eq!(Timestamp::from(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp(7) + Duration::MAX, Timestamp::MAX);
        assert_eq!(Timestamp::from(UNIX_EPOCH - Duration::from_secs(1)), Timestamp(0));
        assert_eq!(Timestamp::from(UNIX_EPOCH + Duration::from_secs(1)), Timestamp(1_000));
    }
}
