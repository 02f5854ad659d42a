//! Why a node refuses commands.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::unanswered::Unanswered;

/// A reason to refuse commands. The first that holds is the one that is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The node is stopping.
    Stopping,
    /// A write or a sync has failed. Only a restart can help.
    Failed,
    /// The disk has less than the minimum of free space.
    Full,
    /// No node leads.
    NoLeader,
}

impl Reason {
    const ALL: [Reason; 4] = [Reason::Stopping, Reason::Failed, Reason::Full, Reason::NoLeader];

    const fn bit(self) -> u8 {
        1 << self as u8
    }

    const fn text(self) -> &'static str {
        match self {
            Reason::Stopping => "the server is stopping",
            Reason::Failed => "can't write commands to disk",
            Reason::Full => "the disk has too little free space",
            Reason::NoLeader => "no node leads",
        }
    }
}

/// Which reasons hold.
#[derive(Debug, Default)]
pub(crate) struct Health(AtomicU8);

impl Health {
    /// From now on, this reason holds or does not hold. Returns whether that is a change.
    pub(crate) fn set(&self, reason: Reason, holds: bool) -> bool {
        let before = if holds {
            self.0.fetch_or(reason.bit(), Ordering::AcqRel)
        } else {
            self.0.fetch_and(!reason.bit(), Ordering::AcqRel)
        };
        (before & reason.bit() != 0) != holds
    }

    /// Whether this reason holds.
    pub(crate) fn has(&self, reason: Reason) -> bool {
        self.0.load(Ordering::Acquire) & reason.bit() != 0
    }

    /// Whether commands are accepted.
    ///
    /// # Errors
    /// Why they are not.
    pub(crate) fn check(&self) -> Result<(), Unanswered> {
        let first = Reason::ALL.into_iter().find(|reason| self.has(*reason));
        first.map_or(Ok(()), |reason| Err(Unanswered::NotDone(reason.text())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_is_given_until_it_is_gone() {
        let health = Health::default();
        assert_eq!(health.check(), Ok(()));
        assert!(health.set(Reason::Full, true));
        assert!(!health.set(Reason::Full, true), "no change");
        assert!(health.set(Reason::Failed, true));
        assert_eq!(health.check(), Err(Unanswered::NotDone("can't write commands to disk")));
        assert!(health.set(Reason::Failed, false));
        assert_eq!(health.check(), Err(Unanswered::NotDone("the disk has too little free space")));
        assert!(health.set(Reason::Full, false));
        assert_eq!(health.check(), Ok(()));
    }
}
