//! Which groups a user is in.
//!
//! Derived data: everything here can be read off the groups. A dissolution leaves its members'
//! entries behind, for to remove them all would cost as much as the group is large. Such an entry
//! is stale: the group is gone, or was founded anew since, and as no stint is ever used twice, none can pass
//! for a membership in a group that was created anew under the old id. Readers skip stale entries,
//! and every command sweeps a few.
//!
//! The groups of each user lie in a map of their own, under the user. Measured with 8 million
//! memberships and 8-byte ids: 27 bytes an entry where users are in 8 groups each (one flat map
//! keyed by user and stint: 41), and a user's entries are counted in O(log users).

use crate::id::{Id, Stint};
use crate::persistent::Map;

type NextUp<'a, U, G> = (&'a U, &'a Map<Stint, G>, Option<(&'a Stint, &'a G)>);

#[derive(Debug, Clone)]
pub(crate) struct Directory<U: Id, G: Id> {
    users: Map<U, Map<Stint, G>>,
    entries: u64,
    stale: u64,
    /// The user whose entries the sweep looked at last, and the last of these unless it was done
    /// with them.
    cursor: Option<(U, Option<Stint>)>,
}

impl<U: Id, G: Id> Directory<U, G> {
    pub(crate) const fn new() -> Self {
        Directory { users: Map::new(), entries: 0, stale: 0, cursor: None }
    }

    /// Of all memberships there are, in any order. O(their number · log of it).
    pub(crate) fn of_all(mut memberships: Vec<(U, Stint, G)>) -> Self {
        memberships.sort_unstable_by(|one, next| (&one.0, one.1).cmp(&(&next.0, next.1)));
        let entries = memberships.len() as u64;
        let of_user = |memberships: &[(U, Stint, G)]| {
            let groups = memberships.iter().map(|(_, stint, group)| (*stint, group.clone()));
            let (user, ..) = memberships.first()?;
            Some((user.clone(), Map::from_ascending(groups.collect())))
        };
        let users = memberships.chunk_by(|one, next| one.0 == next.0).filter_map(of_user);
        let users = Map::from_ascending(users.collect());
        Directory { users, entries, stale: 0, cursor: None }
    }

    /// O(log users).
    pub(crate) fn insert(&mut self, user: U, stint: Stint, group: G) {
        if let Some(groups) = self.users.get_mut(&user) {
            groups.insert(stint, group);
        } else {
            let mut groups = Map::new();
            groups.insert(stint, group);
            self.users.insert(user, groups);
        }
        self.entries = self.entries.saturating_add(1);
    }

    /// O(log users).
    pub(crate) fn remove(&mut self, user: &U, stint: Stint) {
        let Some(groups) = self.users.get_mut(user) else {
            return;
        };
        groups.remove(&stint);
        if groups.is_empty() {
            self.users.remove(user);
        }
        self.entries = self.entries.saturating_sub(1);
    }

    /// Notes that `entries` more of them are stale. O(1).
    pub(crate) fn abandon(&mut self, entries: u64) {
        self.stale = self.stale.saturating_add(entries);
    }

    /// The entries of `user`, stale ones among them, in the order of their stints.
    pub(crate) fn of(&self, user: &U) -> impl DoubleEndedIterator<Item = (Stint, &G)> {
        self.users
            .get(user)
            .into_iter()
            .flat_map(|groups| groups.iter())
            .map(|(stint, group)| (*stint, group))
    }

    /// All entries, stale ones among them, by user and stint.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&U, Stint, &G)> {
        self.users.iter().flat_map(|(user, groups)| {
            groups.iter().map(move |(stint, group)| (user, *stint, group))
        })
    }

    /// How many entries `user` has, stale ones among them. O(log users).
    pub(crate) fn count(&self, user: &U) -> usize {
        self.users.get(user).map_or(0, Map::len)
    }

    /// Removes the entries of `user` for which `live` does not hold. O(their entries · log users).
    pub(crate) fn prune(&mut self, user: &U, live: impl Fn(Stint, &G) -> bool) {
        let stale: Vec<Stint> = self
            .of(user)
            .filter(|(stint, group)| !live(*stint, group))
            .map(|(stint, _)| stint)
            .collect();
        for stint in stale {
            self.remove(user, stint);
            self.stale = self.stale.saturating_sub(1);
        }
    }

    /// Looks at up to `budget` entries, going round and round, and removes those for which `live`
    /// does not hold. Costs nothing if none is stale. O(budget · log users).
    pub(crate) fn sweep(&mut self, budget: usize, live: impl Fn(Stint, &G) -> bool) {
        let mut left = budget;
        while left > 0 && self.stale > 0 {
            let Some((user, groups, mut entry)) = self.next() else {
                // The end of a round counts as a look, so that there is an end to looking.
                left = left.saturating_sub(1);
                self.cursor = None;
                continue;
            };
            let (user, mut seen, mut stale) = (user.clone(), None, Vec::new());
            while let Some((stint, group)) = entry
                && left > 0
            {
                left = left.saturating_sub(1);
                seen = Some(*stint);
                if !live(*stint, group) {
                    stale.push(*stint);
                }
                entry = groups.after(stint);
            }
            let done = entry.is_none();
            for stint in stale {
                self.remove(&user, stint);
                self.stale = self.stale.saturating_sub(1);
            }
            self.cursor = Some((user, seen.filter(|_| !done)));
        }
        if self.stale == 0 {
            self.cursor = None;
        }
    }

    /// The user to look at next, their groups, and the first of these to look at.
    fn next(&self) -> Option<NextUp<'_, U, G>> {
        let further = match &self.cursor {
            None => self.users.first(),
            Some((user, seen)) => {
                if let Some(seen) = seen
                    && let Some(groups) = self.users.get(user)
                {
                    return Some((user, groups, groups.after(seen)));
                }
                self.users.after(user)
            }
        };
        further.map(|(user, groups)| (user, groups, groups.first()))
    }

    /// How many entries there are. O(1).
    pub(crate) fn len(&self) -> u64 {
        self.entries
    }

    /// How many of them are stale. O(1).
    pub(crate) fn stale(&self) -> u64 {
        self.stale
    }

    /// Whether it counts its entries right. Walks them.
    pub(crate) fn is_consistent(&self) -> bool {
        self.users.iter().all(|(_, groups)| !groups.is_empty())
            && self.users.iter().map(|(_, groups)| groups.len() as u64).sum::<u64>() == self.entries
            && self.stale <= self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_counts_is_what_there_is() {
        let mut directory = Directory::new();
        directory.insert(1, Stint(1), 7);
        directory.insert(1, Stint(2), 8);
        directory.insert(2, Stint(3), 7);
        directory.abandon(3);
        assert!(directory.is_consistent());
        let broken = |change: fn(&mut Directory<u8, u8>)| {
            let mut directory = directory.clone();
            change(&mut directory);
            !directory.is_consistent()
        };
        assert!(broken(|directory| directory.entries = 4));
        assert!(broken(|directory| directory.stale = 4));
        assert!(broken(|directory| _ = directory.users.insert(3, Map::new())));
    }
}
