//! The index from users to the groups they are in.
//!
//! The index is derived from the groups. An entry is *stale* if its group was dissolved. Readers skip
//! stale entries. The *sweep* removes them: a cursor moves over all entries, round after round, and
//! each command that is not refused as too fast pays for a few *looks* (entries that the cursor
//! visits).
//!
//! # How many entries can be stale
//!
//! Let P be the largest number of memberships at any one time so far, and S the largest number of
//! stale entries. Then S ≤ 3·P + 195.
//!
//! Proof. A command that may add an entry pays for three looks, every other command for one. At any
//! time fewer than 195 paid looks are not done yet ([`Share`], [`RUN`]). Consider an entry that
//! becomes stale. At that moment at most P + S entries are ahead of the cursor. During the next m
//! commands that may add an entry, at most m entries are added ahead of it, and at least 3·m − 194
//! looks are done. The end of a round takes one look. So the cursor has reached the entry when
//! 3·m − 194 ≥ P + S + m + 1, that is, when m = (P + S + 195) / 2. Therefore every entry that is
//! stale at some moment became stale during the last m such commands. It was either live before them
//! or added by one of them, so S ≤ P + m = P + (P + S + 195) / 2, which gives S ≤ 3·P + 195.

use std::borrow::Borrow;
use std::fmt;
use std::iter::FusedIterator;

use crate::ended::Ended;
use crate::id::{Id, Stint};
use crate::listing::Listing;
use crate::map::{Map, MapIter};
use crate::tree::Spot;

/// The looks of one run of the sweep. Neighbours share cache lines, so one run of 96 costs far less
/// than 32 runs of three.
const RUN: u32 = 96;

/// How many looks a command pays for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// The command may add an entry.
    MayJoin,
    /// The command may dissolve a group. To keep it fast, it does a run of the sweep only if at least
    /// two runs are owed.
    MayEnd,
    Neither,
}

impl Share {
    const fn looks(self) -> u32 {
        match self {
            Share::MayJoin => 3,
            Share::MayEnd | Share::Neither => 1,
        }
    }
}

/// The index, from users to their groups.
#[derive(Debug, Clone)]
pub(crate) struct Directory<U: Id, G: Id> {
    users: Map<U, Listing<G>, 24, 32>,
    entries: u64,
    stale: u64,
    ended: Ended<G>,
    /// The entry that the sweep visited last in this round.
    cursor: Option<(U, Stint)>,
    /// The number of the first ending since this round began. At the end of the round, all entries of
    /// earlier endings are removed.
    round: u64,
    /// All entries of endings before this number are removed.
    swept: u64,
    /// Looks that commands paid for and that are not done yet.
    owed: u32,
}

impl<U: Id, G: Id> Directory<U, G> {
    pub(crate) const fn new() -> Self {
        Directory {
            users: Map::new(),
            entries: 0,
            stale: 0,
            ended: Ended::new(),
            cursor: None,
            round: 0,
            swept: 0,
            owed: 0,
        }
    }

    /// Builds the index of memberships in ascending order of users and stints. O(n log n).
    pub(crate) fn from_ascending(memberships: &[(U, Stint, G)]) -> Self {
        let of_user = |memberships: &[(U, Stint, G)]| {
            let (user, ..) = memberships.first()?;
            let entries = memberships.iter().map(|(_, stint, group)| (*stint, group.clone()));
            Some((user.clone(), Listing::from_ascending(entries)))
        };
        let users = memberships.chunk_by(|one, next| one.0 == next.0).filter_map(of_user);
        let users: Vec<_> = users.collect();
        let entries = memberships.len() as u64;
        Directory { users: Map::from_ascending(users), entries, ..Directory::new() }
    }

    /// The spot of the entries of `user`, or the spot where they belong. O(log users).
    pub(crate) fn find(&self, user: &U) -> Result<Spot, Spot> {
        self.users.find_by(user, |listing| matches!(listing, Listing::Few(_)))
    }

    /// How many entries there are at a spot, including stale ones. O(log users).
    pub(crate) fn count(&self, found: &Result<Spot, Spot>) -> usize {
        let listing = found.as_ref().ok().and_then(|spot| self.users.at(spot));
        listing.map_or(0, |listing| listing.by_stint().len())
    }

    /// Adds an entry at the spot that [`find`](Self::find) returned for its user. O(log users).
    pub(crate) fn insert(&mut self, found: Result<Spot, Spot>, user: U, stint: Stint, group: G) {
        let removed = match found {
            Ok(spot) => self.users.at_mut(&spot).map(|listing| listing.insert(stint, group)),
            Err(spot) => {
                self.users.insert_at(&spot, user, Listing::from_ascending([(stint, group)]));
                None
            }
        };
        let removed = removed.unwrap_or_default();
        self.entries = self.entries.saturating_add(1).saturating_sub(removed);
        self.stale = self.stale.saturating_sub(removed);
    }

    /// Removes a live entry. O(log users). [`remove_stale`](Self::remove_stale) removes stale ones, and
    /// counts them.
    pub(crate) fn remove(&mut self, user: &U, stint: Stint) {
        let Ok(spot) = self.find(user) else { return };
        let Some(listing) = self.users.at(&spot) else { return };
        if !listing.by_stint().contains(&stint) {
            return;
        }
        if listing.by_stint().len() == 1 {
            self.users.remove_at(&spot);
        } else if let Some(listing) = self.users.at_mut(&spot) {
            listing.remove(stint);
        }
        self.entries = self.entries.saturating_sub(1);
    }

    /// Records that a group with this number of `members` ended: their entries are stale from now on.
    /// `before` is the next stint; every stint of the group is smaller. O(log endings).
    pub(crate) fn abandon(&mut self, group: G, members: u64, before: Stint) {
        self.ended.note(group, before);
        self.stale = self.stale.saturating_add(members);
    }

    /// The live entries of `user`, in the order of stints. O(log users) to begin; a step is
    /// O(log endings), and one more for each stale entry that it skips.
    pub(crate) fn of<Q: Ord + ?Sized>(&self, user: &Q) -> GroupsOf<'_, G>
    where
        U: Borrow<Q>,
    {
        let listing = self.users.get(user);
        let entries = listing.map_or(MapIter::of_array(&[]), |listing| listing.by_stint().iter());
        GroupsOf { entries, ended: &self.ended }
    }

    /// Removes stale entries of `user` until at most `most` entries are left or none is stale.
    /// Returns the spot of the entries of `user`. O(log users), and the cost of [`Listing::stale`].
    pub(crate) fn shrink(&mut self, user: &U, most: u64) -> Result<Spot, Spot> {
        let spot = self.find(user)?;
        let Some(listing) = self.users.at(&spot).filter(|_| self.stale > 0) else {
            return Ok(spot);
        };
        let too_many = (listing.by_stint().len() as u64).saturating_sub(most);
        let too_many = usize::try_from(too_many).unwrap_or(usize::MAX);
        let (stale, seen) = listing.stale(too_many, &self.ended);
        if listing.seen() != seen.as_ref() {
            if let Some(listing) = self.users.at_mut(&spot) {
                listing.note_seen(seen);
            }
        }
        if !stale.is_empty() {
            self.remove_stale(user, &stale);
        }
        self.find(user)
    }

    /// Removes these stale entries of one user. O(log users + s·log n) for s entries.
    fn remove_stale(&mut self, user: &U, stints: &[Stint]) {
        let Ok(spot) = self.find(user) else { return };
        let Some(listing) = self.users.at_mut(&spot) else { return };
        for stint in stints {
            listing.remove(*stint);
        }
        if listing.by_stint().is_empty() {
            self.users.remove_at(&spot);
        }
        let removed = stints.len() as u64;
        self.entries = self.entries.saturating_sub(removed);
        self.stale = self.stale.saturating_sub(removed);
    }

    /// Does a command's part of the sweep, and removes up to two endings without stale entries.
    pub(crate) fn tidy(&mut self, share: Share) {
        if share != Share::MayEnd {
            self.ended.forget(self.swept);
        }
        if self.stale == 0 {
            (self.swept, self.round) = (self.ended.next(), self.ended.next());
            (self.cursor, self.owed) = (None, 0);
            return;
        }
        self.owed = self.owed.saturating_add(share.looks());
        let due = if share == Share::MayEnd { RUN.saturating_mul(2) } else { RUN };
        if self.owed >= due {
            self.owed = self.owed.saturating_sub(RUN);
            self.sweep(RUN as usize);
        }
    }

    /// Looks at up to `budget` entries and removes those that are stale. O(1) if none is stale; else
    /// O(budget · log users).
    pub(crate) fn sweep(&mut self, budget: usize) {
        let mut left = budget;
        while left > 0 && self.stale > 0 {
            left = left.saturating_sub(self.run(left.min(RUN as usize)));
        }
    }

    /// Looks at the next `most` entries, or at fewer if the round ends before. Returns the number of
    /// looks. Reaching the end of a round uses up one look, so [`sweep`](Self::sweep) terminates.
    fn run(&mut self, most: usize) -> usize {
        let (mut looks, mut last) = (0_usize, None);
        let mut stale: Vec<(U, Vec<Stint>)> = Vec::new();
        for (user, stint, group) in self.ahead().take(most) {
            looks = looks.saturating_add(1);
            last = Some((user, stint));
            if self.ended.has(group, stint) {
                match stale.last_mut() {
                    Some((last, stints)) if last == user => stints.push(stint),
                    _ => stale.push((user.clone(), vec![stint])),
                }
            }
        }
        if looks < most {
            looks = looks.saturating_add(1);
            (self.swept, self.round) = (self.round, self.ended.next());
            self.cursor = None;
        } else {
            self.cursor = last.map(|(user, stint)| (user.clone(), stint));
        }
        for (user, stints) in stale {
            self.remove_stale(&user, &stints);
        }
        looks
    }

    /// The entries that the sweep has not visited yet in this round.
    fn ahead(&self) -> impl Iterator<Item = (&U, Stint, &G)> {
        let rest = self.cursor.iter().flat_map(|(user, stint)| {
            let listing = self.users.get(user).into_iter();
            let rest = listing.flat_map(|listing| listing.by_stint().iter_after(Some(stint)));
            rest.map(move |(stint, group)| (user, *stint, group))
        });
        let last = self.cursor.as_ref().map(|(user, _)| user);
        rest.chain(entries(self.users.iter_after(last)))
    }

    /// All live entries, in ascending order of users and stints.
    pub(crate) fn live(&self) -> impl Iterator<Item = (&U, Stint, &G)> {
        entries(self.users.iter()).filter(|(_, stint, group)| !self.ended.has(group, *stint))
    }

    /// How many live entries there are, which is the number of memberships. O(1).
    pub(crate) fn memberships(&self) -> u64 {
        self.entries.saturating_sub(self.stale)
    }

    /// How many entries are stale. O(1).
    pub(crate) fn stale(&self) -> u64 {
        self.stale
    }

    /// Whether its parts are correct and its counts are right, if `live` entries are live.
    /// O(N log N).
    pub(crate) fn is_sound(&self, live: u64) -> bool {
        let mut entries = 0_u64;
        self.users.is_sound()
            && self.users.iter().all(|(_, listing)| {
                entries = entries.saturating_add(listing.by_stint().len() as u64);
                listing.is_sound(&self.ended)
            })
            && entries == self.entries
            && live.checked_add(self.stale) == Some(entries)
            && self.ended.is_sound()
    }
}

/// The groups of a user with their stint in each, in the order of joining.
/// [`Engine::groups_of`](crate::Engine::groups_of) returns it.
#[derive(Clone)]
pub struct GroupsOf<'a, G: Id> {
    entries: MapIter<'a, Stint, G>,
    ended: &'a Ended<G>,
}

impl<'a, G: Id> Iterator for GroupsOf<'a, G> {
    type Item = (&'a G, Stint);

    fn next(&mut self) -> Option<Self::Item> {
        let (stint, group) =
            self.entries.find(|(stint, group)| !self.ended.has(*group, **stint))?;
        Some((group, *stint))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.entries.len()))
    }
}

impl<G: Id> DoubleEndedIterator for GroupsOf<'_, G> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let (stint, group) =
            self.entries.rfind(|(stint, group)| !self.ended.has(*group, **stint))?;
        Some((group, *stint))
    }
}

impl<G: Id> FusedIterator for GroupsOf<'_, G> {}

impl<G: Id> fmt::Debug for GroupsOf<'_, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

fn entries<'a, U: 'a, G: Id + 'a>(
    users: impl Iterator<Item = (&'a U, &'a Listing<G>)>,
) -> impl Iterator<Item = (&'a U, Stint, &'a G)> {
    users.flat_map(|(user, listing)| {
        listing.by_stint().iter().map(move |(stint, group)| (user, *stint, group))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(directory: &mut Directory<u32, u32>, user: u32, stint: u64, group: u32) {
        directory.insert(directory.find(&user), user, Stint(stint), group);
    }

    fn is_sound(directory: &Directory<u32, u32>) -> bool {
        directory.is_sound(directory.live().count() as u64)
    }

    #[test]
    fn wrong_counts_are_found() {
        let mut directory = Directory::new();
        insert(&mut directory, 1, 1, 7);
        insert(&mut directory, 1, 2, 8);
        insert(&mut directory, 2, 3, 7);
        directory.abandon(7, 2, Stint(9));
        assert!(is_sound(&directory));
        let broken = |change: fn(&mut Directory<u32, u32>)| {
            let mut directory = directory.clone();
            change(&mut directory);
            !is_sound(&directory)
        };
        assert!(broken(|directory| directory.entries = 4));
        assert!(broken(|directory| directory.stale = 1));
        assert!(broken(|directory| directory.ended = Ended::new()));
        assert!(broken(|directory| {
            _ = directory.users.insert(3, Listing::from_ascending([]));
        }));
    }

    #[test]
    fn stale_entries_of_a_user_in_many_groups_are_found_by_the_endings() {
        let mut directory = Directory::new();
        for group in 1..=1_000 {
            insert(&mut directory, 1, group.into(), group);
        }
        let count = |directory: &Directory<u32, u32>| directory.count(&directory.find(&1));
        for ended in [5, 500, 1_000] {
            directory.abandon(ended, 1, Stint(1_001));
            directory.abandon(2_000 + ended, 1, Stint(1_001));
            insert(&mut directory, 2, u64::from(2_000 + ended), 2_000 + ended);
        }
        // Each call removes as many as needed.
        for left in [999, 998, 997, 997] {
            let most = count(&directory) as u64 - 1;
            let _ = directory.shrink(&1, most);
            assert_eq!(count(&directory), left);
        }
        assert_eq!(directory.stale(), 3);
        // A new group under an old id: its new entry replaces the stale one.
        directory.abandon(6, 1, Stint(2_001));
        insert(&mut directory, 1, 2_002, 6);
        assert_eq!((count(&directory), directory.stale()), (997, 3));
        let _ = directory.shrink(&1, 0);
        assert_eq!(count(&directory), 997);
        assert!(directory.users.iter().all(|(_, listing)| listing.is_sound(&directory.ended)));
    }

    /// If endings were searched again, each join of a user at the limit would search all of them.
    #[test]
    fn endings_are_searched_once_even_if_there_are_more_than_groups() {
        let mut directory = Directory::new();
        for group in 1..=100 {
            insert(&mut directory, 1, group.into(), group);
        }
        for group in 1_000..1_150 {
            insert(&mut directory, 2, group.into(), group);
            directory.abandon(group, 1, Stint(2_000));
        }
        for group in 20..25 {
            directory.abandon(group, 1, Stint(2_000));
        }
        let found = directory.shrink(&1, 99);
        assert_eq!((directory.count(&found), directory.stale()), (95, 150));
        assert_eq!(directory.users.get(&1).unwrap().seen(), directory.ended.last());
        assert!(is_sound(&directory));
    }

    #[test]
    fn endings_are_removed_after_all_their_entries() {
        let mut directory = Directory::new();
        for user in 1..=1_000 {
            insert(&mut directory, user, user.into(), user % 10);
        }
        for group in 0..5 {
            directory.abandon(group, 100, Stint(1_001));
        }
        let mut commands = 0;
        while directory.ended.last().is_some() {
            directory.tidy(Share::MayJoin);
            assert!(is_sound(&directory));
            commands += 1;
        }
        assert_eq!((directory.stale(), directory.memberships()), (0, 500));
        assert!(commands <= 1_000 / 3 + RUN, "{commands} commands");
    }
}
