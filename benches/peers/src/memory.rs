//! Measures the memory that a membership or a log entry takes.
//!
//! The figure is the growth of a process's memory, as the operating system counts it. It includes
//! the overhead of the allocator, and memory that does not come from Rust's allocator (SQLite's).
//! So it can be compared between peers. It counts a whole process, so each case runs in a process
//! of its own.
//!
//! Redis is a separate process, and reports its memory itself.

use clap::ValueEnum;
use memory_stats::memory_stats;

use crate::peer::{Peer, Step};
use crate::script;

/// What the peer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// Groups of eight members. Each user is in eight groups.
    Small,
    /// The same, after 16 departures (memberships that ended) from each group. Only disband
    /// remembers them.
    Departed,
    /// One large group.
    Large,
    /// One log of messages of five bytes.
    Log,
}

impl Case {
    pub const ALL: [Case; 4] = [Case::Small, Case::Departed, Case::Large, Case::Log];

    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Case::Small => "a membership, in groups of 8",
            Case::Departed => "the same, 16 departures remembered in each group",
            Case::Large => "a membership, in one group",
            Case::Log => "an entry of a log, the text (5 bytes) included",
        }
    }

    /// How many memberships or log entries the case has. `size` is the number of groups; for
    /// `Large` the number of members, and for `Log` the number of entries.
    #[must_use]
    pub const fn count(self, size: u64) -> u64 {
        match self {
            Case::Small | Case::Departed => size * 8,
            Case::Large | Case::Log => size,
        }
    }

    fn steps(self, size: u64) -> Box<dyn Iterator<Item = Step>> {
        match self {
            Case::Small => Box::new((0..size).flat_map(move |id| eight(id, size))),
            Case::Departed => Box::new((0..size).flat_map(move |id| {
                let departures = (0..16).flat_map(move |nth| {
                    let user = size + id + nth;
                    [Step::Join { user, group: id }, Step::Leave { user, group: id }]
                });
                eight(id, size).chain(departures)
            })),
            Case::Large => Box::new(script::group(0, 0..size, 0)),
            Case::Log => Box::new(script::group(0, 0..1, size)),
        }
    }
}

/// The steps that create a group of eight users whose ids are far apart.
fn eight(id: u64, groups: u64) -> impl Iterator<Item = Step> {
    let users = (0..8).map(move |nth| (id + nth * (groups / 8).max(1)) % groups);
    script::group(id, users, 0)
}

/// Bytes for each membership or log entry, as the operating system counts the memory of this
/// process.
pub fn resident<P: Peer>(peer: &mut P, case: Case, size: u64) -> Option<f64> {
    let before = memory_stats()?.physical_mem;
    peer.fill(&mut case.steps(size));
    let after = memory_stats()?.physical_mem;
    Some((after.saturating_sub(before)) as f64 / case.count(size) as f64)
}

/// Bytes for each membership or log entry, as the peer counts its memory itself.
pub fn counted<P: Peer>(
    peer: &mut P,
    case: Case,
    size: u64,
    memory: impl Fn(&mut P) -> u64,
) -> f64 {
    let before = memory(peer);
    peer.fill(&mut case.steps(size));
    memory(peer).saturating_sub(before) as f64 / case.count(size) as f64
}
