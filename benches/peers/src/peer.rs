//! What every peer can do.

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
    /// By the owner.
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

/// What is posted.
pub(crate) const MESSAGE: &str = "hello";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Join,
    Leave,
    Kick,
    Purge,
    Message,
}

/// A signal, and to how many it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    pub kind: Kind,
    pub from: u64,
    pub recipients: u64,
}

/// What came of a command: its signals, or the code of its refusal.
pub type Answer = Result<Vec<Told>, u16>;

/// A system that does the work. Its commands are what is measured; `answer` is not.
pub trait Peer {
    /// What a command returns: all that a server needs to reply and to deliver the signals. After
    /// a dissolution it holds the recipients. Otherwise it may leave them in the group, which must
    /// then be read before the next command.
    type Output: Send + 'static;

    /// Each command comes a millisecond after the one before.
    fn run(&mut self, step: Step) -> Self::Output;

    /// How many times fewer commands it is measured with, because its commands take so long.
    fn one_in(&self) -> u64 {
        1
    }

    /// Advances the peer's clock, if anything in it depends on the time.
    fn wait(&mut self, _ms: u64) {}

    /// Replaces the snapshot, if the peer is measured with a snapshot alive.
    fn snapshot(&mut self) {}

    /// Takes the output of each command after its time is measured. Returns an output that can be
    /// freed now: the same, or an older one if the peer is measured with outputs alive.
    fn keep(&mut self, output: Self::Output) -> Option<Self::Output> {
        Some(output)
    }

    fn answer(output: &Self::Output) -> Answer;

    /// Whom a dissolution ended the membership of, the owner among them, ascending.
    fn gone(output: &Self::Output) -> Vec<u64>;

    /// Whether freeing this takes long, so that a server would leave it to another thread.
    fn is_large(_: &Self::Output) -> bool {
        false
    }

    /// The members of a group, ascending; none if there is no group.
    fn members(&mut self, group: u64) -> Vec<u64>;

    /// How many entries the log of a group has.
    fn entries(&mut self, group: u64) -> u64;

    /// The groups of a user, ascending.
    fn groups_of(&mut self, user: u64) -> Vec<u64>;

    /// Many commands whose answers nobody looks at, in whatever way is fastest.
    fn fill(&mut self, steps: &mut dyn Iterator<Item = Step>) {
        for step in steps {
            let output = self.run(step);
            drop(self.keep(output));
        }
    }

    /// Does what was put off, while nobody waits.
    fn catch_up(&mut self) {}
}
