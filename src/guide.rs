#![doc = include_str!("../docs/guide.md")]

#[doc = include_str!("../docs/rules.md")]
pub mod rules {}

#[doc = include_str!("../docs/performance.md")]
pub mod performance {}

#[doc = include_str!("../docs/guarantees.md")]
pub mod guarantees {}

#[doc = include_str!("../docs/decisions.md")]
pub mod decisions {}

#[doc = include_str!("../docs/languages.md")]
pub mod languages {}

#[doc = include_str!("../docs/glossary.md")]
pub mod glossary {}
