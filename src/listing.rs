//! The groups of one user, a part of the [directory](crate::directory).

use std::sync::Arc;

use crate::ended::{Ended, Turn};
use crate::id::{Id, Stint};
use crate::map::Map;

/// A listing with more entries than this is also ordered by group.
const FEW: usize = 64;

/// The groups of a user by stint, including stale entries (of groups that ended).
#[derive(Debug, Clone)]
pub(crate) enum Listing<G> {
    Few(Map<Stint, G>),
    /// Too many entries to search all of them for stale ones each time.
    Many(Arc<Many<G>>),
}

#[derive(Debug, Clone)]
pub(crate) struct Many<G> {
    by_stint: Map<Stint, G>,
    /// Derived from `by_stint`, with the same entries.
    by_group: Map<G, Stint>,
    /// The last ending whose stale entry was searched for.
    seen: Option<Turn<G>>,
}

impl<G: Id> Listing<G> {
    /// Builds a listing from entries in strictly ascending order of stints, each of another group.
    /// O(n log n).
    pub(crate) fn from_ascending(
        entries: impl IntoIterator<Item = (Stint, G), IntoIter: ExactSizeIterator>,
    ) -> Self {
        let mut listing = Listing::Few(Map::from_ascending(entries));
        listing.fit();
        listing
    }

    /// The entries in the order of stints.
    pub(crate) fn by_stint(&self) -> &Map<Stint, G> {
        match self {
            Listing::Few(by_stint) => by_stint,
            Listing::Many(many) => &many.by_stint,
        }
    }

    /// Adds an entry. Returns how many older entries were removed: `by_group` holds one entry per
    /// group, and an older entry of the same group is stale. O(log n).
    pub(crate) fn insert(&mut self, stint: Stint, group: G) -> u64 {
        match self {
            Listing::Few(by_stint) => {
                by_stint.insert(stint, group);
                self.fit()
            }
            Listing::Many(many) => Arc::make_mut(many).insert(stint, group),
        }
    }

    /// Removes an entry. O(log n).
    pub(crate) fn remove(&mut self, stint: Stint) {
        match self {
            Listing::Few(by_stint) => _ = by_stint.remove(&stint),
            Listing::Many(many) => {
                let many = Arc::make_mut(many);
                if let Some(group) = many.by_stint.remove(&stint) {
                    many.by_group.remove(&group);
                }
                self.fit();
            }
        }
    }

    /// Converts to the form that fits the length, and returns how many older entries were removed.
    /// The two limits differ, so that a user who joins and leaves near a limit is not converted each
    /// time.
    fn fit(&mut self) -> u64 {
        let mut removed = 0_u64;
        match self {
            Listing::Few(by_stint) if by_stint.len() > FEW => {
                let mut many = Many { by_stint: Map::new(), by_group: Map::new(), seen: None };
                for (stint, group) in by_stint.iter() {
                    removed = removed.saturating_add(many.insert(*stint, group.clone()));
                }
                *self = Listing::Many(Arc::new(many));
            }
            Listing::Many(many) if many.by_stint.len() <= FEW / 2 => {
                *self = Listing::Few(many.by_stint.clone());
            }
            _ => {}
        }
        removed
    }

    /// The stints of stale entries: `most` of them or all, if there are fewer. It may return more
    /// than `most`. Also returns the last ending that was searched for, to be passed to
    /// [`note_seen`](Self::note_seen).
    ///
    /// The cost is O(FEW) if there are few entries. Else it is one search for each group that ended
    /// since the last ending that was noted; and if more groups ended than there are entries, two
    /// searches for each entry.
    pub(crate) fn stale(&self, most: usize, ended: &Ended<G>) -> (Vec<Stint>, Option<Turn<G>>) {
        let is_stale = |(stint, group): &(&Stint, &G)| ended.has(group, **stint);
        let all = || self.by_stint().iter().filter(is_stale).map(|(stint, _)| *stint);
        let Listing::Many(many) = self else { return (all().take(most).collect(), None) };
        let (mut stale, mut seen) = (Vec::new(), many.seen.as_ref());
        for (nth, turn) in ended.since(many.seen.as_ref()).enumerate() {
            if nth > many.by_group.len() {
                return (all().collect(), ended.last().cloned());
            }
            if stale.len() == most {
                break;
            }
            let newest = many.by_group.get(&turn.1);
            stale.extend(newest.filter(|stint| ended.has(&turn.1, **stint)));
            seen = Some(turn);
        }
        (stale, seen.cloned())
    }

    /// Notes that there is no stale entry of an ending up to `seen`. O(1).
    pub(crate) fn note_seen(&mut self, seen: Option<Turn<G>>) {
        if let Listing::Many(many) = self {
            Arc::make_mut(many).seen = seen;
        }
    }

    /// The last ending that was noted. O(1).
    pub(crate) fn seen(&self) -> Option<&Turn<G>> {
        match self {
            Listing::Few(_) => None,
            Listing::Many(many) => many.seen.as_ref(),
        }
    }

    /// Whether its maps are correct and have the same entries, and no entry is stale by an ending that
    /// was noted. O(n log n).
    pub(crate) fn is_sound(&self, ended: &Ended<G>) -> bool {
        let by_stint = self.by_stint();
        !by_stint.is_empty()
            && by_stint.is_sound()
            && match self {
                Listing::Few(_) => by_stint.len() <= FEW,
                Listing::Many(many) => {
                    let is_noted =
                        |group| ended.turn(group) <= many.seen.as_ref().map(|seen| seen.0);
                    many.by_group.is_sound()
                        && by_stint.len() == many.by_group.len()
                        && by_stint.iter().all(|(stint, group)| {
                            many.by_group.get(group) == Some(stint)
                                && !(ended.has(group, *stint) && is_noted(group))
                        })
                }
            }
    }
}

impl<G: Id> Many<G> {
    /// Returns how many older entries of the same group were removed: 0 or 1.
    fn insert(&mut self, stint: Stint, group: G) -> u64 {
        let older = self.by_group.insert(group.clone(), stint);
        self.by_stint.insert(stint, group);
        older.is_some_and(|older| self.by_stint.remove(&older).is_some()).into()
    }
}
