//! disband as a peer.

use std::collections::VecDeque;

use disband::{
    Command, CommandResult, Config, Departure, Dissolved, Engine, Event, Page, Quotas, Refusal,
    Reply, Timestamp,
};

use crate::peer::{Answer, Kind, MESSAGE, Peer, SignalSummary, Step};

type Output = CommandResult<Reply<u64, u64>, u64, u64>;

/// The engine, and the outcomes or the snapshot that its host keeps alive. By default the host
/// keeps nothing, and the engine has no rate limits and remembers no departures (memberships that
/// ended): the other peers have none of these.
pub struct Ours {
    pub engine: Engine<u64, u64>,
    now: Timestamp,
    /// How many of the last outputs stay alive.
    keeps: usize,
    /// These outputs, the oldest first.
    kept: VecDeque<Output>,
    takes_snapshots: bool,
    snapshot: Option<Engine<u64, u64>>,
}

impl Default for Ours {
    fn default() -> Self {
        Ours::with_departures(0)
    }
}

impl Ours {
    /// How many undelivered outcomes the host of [`with_outcomes_alive`](Self::with_outcomes_alive)
    /// keeps.
    pub const UNDELIVERED: usize = 64;

    fn new(config: Config) -> Ours {
        Ours {
            engine: Engine::new(config),
            now: Timestamp(0),
            keeps: 0,
            kept: VecDeque::new(),
            takes_snapshots: false,
            snapshot: None,
        }
    }

    /// Each group remembers this many departures.
    #[must_use]
    pub fn with_departures(departures: u8) -> Ours {
        Ours::new(Config { quotas: Quotas::UNLIMITED, departures, ..Config::default() })
    }

    /// `Config::default()`, with rate limits. The script must not send commands too fast:
    /// [`keep`](Peer::keep) panics if one was refused for that.
    #[must_use]
    pub fn with_default_config() -> Ours {
        Ours::new(Config::default())
    }

    /// The last [`UNDELIVERED`](Self::UNDELIVERED) outputs stay alive.
    #[must_use]
    pub fn with_outcomes_alive() -> Ours {
        Ours { keeps: Ours::UNDELIVERED, ..Ours::default() }
    }

    /// A snapshot stays alive until the next one replaces it.
    #[must_use]
    pub fn with_snapshot_alive() -> Ours {
        Ours { takes_snapshots: true, ..Ours::default() }
    }
}

/// The dissolved group, if the command dissolved one.
fn dissolved(reply: &Reply<u64, u64>) -> Option<&Dissolved<u64>> {
    match reply {
        Reply::Departed(Departure::Dissolved(group)) | Reply::Dissolved(group) => Some(group),
        _ => None,
    }
}

impl Peer for Ours {
    type Output = Output;

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

    fn wait(&mut self, ms: u64) {
        self.now = self.now.after(ms);
    }

    fn snapshot(&mut self) {
        if self.takes_snapshots {
            self.snapshot = Some(self.engine.clone());
        }
    }

    fn keep(&mut self, output: Output) -> Option<Output> {
        assert!(
            !matches!(output, Err(Refusal::TooFast { .. })),
            "refused as too fast at {:?}",
            self.now
        );
        if self.keeps == 0 {
            return Some(output);
        }
        self.kept.push_back(output);
        if self.kept.len() > self.keeps { self.kept.pop_front() } else { None }
    }

    fn answer(output: &Self::Output) -> Answer {
        let outcome = output.as_ref().map_err(Refusal::code)?;
        let summaries = outcome.signals.iter().map(|signal| SignalSummary {
            kind: match signal.event {
                Event::MemberJoin { .. } => Kind::Join,
                Event::MemberLeave => Kind::Leave,
                Event::MemberKick { .. } => Kind::Kick,
                Event::HistoryPurge { .. } => Kind::Purge,
                Event::MessagePost { .. } => Kind::Message,
                ref other => unreachable!("no step causes {other:?}"),
            },
            from: signal.from,
            recipients: signal.audience.len() as u64,
        });
        Ok(summaries.collect())
    }

    fn dissolved_members(output: &Self::Output) -> Vec<u64> {
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
        self.snapshot = None;
        self.engine.sweep(usize::MAX);
    }
}
