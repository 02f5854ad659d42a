//! Every invariant of the state, in one function.

use crate::engine::Engine;
use crate::group::Group;
use crate::id::{Id, Stint};

/// An invariant that does not hold: a bug, or a state that was tampered with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation<U, G> {
    /// A group's owner is not among its members.
    #[error("the owner of {group:?} is not a member of it")]
    OwnerNotMember {
        /// The group.
        group: G,
    },
    /// A membership's stint was not handed out yet, or twice.
    #[error("the stint of {user:?} in {group:?} is not a stint of their own")]
    Stint {
        /// The group.
        group: G,
        /// The member.
        user: U,
    },
    /// A group remembers more departures than it may, or two of one user.
    #[error("the departures of {group:?} are too many, or not one per user")]
    Departures {
        /// The group.
        group: G,
    },
    /// An admin is not a member, or not under that stint, or the owner; or the staff differs from the
    /// owner and the admins.
    #[error("an admin of {group:?} is no member of it under that stint, or its owner")]
    Admins {
        /// The group.
        group: G,
    },
    /// A member is banned, or the bans and the order of their cleaning disagree.
    #[error("a member of {group:?} is banned, or the order of its bans is wrong")]
    Bans {
        /// The group.
        group: G,
    },
    /// The mutes and the order of their cleaning disagree.
    #[error("the order of the mutes of {group:?} is wrong")]
    Mutes {
        /// The group.
        group: G,
    },
    /// A group's log is out of order, its bytes are counted wrong, or it holds an erased text.
    #[error("the log of {group:?} is out of order")]
    Log {
        /// The group.
        group: G,
    },
    /// A living group has a tombstone.
    #[error("{group:?} lives and has a tombstone")]
    Undead {
        /// The group.
        group: G,
    },
    /// A membership is missing from the index.
    #[error("the index does not know that {user:?} is in {group:?}")]
    NotIndexed {
        /// The group.
        group: G,
        /// The member.
        user: U,
    },
    /// The index holds entries that are neither memberships nor counted as stale.
    #[error("the index counts its entries wrong")]
    Index,
    /// The tombstones and the order of their cleaning disagree.
    #[error("the tombstones and the order of their cleaning disagree")]
    Tombstones,
    /// The rate cells and the order of their eviction disagree.
    #[error("the rate cells and the order of their eviction disagree")]
    Cells,
    /// The entries in all logs, or the bytes of their messages, are counted wrong.
    #[error("the log entries or their bytes are counted wrong")]
    Entries,
    /// The tree of a group's members or admins is out of order.
    #[error("the tree of the members or admins of {group:?} is out of order")]
    Members {
        /// The group.
        group: G,
    },
    /// The tree of all groups is out of order.
    #[error("the tree of all groups is out of order")]
    Groups,
}

impl<U: Id, G: Id> Engine<U, G> {
    /// Verifies every invariant of the state. It walks all of it, so no command calls it.
    /// O(memberships · log N + entries).
    ///
    /// # Errors
    /// The first violation found: a bug in this crate.
    pub fn check(&self) -> Result<(), Violation<U, G>> {
        let (state, limiter) = self.parts();
        if !state.groups.is_sound() {
            return Err(Violation::Groups);
        }
        // Ids of their own: sorting references would miss the cache with each comparison.
        let mut memberships: Vec<(U, Stint, &G)> = Vec::new();
        for (id, group) in state.groups.iter() {
            check_group(id, group, state.next_stint)?;
            if state.tombstones.contains(id) {
                return Err(Violation::Undead { group: id.clone() });
            }
            memberships.extend(group.members().map(|(user, stint)| (user.clone(), stint, id)));
        }
        let mut stints: Vec<Stint> = memberships.iter().map(|(_, stint, _)| *stint).collect();
        stints.sort_unstable();
        if let Some((twice, _)) = stints.iter().zip(stints.iter().skip(1)).find(|(a, b)| a == b)
            && let Some((user, _, id)) = memberships.iter().rfind(|(_, stint, _)| stint == twice)
        {
            return Err(Violation::Stint { group: (*id).clone(), user: user.clone() });
        }
        memberships.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(&b.1)));
        let (mut index, mut live) = (state.directory.live(), 0_u64);
        let mut next = || {
            live = live.saturating_add(1);
            index.next()
        };
        for (user, stint, id) in &memberships {
            // An entry that is passed over is no membership: there are too many, counted below.
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
    // The configuration may have lowered how many are kept; no configuration keeps more than these.
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

    /// No snapshot can bring it: the index is not written.
    #[test]
    fn an_index_entry_without_a_membership_is_wrong() {
        let mut engine = Engine::<u8, u8>::default();
        let _ = engine.create(1, 7, Timestamp(1)).unwrap();
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
    fn a_membership_that_the_index_does_not_know_is_named() {
        let mut engine = Engine::<u8, u8>::default();
        let _ = engine.create(1, 7, Timestamp(1)).unwrap();
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
