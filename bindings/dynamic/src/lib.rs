//! disband for other languages: the type of the ids is chosen at run time, and commands, results and
//! reads are data. The bindings for C, Python and JavaScript are built on this crate.
//!
//! ```
//! use disband::{Config, Timestamp};
//! use disband_dynamic::{AnyEngine, Format::Json, Ids};
//!
//! let mut engine = AnyEngine::new(Ids::Numbers, Config::default());
//! let create = br#"{"create":{"owner":"1","group":"7"}}"#;
//! assert_eq!(engine.apply(create, Json, Timestamp(1_000))?.code(), 200);
//!
//! let join = br#"{"join":{"user":"2","group":"7"}}"#;
//! let joined = engine.apply(join, Json, Timestamp(1_000))?;
//! let text = String::from_utf8(Json.encode(&joined)?)?;
//! assert!(text.starts_with(r#"{"done":{"reply":{"joined":2},"signals":[{"key":"#), "{text}");
//! assert_eq!(joined.audience(0).unwrap().len(), 1);
//!
//! let groups = engine.read(br#"{"groups_of":{"user":"2"}}"#, Json)?;
//! assert_eq!(Json.encode(&groups)?, br#"[{"group":"7","stint":2}]"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(missing_docs)]

mod audience;
mod dissolved;
mod engine;
mod format;
mod ids;
mod outcome;
mod query;
mod view;

pub use audience::{AnyAudience, Users};
pub use dissolved::AnyDissolved;
pub use engine::{AnyEngine, ForgottenAny};
pub use format::{Format, FormatError};
pub use ids::{Ids, Text};
pub use outcome::{AnyOutcome, Kept, KeptResult};
pub use query::Query;
pub use view::{
    EntryView, GroupView, MemberView, MembershipView, RefusedView, SanctionView, SignalView,
    StandingView,
};
