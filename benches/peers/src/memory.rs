//! What a membership takes, and an entry of a log.
//!
//! The memory that the operating system counts for a process, before and after, is the one figure
//! that is the same for all of them: it has the allocator's overhead in it, and what no allocator
//! of ours sees. So each case is measured in a process of its own.

use clap::ValueEnum;
use memory_stats::memory_stats;

use crate::peer::{Peer, Step};
use crate::script;

/// What is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// Groups of eight, their users in eight groups each.
    Small,
    /// The same, when each group remembers its last 16 departures.
    Departed,
    /// One group.
    Large,
    /// One log, its messages five bytes long.
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

    /// How many memberships or entries there are, if `groups` are made.
    #[must_use]
    pub const fn things(self, groups: u64) -> u64 {
        match self {
            Case::Small | Case::Departed => groups * 8,
            Case::Large | Case::Log => groups,
        }
    }

    fn steps(self, groups: u64) -> Box<dyn Iterator<Item = Step>> {
        match self {
            Case::Small => Box::new((0..groups).flat_map(move |id| eight(id, groups))),
            Case::Departed => Box::new((0..groups).flat_map(move |id| {
                let gone = (0..16).flat_map(move |nth| {
                    let user = groups + id + nth;
                    [Step::Join { user, group: id }, Step::Leave { user, group: id }]
                });
                eight(id, groups).chain(gone)
            })),
            Case::Large => Box::new(script::group(0, 0..groups, 0)),
            Case::Log => Box::new(script::group(0, 0..1, groups)),
        }
    }
}

/// A group of eight users far apart.
fn eight(id: u64, groups: u64) -> impl Iterator<Item = Step> {
    let users = (0..8).map(move |nth| (id + nth * (groups / 8).max(1)) % groups);
    script::group(id, users, 0)
}

/// Bytes for each of them, as the operating system counts.
pub fn resident<P: Peer>(peer: &mut P, case: Case, groups: u64) -> Option<f64> {
    let before = memory_stats()?.physical_mem;
    peer.fill(&mut case.steps(groups));
    let after = memory_stats()?.physical_mem;
    Some((after.saturating_sub(before)) as f64 / case.things(groups) as f64)
}

/// Bytes for each of them, as the peer itself counts.
pub fn counted<P: Peer>(
    peer: &mut P,
    case: Case,
    groups: u64,
    memory: impl Fn(&mut P) -> u64,
) -> f64 {
    let before = memory(peer);
    peer.fill(&mut case.steps(groups));
    memory(peer).saturating_sub(before) as f64 / case.things(groups) as f64
}
