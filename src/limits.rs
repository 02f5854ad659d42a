//! How large anything may grow.

use serde::{Deserialize, Serialize};

/// How large anything may grow, `None` for without bound. In JSON, those left out are the defaults.
///
/// A limit on a number refuses growth alone. Where [`Engine::set_config`](crate::Engine::set_config)
/// has lowered it below what exists, what exists stays, and a command that doesn't make it more is
/// allowed. A message or a note is always measured whole.
///
/// What is not here is bounded by what is: groups by users and `groups_per_user`, rate cells by how
/// many commands two windows see, tombstones by how many groups their owners can create and dissolve
/// in [`Config::tombstone_ms`](crate::Config), which the rate limit on `create` bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Members of one group, the owner among them. Default 10,000,000.
    pub members_per_group: Option<u64>,
    /// Groups that one user is in. Default 20,000. The limit is exact. A user at this limit who
    /// creates, joins or is added costs one search more for each group that has ended since their last
    /// attempt, whichever group that is.
    pub groups_per_user: Option<u64>,
    /// Bytes of one message. Default 65,536.
    pub message_bytes: Option<u64>,
    /// Live entries in the log of one group. Default 100,000,000. See also
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
    /// count until a post in their group or a change of its options drops them: a silent group can
    /// hold a part of the total.
    pub message_bytes_total: Option<u64>,
    /// Memberships in all groups together. Default `None`.
    pub memberships_total: Option<u64>,
}

impl Limits {
    /// Nothing is limited.
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

/// A limit that a command would have passed.
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

impl Limit {
    /// The name, as the wire has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Limit::MembersPerGroup => "members_per_group",
            Limit::GroupsPerUser => "groups_per_user",
            Limit::MessageBytes => "message_bytes",
            Limit::EntriesPerGroup => "entries_per_group",
            Limit::BansPerGroup => "bans_per_group",
            Limit::MutesPerGroup => "mutes_per_group",
            Limit::NoteBytes => "note_bytes",
            Limit::MessageBytesTotal => "message_bytes_total",
            Limit::MembershipsTotal => "memberships_total",
        }
    }
}
