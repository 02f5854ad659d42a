//! Verification of every invariant of an engine.

use crate::engine::Engine;
use crate::group::Group;
use crate::id::{Id, Stint};

/// An invariant that does not hold. In a snapshot it means that the data is damaged or was tampered
/// with; in a running engine it is a bug of this crate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Violation<U, G> {
    /// A group's owner is not among its members.
    #[error("the owner of {group:?} is not a member of it")]
    OwnerNotMember {
        /// The group.
        group: G,
    },
    /// A membership has a stint that the engine has not given out, or that another membership has.
    #[error("the stint of {user:?} in {group:?} was never given out, or is used twice")]
    Stint {
        /// The group.
        group: G,
        /// The member.
        user: U,
    },
    /// A group remembers too many departures, or two of one user.
    #[error("{group:?} remembers too many departures, or two of one user")]
    Departures {
        /// The group.
        group: G,
    },
    /// An admin is not a member with that stint, or is the owner; or the staff are not the owner and
    /// the admins.
    #[error("the admins or the staff of {group:?} are wrong")]
    Admins {
        /// The group.
        group: G,
    },
    /// A member is banned, or the order in which bans are cleaned does not match the bans.
    #[error("a member of {group:?} is banned, or the order of its bans is wrong")]
    Bans {
        /// The group.
        group: G,
    },
    /// The order in which mutes are cleaned does not match the mutes.
    #[error("the order of the mutes of {group:?} is wrong")]
    Mutes {
        /// The group.
        group: G,
    },
    /// A group's log is out of order, its bytes are counted wrong, or an erased entry has a text.
    #[error("the log of {group:?} is out of order")]
    Log {
        /// The group.
        group: G,
    },
    /// There is a group and a tombstone with the same id.
    #[error("there is a group {group:?} and a tombstone of it")]
    TombstoneOfGroup {
        /// The group.
        group: G,
    },
    /// A membership is missing from the index.
    #[error("the membership of {user:?} in {group:?} is missing from the index")]
    NotIndexed {
        /// The group.
        group: G,
        /// The member.
        user: U,
    },
    /// The index has wrong counts, or entries that are neither memberships nor stale.
    #[error("the index has wrong counts")]
    Index,
    /// The order in which tombstones are cleaned does not match the tombstones.
    #[error("the order of the tombstones is wrong")]
    Tombstones,
    /// The order in which rate cells are evicted does not match the cells, or there are cells of an
    /// operation without a limit.
    #[error("the order of the rate cells is wrong")]
    Cells,
    /// The entries of all logs, or the bytes of their messages, are counted wrong.
    #[error("the log entries or their bytes are counted wrong")]
    Entries,
    /// The map of a group's members, admins or staff is out of order.
    #[error("the map of the members, admins or staff of {group:?} is out of order")]
    Members {
        /// The group.
        group: G,
    },
    /// The map of all groups is out of order.
    #[error("the map of all groups is out of order")]
    Groups,
}

impl<U: Id, G: Id> Engine<U, G> {
    /// Verifies every invariant of the engine: for tests. No command calls it, because it walks the
    /// whole state: O(s log s) for s memberships, entries, bans, mutes, tombstones and rate cells.
    ///
    /// # Errors
    /// The first violation found, which is a bug in this crate.
    ///
    /// # Examples
    /// ```
    /// let mut engine = disband::Engine::<u64, u64>::default();
    /// engine.create(1, 7, disband::Timestamp(0)).unwrap().ignore_signals();
    /// assert_eq!(engine.check(), Ok(()));
    /// ```
    pub fn check(&self) -> Result<(), Violation<U, G>> {
        let (state, limiter) = self.parts();
        if !state.groups.is_sound() {
            return Err(Violation::Groups);
        }
        // Ids are cloned, because sorting references would miss the cache with each comparison.
        let mut memberships: Vec<(U, Stint, &G)> = Vec::new();
        for (id, group) in state.groups.iter() {
            check_group(id, group, state.next_stint)?;
            if state.tombstones.contains(id) {
                return Err(Violation::TombstoneOfGroup { group: id.clone() });
            }
            memberships.extend(group.members().map(|(user, stint)| (user.clone(), stint, id)));
        }
        let mut stints: Vec<Stint> = memberships.iter().map(|(_, stint, _)| *stint).collect();
        stints.sort_unstable();
        let twice = stints.iter().zip(stints.iter().skip(1)).find(|(a, b)| a == b);
        let of_twice = twice.and_then(|(twice, _)| memberships.iter().rfind(|one| one.1 == *twice));
        if let Some((user, _, id)) = of_twice {
            return Err(Violation::Stint { group: (*id).clone(), user: user.clone() });
        }
        memberships.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(&b.1)));
        let (mut index, mut live) = (state.directory.live(), 0_u64);
        let mut next = || {
            live = live.saturating_add(1);
            index.next()
        };
        for (user, stint, id) in &memberships {
            // An entry that is skipped here is not a membership; the count below finds it.
            let entry = std::iter::from_fn(&mut next).find(|(u, s, _)| (*u, *s) >= (user, *stint));
            if entry != Some((user, *stint, *id)) {
                return Err(Violation::NotIndexed { group: (*id).clone(), user: user.clone() });
            }
        }
        live = live.saturating_add(index.count() as u64);
        if live != memberships.len() as u64 || !state.directory.is_sound(live) {
            return Err(Violation::Index);
        }
        if !state.tombstones.is_sound() {
            return Err(Violation::Tombstones);
        }
        if !limiter.is_sound(&state.config.quotas) {
            return Err(Violation::Cells);
        }
        let sum = |of: fn(&Group<U>) -> u64| {
            state.groups.iter().map(|(_, group)| of(group)).fold(0, u64::saturating_add)
        };
        let counted = (sum(Group::log_len), sum(|group| group.log().bytes()));
        if counted != (state.entries, state.message_bytes) {
            return Err(Violation::Entries);
        }
        Ok(())
    }
}

fn check_group<U: Id, G: Id>(
    id: &G,
    group: &Group<U>,
    next_stint: Stint,
) -> Result<(), Violation<U, G>> {
    if !group.is_in_order() {
        return Err(Violation::Members { group: id.clone() });
    }
    if !group.contains(group.owner()) {
        return Err(Violation::OwnerNotMember { group: id.clone() });
    }
    if let Some((user, _)) = group.members().find(|(_, stint)| *stint >= next_stint) {
        return Err(Violation::Stint { group: id.clone(), user: user.clone() });
    }
    let mut departed: Vec<&U> = group.departures().iter().map(|past| &past.user).collect();
    departed.sort_unstable();
    departed.dedup();
    // The configuration may have been lowered since; no configuration allows more than this.
    let most = usize::from(u8::MAX);
    if departed.len() != group.departures().len() || departed.len() > most {
        return Err(Violation::Departures { group: id.clone() });
    }
    if !group.has_its_staff() {
        return Err(Violation::Admins { group: id.clone() });
    }
    let mut banned = group.all_bans().all().map(|(user, _)| user);
    if !group.all_bans().is_sound() || banned.any(|user| group.contains(user)) {
        return Err(Violation::Bans { group: id.clone() });
    }
    if !group.all_mutes().is_sound() {
        return Err(Violation::Mutes { group: id.clone() });
    }
    if !group.log().is_consistent(next_stint) {
        return Err(Violation::Log { group: id.clone() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;
    use crate::time::Timestamp;

    fn insert(state: &mut State<u8, u8>, stint: Stint, group: u8) {
        state.directory.insert(state.directory.find(&2), 2, stint, group);
    }

    /// A snapshot cannot contain this fault, because it does not contain the index.
    #[test]
    fn check_finds_an_index_entry_without_a_membership() {
        let mut engine = Engine::<u8, u8>::default();
        engine.create(1, 7, Timestamp(1)).unwrap().ignore_signals();
        let (state, limiter) = engine.parts();
        let (mut state, limiter) = (state.clone(), limiter.clone());
        insert(&mut state, Stint(9), 7);
        let counted = Engine::from_parts(state.clone(), limiter.clone());
        assert_eq!(counted.check(), Err(Violation::Index));
        state.directory.remove(&2, Stint(9));
        assert_eq!(Engine::from_parts(state.clone(), limiter.clone()).check(), Ok(()));
        state.entries = 1;
        assert_eq!(Engine::from_parts(state, limiter).check(), Err(Violation::Entries));
    }

    #[test]
    fn check_finds_a_membership_that_is_missing_from_the_index() {
        let mut engine = Engine::<u8, u8>::default();
        engine.create(1, 7, Timestamp(1)).unwrap().ignore_signals();
        let stint = engine.join(2, 7, Timestamp(1)).unwrap().value;
        let (state, limiter) = engine.parts();
        for group in [None, Some(8)] {
            let mut state = state.clone();
            state.directory.remove(&2, stint);
            insert(&mut state, Stint(stint.0 - 1), 7);
            if let Some(group) = group {
                insert(&mut state, stint, group);
            }
            let engine = Engine::from_parts(state, limiter.clone());
            assert_eq!(engine.check(), Err(Violation::NotIndexed { group: 7, user: 2 }));
        }
    }
}
