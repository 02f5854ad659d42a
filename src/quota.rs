//! How often a user may repeat each operation.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::named;

/// The kinds of command. Each has its own rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Operation {
    /// A group is created.
    Create,
    /// A user joins a group.
    Join,
    /// A user leaves a group. If they own it, it may be dissolved.
    Leave,
    /// A user ends another's membership.
    Kick,
    /// A message is appended to a group's log.
    Post,
    /// A group is dissolved by its owner.
    Dissolve,
    /// Another member becomes the owner.
    Transfer,
    /// A member is made an admin, or an admin a member.
    SetRank,
    /// A group's options are changed.
    SetOptions,
    /// A user is banned from a group.
    Ban,
    /// A ban is lifted.
    Unban,
    /// A user leaves every group.
    LeaveAll,
    /// A member makes another user a member.
    Add,
    /// A user is forbidden to post and edit.
    Mute,
    /// A mute is lifted.
    Unmute,
    /// A message in a group's log gets another text.
    Edit,
    /// The text of a message in a group's log is removed.
    Erase,
}

named!(Operation {
    Create => "create",
    Join => "join",
    Leave => "leave",
    Kick => "kick",
    Post => "post",
    Dissolve => "dissolve",
    Transfer => "transfer",
    SetRank => "set_rank",
    SetOptions => "set_options",
    Ban => "ban",
    Unban => "unban",
    LeaveAll => "leave_all",
    Add => "add",
    Mute => "mute",
    Unmute => "unmute",
    Edit => "edit",
    Erase => "erase",
});

/// A rate: `burst` commands at once, and then `cells` commands every `per_ms` milliseconds.
///
/// The time in which a used-up allowance refills, `burst · per_ms / cells`, is its *window*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How many commands the user regains every `per_ms`. (Not the rate cells of
    /// [`Stats::cells`](crate::Stats::cells), which are the states of rate limits.)
    pub cells: NonZeroU32,
    /// The period, in milliseconds.
    pub per_ms: NonZeroU64,
    /// How many commands may come at once when the allowance is full.
    pub burst: NonZeroU32,
}

/// How often one user may repeat one operation in one group: a [`Rate`], or no limit. All ids without
/// a group count as one group, and `leave_all` counts per user.
///
/// # Examples
/// ```
/// use disband::{Quota, Quotas};
/// use std::time::Duration;
///
/// // Five joins at once, and then one every twelve seconds.
/// let join = Quota::per(5, Duration::from_secs(60))?;
/// let quotas = Quotas { join, post: Quota::Unlimited, ..Quotas::default() };
/// assert_ne!(quotas, Quotas::UNLIMITED);
/// # Ok::<(), disband::QuotaError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quota {
    /// No limit: nothing is counted and nothing is stored.
    Unlimited,
    /// At most this often.
    Limited(Rate),
}

impl Quota {
    /// `count` commands at once; then the allowance refills evenly, by one command every
    /// `period / count`. The period is rounded down to milliseconds. [`Quota`] has an example.
    ///
    /// # Errors
    /// [`QuotaError`] if `count` is zero, or `period` is shorter than 1 ms, or 2^64 ms or longer.
    pub const fn per(count: u32, period: Duration) -> Result<Quota, QuotaError> {
        let Some(count) = NonZeroU32::new(count) else {
            return Err(QuotaError::Count);
        };
        let ms = period.as_millis();
        if ms > u64::MAX as u128 {
            return Err(QuotaError::Period);
        }
        match NonZeroU64::new(ms as u64) {
            Some(per_ms) => Ok(Quota::Limited(Rate { cells: count, per_ms, burst: count })),
            None => Err(QuotaError::Period),
        }
    }

    /// `burst` commands at once, and then one every `per_ms` milliseconds.
    ///
    /// # Examples
    /// ```
    /// use disband::{Quota, Quotas};
    /// use std::num::{NonZeroU32, NonZeroU64};
    ///
    /// let (burst, per_ms) = (NonZeroU32::new(3).unwrap(), NonZeroU64::new(2_000).unwrap());
    /// assert_eq!(Quota::new(burst, per_ms), Quotas::default().join);
    /// ```
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

/// Why there is no such [`Quota`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// The count is zero.
    #[error("a quota needs a count of at least 1")]
    Count,
    /// The period is shorter than 1 ms, or 2^64 ms or longer.
    #[error("a quota needs a period of at least 1 ms and less than 2^64 ms")]
    Period,
}

/// The quota of each operation. In JSON, a quota that is left out has its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Default: 5 at once, then one every 10 s.
    pub create: Quota,
    /// Default: 3 at once, then one every 2 s.
    pub join: Quota,
    /// Default: 3 at once, then one every 2 s.
    pub leave: Quota,
    /// Default: 20 at once, then one every 250 ms.
    pub kick: Quota,
    /// Default: 20 at once, then one every 250 ms.
    pub post: Quota,
    /// Default: 20 at once, then one every 250 ms.
    pub dissolve: Quota,
    /// Default: 20 at once, then one every 250 ms.
    pub transfer: Quota,
    /// Default: 20 at once, then one every 250 ms.
    pub set_rank: Quota,
    /// Default: 20 at once, then one every 250 ms.
    pub set_options: Quota,
    /// Default: 20 at once, then one every 250 ms.
    pub ban: Quota,
    /// Default: 20 at once, then one every 250 ms.
    pub unban: Quota,
    /// Default: 20 at once, then one every 250 ms.
    pub leave_all: Quota,
    /// Default: 20 at once, then one every 250 ms.
    pub add: Quota,
    /// Default: 20 at once, then one every 250 ms.
    pub mute: Quota,
    /// Default: 20 at once, then one every 250 ms.
    pub unmute: Quota,
    /// Default: 20 at once, then one every 250 ms.
    pub edit: Quota,
    /// Default: 20 at once, then one every 250 ms.
    pub erase: Quota,
}

impl Quotas {
    /// No operation is limited.
    pub const UNLIMITED: Quotas = Quotas::all(Quota::Unlimited);

    /// The same quota for every operation.
    ///
    /// # Examples
    /// ```
    /// use disband::{Quota, Quotas};
    /// use std::time::Duration;
    ///
    /// let ten = Quota::per(10, Duration::from_secs(1))?;
    /// let quotas = Quotas { post: Quota::Unlimited, ..Quotas::all(ten) };
    /// assert_eq!((quotas.join, quotas.post), (ten, Quota::Unlimited));
    /// # Ok::<(), disband::QuotaError>(())
    /// ```
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
                _ => Quota::Unlimited,
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
