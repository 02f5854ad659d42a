//! Time, as the host tells it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds since an epoch of the host's choice.
///
/// The engine reads no clock: every command brings its time. A time that goes back is allowed and
/// never panics. Sums saturate at [`Timestamp::MAX`], which a host should not reach.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The end of time, some 584 million years after the epoch.
    pub const MAX: Timestamp = Timestamp(u64::MAX);

    /// The time `ms` milliseconds later, or [`Timestamp::MAX`].
    #[must_use]
    pub const fn after(self, ms: u64) -> Timestamp {
        Timestamp(self.0.saturating_add(ms))
    }

    /// Whether this lies before the time `ms` milliseconds after `start`, be that past
    /// [`Timestamp::MAX`] or not.
    pub(crate) const fn is_before(self, start: Timestamp, ms: u64) -> bool {
        self.0 < start.0 || self.since(start) < ms
    }

    /// Milliseconds from `earlier` to this; zero if `earlier` is the later one.
    #[must_use]
    pub const fn since(self, earlier: Timestamp) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
