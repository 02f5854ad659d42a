//! The one place that reads the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use disband::Timestamp;

/// Milliseconds since 1970. A clock that is set back is the engine's business, and no harm to it.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
