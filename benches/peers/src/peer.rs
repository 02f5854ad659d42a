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
    /// What a command returns: all that a server needs to reply and to deliver the signals. Where
    /// the group lives on, it may leave the recipients in the group, to be walked when they are
    /// told; where it is dissolved, it holds them.
    type Output: Send + 'static;

    const NAME: &'static str;

    fn run(&mut self, step: Step) -> Self::Output;

    /// What comes before a command that is timed, and is not timed itself.
    fn prepare(&mut self) {}

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
            drop(self.run(step));
        }
    }

    /// Does what was put off, while nobody waits.
    fn catch_up(&mut self) {}
}
