//! disband.

use disband::{
    Command, CommandResult, Config, Departure, Dissolved, Engine, Event, Page, Quotas, Reply,
    Timestamp,
};

use crate::peer::{Answer, Kind, MESSAGE, Peer, Step, Told};

/// The engine, without what its peers do not do: rate limits, and why a former member is none.
#[derive(Clone)]
pub struct Ours {
    pub engine: Engine<u64, u64>,
    now: Timestamp,
}

impl Default for Ours {
    fn default() -> Self {
        Ours::with_departures(0)
    }
}

impl Ours {
    /// One whose groups remember so many departures.
    #[must_use]
    pub fn with_departures(departures: u8) -> Ours {
        let config = Config { quotas: Quotas::UNLIMITED, departures, ..Config::default() };
        Ours { engine: Engine::new(config), now: Timestamp(0) }
    }
}

/// The group that a reply hands over, if it was dissolved.
fn dissolved(reply: &Reply<u64, u64>) -> Option<&Dissolved<u64>> {
    match reply {
        Reply::Departed(Departure::Dissolved(group)) | Reply::Dissolved(group) => Some(group),
        _ => None,
    }
}

impl Peer for Ours {
    type Output = CommandResult<Reply<u64, u64>, u64, u64>;

    const NAME: &'static str = "disband";

    fn run(&mut self, step: Step) -> Self::Output {
        self.now = self.now.after(1);
        let command = match step {
            Step::Create { owner, group } => Command::Create { owner, group, options: None },
            Step::Join { user, group } => Command::Join { user, group },
            Step::Leave { user, group } => Command::Leave { user, group, stint: None },
            Step::Kick { by, group, user } => Command::Kick { by, group, user },
            Step::Post { author, group } => {
                Command::Post { author, group, message: MESSAGE.into() }
            }
        };
        self.engine.apply(command, self.now)
    }

    fn answer(output: &Self::Output) -> Answer {
        let outcome = output.as_ref().map_err(disband::Refusal::code)?;
        let told = outcome.signals.iter().map(|signal| Told {
            kind: match signal.event {
                Event::MemberJoin => Kind::Join,
                Event::MemberLeave => Kind::Leave,
                Event::MemberKick { .. } => Kind::Kick,
                Event::HistoryPurge { .. } => Kind::Purge,
                Event::MessagePost { .. } => Kind::Message,
                ref other => unreachable!("no step leads to {other:?}"),
            },
            from: signal.from,
            recipients: signal.audience.len() as u64,
        });
        Ok(told.collect())
    }

    fn gone(output: &Self::Output) -> Vec<u64> {
        let dissolved = output.as_ref().ok().and_then(|outcome| dissolved(&outcome.value));
        dissolved.map_or(Vec::new(), |group| group.group().members().map(|(id, _)| *id).collect())
    }

    fn is_large(output: &Self::Output) -> bool {
        output.as_ref().is_ok_and(|outcome| dissolved(&outcome.value).is_some())
    }

    fn members(&mut self, group: u64) -> Vec<u64> {
        let group = self.engine.group(&group);
        group.map_or(Vec::new(), |group| group.members().map(|(user, _)| *user).collect())
    }

    fn entries(&mut self, group: u64) -> u64 {
        let Some(owner) = self.engine.group(&group).map(|group| *group.owner()) else {
            return 0;
        };
        let everything = self.engine.history(&owner, &group, Page::newest(u64::MAX), self.now);
        everything.map_or(0, |entries| entries.len() as u64)
    }

    fn groups_of(&mut self, user: u64) -> Vec<u64> {
        let mut groups: Vec<u64> = self.engine.groups_of(&user).map(|(group, _)| *group).collect();
        groups.sort_unstable();
        groups
    }

    fn catch_up(&mut self) {
        self.engine.sweep(usize::MAX);
    }
}

/// disband, each command with a snapshot alive that was taken just before: nothing is its own.
#[derive(Default)]
pub struct Shared {
    ours: Ours,
    snapshot: Option<Ours>,
}

impl Peer for Shared {
    type Output = <Ours as Peer>::Output;

    const NAME: &'static str = "disband, a snapshot alive";

    fn run(&mut self, step: Step) -> Self::Output {
        self.ours.run(step)
    }

    fn prepare(&mut self) {
        self.snapshot = Some(self.ours.clone());
    }

    fn answer(output: &Self::Output) -> Answer {
        Ours::answer(output)
    }

    fn gone(output: &Self::Output) -> Vec<u64> {
        Ours::gone(output)
    }

    fn is_large(output: &Self::Output) -> bool {
        Ours::is_large(output)
    }

    fn members(&mut self, group: u64) -> Vec<u64> {
        self.ours.members(group)
    }

    fn entries(&mut self, group: u64) -> u64 {
        self.ours.entries(group)
    }

    fn groups_of(&mut self, user: u64) -> Vec<u64> {
        self.ours.groups_of(user)
    }

    fn catch_up(&mut self) {
        self.snapshot = None;
        self.ours.catch_up();
    }
}
