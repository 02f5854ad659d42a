//! Reads as data.

use std::fmt::Display;

use disband::{Engine, Group, History, Id, Page, Rank, Sanction, Seq, Timestamp};
use serde::{Deserialize, Serialize, Serializer};

use crate::view::{
    Either, EntryView, GroupView, MemberView, MembershipView, RefusedView, SanctionView,
    StandingView,
};

/// A read as data. In JSON, fields that may be null may be left out, and unknown fields are errors.
///
/// What is read of a group that does not exist is null.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Query<U, G> {
    /// The group, as [`GroupView`]. O(log n).
    Group {
        /// Which group.
        group: G,
    },
    /// What the group knows of one user, as [`StandingView`]. O(log n).
    Standing {
        /// Which group.
        group: G,
        /// Which user.
        user: U,
        /// The present time, which decides which bans and mutes are in force.
        now: Timestamp,
    },
    /// A page of the members in ascending order of ids, as a list of [`MemberView`].
    /// O(limit · log n).
    Members {
        /// Which group.
        group: G,
        /// Only users with larger ids; null begins at the first.
        after: Option<U>,
        /// The most members of the page.
        limit: u64,
    },
    /// All admins, the longest membership first, as a list of [`MemberView`]. O(admins).
    Admins {
        /// Which group.
        group: G,
    },
    /// All bans in force, in ascending order of user ids, as a list of [`SanctionView`]. O(bans).
    Bans {
        /// Which group.
        group: G,
        /// The present time.
        now: Timestamp,
    },
    /// All mutes in force, in ascending order of user ids, as a list of [`SanctionView`]. O(mutes).
    Mutes {
        /// Which group.
        group: G,
        /// The present time.
        now: Timestamp,
    },
    /// The departures that the group remembers, as a list of [`PastMember`](disband::PastMember), the
    /// oldest first.
    Departures {
        /// Which group.
        group: G,
    },
    /// A page of the group's log, newest first: a list of [`EntryView`] under `done`, or a
    /// [`RefusedView`] under `refused`. [`Engine::history`] has the cost.
    History {
        /// Who reads.
        reader: U,
        /// Which group.
        group: G,
        /// Only entries before this one; null begins at the newest.
        before: Option<Seq>,
        /// The most entries of the page.
        limit: u64,
        /// The present time.
        now: Timestamp,
    },
    /// A page of the ids of all groups, in ascending order. O(limit + log n).
    Groups {
        /// Only larger ids; null begins at the first.
        after: Option<G>,
        /// The most groups of the page.
        limit: u64,
    },
    /// All groups that a user is a member of, in the order of joining, as a list of
    /// [`MembershipView`]. [`Engine::groups_of`] has the cost.
    GroupsOf {
        /// Which user.
        user: U,
    },
    /// The ids of all groups that a user owns, in the order of joining. [`Engine::owned_by`] has the
    /// cost.
    OwnedBy {
        /// Which user.
        user: U,
    },
    /// The [`Config`](disband::Config). O(1).
    Config,
    /// The [`Stats`](disband::Stats). O(1).
    Stats,
}

impl<U: Id + Serialize + Display, G: Id + Serialize> Query<U, G> {
    /// Writes the answer of `engine`.
    ///
    /// # Errors
    /// Those of the serialiser.
    pub fn answer<S: Serializer>(
        &self,
        engine: &Engine<U, G>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let of = |group| engine.group(group);
        match self {
            Query::Group { group } => of(group).map(GroupView::from).serialize(serializer),
            Query::Standing { group, user, now } => {
                of(group).map(|group| standing(group, user, *now)).serialize(serializer)
            }
            Query::Members { group, after, limit } => {
                let page = |group| members(group, after.as_ref(), *limit);
                of(group).map(page).serialize(serializer)
            }
            Query::Admins { group } => of(group).map(admins).serialize(serializer),
            Query::Bans { group, now } => {
                of(group).map(|group| sanctions(group.bans(*now))).serialize(serializer)
            }
            Query::Mutes { group, now } => {
                of(group).map(|group| sanctions(group.mutes(*now))).serialize(serializer)
            }
            Query::Departures { group } => of(group).map(Group::departures).serialize(serializer),
            Query::History { reader, group, before, limit, now } => {
                let page = Page { before: *before, limit: *limit };
                match engine.history(reader, group, page, *now) {
                    Ok(history) => Either::<_, ()>::Done(entries(history)).serialize(serializer),
                    Err(refusal) => {
                        let refused = RefusedView::new(&refusal, None);
                        Either::<(), _>::Refused(refused).serialize(serializer)
                    }
                }
            }
            Query::Groups { after, limit } => {
                let ids = engine.groups_after(after.as_ref()).map(|(id, _)| id);
                ids.take(size(*limit)).collect::<Vec<_>>().serialize(serializer)
            }
            Query::GroupsOf { user } => {
                let groups = engine.groups_of(user);
                let groups = groups.map(|(group, stint)| MembershipView { group, stint });
                groups.collect::<Vec<_>>().serialize(serializer)
            }
            Query::OwnedBy { user } => {
                let owned = engine.owned_by(user).map(|(group, _)| group);
                owned.collect::<Vec<_>>().serialize(serializer)
            }
            Query::Config => engine.config().serialize(serializer),
            Query::Stats => engine.stats().serialize(serializer),
        }
    }
}

/// A page of members. O(limit · log n).
pub(crate) fn members<'a, U: Id>(
    group: &'a Group<U>,
    after: Option<&U>,
    limit: u64,
) -> Vec<MemberView<'a, U>> {
    let page = group.members_after(after).take(size(limit));
    let rank = |user| group.rank(user).unwrap_or(Rank::Member);
    page.map(|(user, stint)| MemberView { user, stint, rank: rank(user) }).collect()
}

/// The entries of a page of a log.
pub(crate) fn entries<U: Id>(history: History<'_, U>) -> Vec<EntryView<'_, U>> {
    history.map(EntryView::from).collect()
}

fn standing<'a, U: Id>(group: &'a Group<U>, user: &U, now: Timestamp) -> StandingView<'a, U> {
    StandingView {
        stint: group.stint(user),
        rank: group.rank(user),
        ban: group.ban(user, now),
        mute: group.mute(user, now),
    }
}

fn admins<U: Id>(group: &Group<U>) -> Vec<MemberView<'_, U>> {
    let admin = |(user, stint)| MemberView { user, stint, rank: Rank::Admin };
    group.admins().map(admin).collect()
}

fn sanctions<'a, U: 'a>(
    sanctions: impl Iterator<Item = (&'a U, &'a Sanction<U>)>,
) -> Vec<SanctionView<'a, U>> {
    sanctions.map(SanctionView::from).collect()
}

pub(crate) fn size(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
