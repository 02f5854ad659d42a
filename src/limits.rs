//! Limits on sizes.

use serde::{Deserialize, Serialize};

use crate::name::named;

/// Limits on sizes. `None` is no limit. In JSON, a limit that is left out has its default.
///
/// A limit on a number refuses growth only. [`Engine::set_config`](crate::Engine::set_config) can
/// lower a limit below what exists: then what exists stays, and commands that do not add to it are
/// allowed. `message_bytes` and `note_bytes` apply to the whole new text, also if an edit makes a
/// message shorter.
///
/// Everything else is bounded through these limits and the rate limits:
/// - the number of groups, by the number of users and `groups_per_user`;
/// - rate cells (the stored states of rate limits), by the number of commands in two
///   [windows](crate::Rate) of the longest quota;
/// - tombstones, by how many groups users can create and dissolve within
///   [`Config::tombstone_ms`](crate::Config), which the rate limit of `create` bounds.
///
/// # Examples
/// ```
/// use disband::{Config, Engine, Limit, Limits, Refusal};
///
/// let limits = Limits { members_per_group: Some(1), ..Limits::default() };
/// let mut engine = Engine::<u32, u32>::new(Config { limits, ..Config::default() });
/// let now = disband::Timestamp(0);
/// engine.create(1, 7, now)?.ignore_signals();
/// let refused = engine.join(2, 7, now);
/// assert_eq!(refused, Err(Refusal::OverLimit { limit: Limit::MembersPerGroup, max: 1 }));
/// # Ok::<(), Refusal<u32, u32>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Members of one group, the owner among them. Default 10,000,000.
    pub members_per_group: Option<u64>,
    /// Groups that one user is in. Default 20,000. When a user at this limit creates a group, joins
    /// or is added, that costs one more search for each group in the engine that was dissolved since
    /// their last attempt.
    pub groups_per_user: Option<u64>,
    /// Bytes of one message. Default 65,536.
    pub message_bytes: Option<u64>,
    /// Entries in the log of one group, without those past their retention. Default 100,000,000. See
    /// also
    /// [`GroupOptions::keep_entries`](crate::GroupOptions), which makes room instead of refusing.
    pub entries_per_group: Option<u64>,
    /// Bans in one group. Default 100,000.
    pub bans_per_group: Option<u64>,
    /// Mutes in one group. Default 100,000.
    pub mutes_per_group: Option<u64>,
    /// Bytes of the note of one dissolution. Default 1,024. A note stays in memory as long as the
    /// group's tombstone.
    pub note_bytes: Option<u64>,
    /// Bytes of the messages in all logs together. Default `None`. Entries past their retention
    /// count until they are dropped, by a post in their group or a change of its options. So a group
    /// in which nobody posts can hold a part of the total.
    pub message_bytes_total: Option<u64>,
    /// Memberships in all groups together. Default `None`.
    pub memberships_total: Option<u64>,
}

impl Limits {
    /// No limits.
    pub const NONE: Limits = Limits {
        members_per_group: None,
        groups_per_user: None,
        message_bytes: None,
        entries_per_group: None,
        bans_per_group: None,
        mutes_per_group: None,
        note_bytes: None,
        message_bytes_total: None,
        memberships_total: None,
    };

    pub(crate) const fn of(&self, limit: Limit) -> Option<u64> {
        match limit {
            Limit::MembersPerGroup => self.members_per_group,
            Limit::GroupsPerUser => self.groups_per_user,
            Limit::MessageBytes => self.message_bytes,
            Limit::EntriesPerGroup => self.entries_per_group,
            Limit::BansPerGroup => self.bans_per_group,
            Limit::MutesPerGroup => self.mutes_per_group,
            Limit::NoteBytes => self.note_bytes,
            Limit::MessageBytesTotal => self.message_bytes_total,
            Limit::MembershipsTotal => self.memberships_total,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            members_per_group: Some(10_000_000),
            groups_per_user: Some(20_000),
            message_bytes: Some(65_536),
            entries_per_group: Some(100_000_000),
            bans_per_group: Some(100_000),
            mutes_per_group: Some(100_000),
            note_bytes: Some(1_024),
            message_bytes_total: None,
            memberships_total: None,
        }
    }
}

/// Which limit a command would have exceeded. Each has the name of its field in [`Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::members_per_group`]
    MembersPerGroup,
    /// [`Limits::groups_per_user`]
    GroupsPerUser,
    /// [`Limits::message_bytes`]
    MessageBytes,
    /// [`Limits::entries_per_group`]
    EntriesPerGroup,
    /// [`Limits::bans_per_group`]
    BansPerGroup,
    /// [`Limits::mutes_per_group`]
    MutesPerGroup,
    /// [`Limits::note_bytes`]
    NoteBytes,
    /// [`Limits::message_bytes_total`]
    MessageBytesTotal,
    /// [`Limits::memberships_total`]
    MembershipsTotal,
}

named!(Limit {
    MembersPerGroup => "members_per_group",
    GroupsPerUser => "groups_per_user",
    MessageBytes => "message_bytes",
    EntriesPerGroup => "entries_per_group",
    BansPerGroup => "bans_per_group",
    MutesPerGroup => "mutes_per_group",
    NoteBytes => "note_bytes",
    MessageBytesTotal => "message_bytes_total",
    MembershipsTotal => "memberships_total",
});
