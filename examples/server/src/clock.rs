//! The only module that reads the clock for the engine.

use std::time::{SystemTime, UNIX_EPOCH};

use disband::Timestamp;

/// Milliseconds since 1970. The clock may be set back: the engine accepts any time.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
