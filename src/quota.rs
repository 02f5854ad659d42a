//! How often each operation may be repeated.

use std::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

/// The kinds of command, as the rate limit tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Operation {
    /// A group is created.
    Create,
    /// A user joins a group.
    Join,
    /// A user leaves a group, dissolving it if they own it.
    Leave,
    /// A user ends another's membership.
    Kick,
    /// A message is appended to a group's log.
    Post,
    /// A group is dissolved by its owner.
    Dissolve,
    /// A group is handed to another member.
    Transfer,
    /// A member is made an admin, or an admin a member.
    SetRank,
    /// A group's options are changed.
    SetOptions,
    /// A user is barred from a group.
    Ban,
    /// A ban is lifted.
    Unban,
    /// A user leaves every group.
    LeaveAll,
    /// A member makes somebody else a member.
    Add,
    /// A user may not post or edit any more.
    Mute,
    /// A mute is lifted.
    Unmute,
    /// A message in a group's log gets another text.
    Edit,
    /// The text of a message in a group's log is removed.
    Erase,
}

impl Operation {
    /// The name, as commands have it in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Operation::Create => "create",
            Operation::Join => "join",
            Operation::Leave => "leave",
            Operation::Kick => "kick",
            Operation::Post => "post",
            Operation::Dissolve => "dissolve",
            Operation::Transfer => "transfer",
            Operation::SetRank => "set_rank",
            Operation::SetOptions => "set_options",
            Operation::Ban => "ban",
            Operation::Unban => "unban",
            Operation::LeaveAll => "leave_all",
            Operation::Add => "add",
            Operation::Mute => "mute",
            Operation::Unmute => "unmute",
            Operation::Edit => "edit",
            Operation::Erase => "erase",
        }
    }
}

/// A rate: a burst of `burst` commands, and then `cells` of them every `per_ms` milliseconds.
///
/// The time in which an empty allowance refills, `burst · per_ms / cells`, is its *window*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How many commands are regained every `per_ms`.
    pub cells: NonZeroU32,
    /// The period, in milliseconds.
    pub per_ms: NonZeroU64,
    /// How many commands may come at once after a rest.
    pub burst: NonZeroU32,
}

/// A [`Rate`], or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quota {
    /// No limit: nothing is counted and nothing remembered.
    Unlimited,
    /// At most this often.
    Limited(Rate),
}

impl Quota {
    /// No limit.
    pub const UNLIMITED: Quota = Quota::Unlimited;

    /// A burst of `burst`, then one every `per_ms` milliseconds.
    #[must_use]
    pub const fn new(burst: NonZeroU32, per_ms: NonZeroU64) -> Quota {
        Quota::Limited(Rate { cells: NonZeroU32::MIN, per_ms, burst })
    }

    pub(crate) const fn rate(self) -> Option<Rate> {
        match self {
            Quota::Unlimited => None,
            Quota::Limited(rate) => Some(rate),
        }
    }
}

/// The quota of each operation. In JSON, those left out are the defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Default: burst 5, then one each 10 s.
    pub create: Quota,
    /// Default: burst 3, then one each 2 s.
    pub join: Quota,
    /// Default: burst 3, then one each 2 s.
    pub leave: Quota,
    /// Default: burst 20, then one each 250 ms.
    pub kick: Quota,
    /// Default: burst 20, then one each 250 ms.
    pub post: Quota,
    /// Default: burst 20, then one each 250 ms.
    pub dissolve: Quota,
    /// Default: burst 20, then one each 250 ms.
    pub transfer: Quota,
    /// Default: burst 20, then one each 250 ms.
    pub set_rank: Quota,
    /// Default: burst 20, then one each 250 ms.
    pub set_options: Quota,
    /// Default: burst 20, then one each 250 ms.
    pub ban: Quota,
    /// Default: burst 20, then one each 250 ms.
    pub unban: Quota,
    /// Default: burst 20, then one each 250 ms.
    pub leave_all: Quota,
    /// Default: burst 20, then one each 250 ms.
    pub add: Quota,
    /// Default: burst 20, then one each 250 ms.
    pub mute: Quota,
    /// Default: burst 20, then one each 250 ms.
    pub unmute: Quota,
    /// Default: burst 20, then one each 250 ms.
    pub edit: Quota,
    /// Default: burst 20, then one each 250 ms.
    pub erase: Quota,
}

impl Quotas {
    /// No operation is limited.
    pub const UNLIMITED: Quotas = Quotas::all(Quota::UNLIMITED);

    /// The same quota for every operation.
    #[must_use]
    pub const fn all(quota: Quota) -> Quotas {
        Quotas {
            create: quota,
            join: quota,
            leave: quota,
            kick: quota,
            post: quota,
            dissolve: quota,
            transfer: quota,
            set_rank: quota,
            set_options: quota,
            ban: quota,
            unban: quota,
            leave_all: quota,
            add: quota,
            mute: quota,
            unmute: quota,
            edit: quota,
            erase: quota,
        }
    }

    pub(crate) const fn of(&self, operation: Operation) -> Quota {
        match operation {
            Operation::Create => self.create,
            Operation::Join => self.join,
            Operation::Leave => self.leave,
            Operation::Kick => self.kick,
            Operation::Post => self.post,
            Operation::Dissolve => self.dissolve,
            Operation::Transfer => self.transfer,
            Operation::SetRank => self.set_rank,
            Operation::SetOptions => self.set_options,
            Operation::Ban => self.ban,
            Operation::Unban => self.unban,
            Operation::LeaveAll => self.leave_all,
            Operation::Add => self.add,
            Operation::Mute => self.mute,
            Operation::Unmute => self.unmute,
            Operation::Edit => self.edit,
            Operation::Erase => self.erase,
        }
    }
}

impl Default for Quotas {
    fn default() -> Self {
        const fn burst(burst: u32, per_ms: u64) -> Quota {
            match (NonZeroU32::new(burst), NonZeroU64::new(per_ms)) {
                (Some(burst), Some(per_ms)) => Quota::new(burst, per_ms),
                _ => Quota::UNLIMITED,
            }
        }
        Quotas {
            create: burst(5, 10_000),
            join: burst(3, 2_000),
            leave: burst(3, 2_000),
            ..Quotas::all(burst(20, 250))
        }
    }
}
