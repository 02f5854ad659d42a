//! What every peer can do. A peer is a system that is measured.

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Create {
        owner: u64,
        group: u64,
    },
    Join {
        user: u64,
        group: u64,
    },
    /// An owner who leaves dissolves the group.
    Leave {
        user: u64,
        group: u64,
    },
    /// The owner, `by`, removes `user`.
    Kick {
        by: u64,
        group: u64,
        user: u64,
    },
    Post {
        author: u64,
        group: u64,
    },
}

/// The text of every message.
pub(crate) const MESSAGE: &str = "hello";

/// The kinds of signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Join,
    Leave,
    Kick,
    Purge,
    Message,
}

/// What the peers' signals are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalSummary {
    pub kind: Kind,
    pub from: u64,
    /// How many users the signal goes to.
    pub recipients: u64,
}

/// The result of a command: its signals, or the code of its refusal.
pub type Answer = Result<Vec<SignalSummary>, u16>;

/// A system that is measured. The time of a command is that of [`run`](Self::run) alone.
pub trait Peer {
    /// What a command returns: all that a server needs to reply and to deliver the signals. After a
    /// dissolution it holds the recipients. After other commands the server may have to read them
    /// from the group, before the next command.
    type Output: Send + 'static;

    /// Runs a command. Before that, the peer's clock advances by a millisecond.
    fn run(&mut self, step: Step) -> Self::Output;

    /// Divides the number of commands that this peer is measured with. More than 1 for a peer whose
    /// commands take very long.
    fn one_in(&self) -> u64 {
        1
    }

    /// Advances the peer's clock, if anything in it depends on the time.
    fn wait(&mut self, _ms: u64) {}

    /// Replaces the snapshot, if the peer is measured with a snapshot alive.
    fn snapshot(&mut self) {}

    /// Takes the output of each command after its time is measured. Returns an output that can be
    /// freed now: the same one. If the peer is measured with outputs alive, an older one or none.
    fn keep(&mut self, output: Self::Output) -> Option<Self::Output> {
        Some(output)
    }

    /// The output in the form that all peers share. Not measured.
    fn answer(output: &Self::Output) -> Answer;

    /// If the command dissolved a group: the members that it had, the owner included, in ascending
    /// order. Otherwise empty.
    fn dissolved_members(output: &Self::Output) -> Vec<u64>;

    /// Whether freeing this output takes long, so that a server would free it on another thread.
    fn is_large(_: &Self::Output) -> bool {
        false
    }

    /// The members of a group, in ascending order. Empty if the group does not exist.
    fn members(&mut self, group: u64) -> Vec<u64>;

    /// How many entries the log of a group has.
    fn entries(&mut self, group: u64) -> u64;

    /// The groups of a user, in ascending order.
    fn groups_of(&mut self, user: u64) -> Vec<u64>;

    /// Runs many commands in the fastest way that the peer has. Their answers are not needed.
    fn fill(&mut self, steps: &mut dyn Iterator<Item = Step>) {
        for step in steps {
            let output = self.run(step);
            drop(self.keep(output));
        }
    }

    /// Does the work that commands have postponed. Not measured.
    fn catch_up(&mut self) {}
}
