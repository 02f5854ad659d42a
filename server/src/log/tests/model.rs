//! A model of the log, and random changes, crashes and failures that are compared with the model.

use std::collections::BTreeMap;

use openraft::AsyncRuntime;
use openraft::storage::RaftLogStorage;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{NODE, Open, View, append, entry, id, open, options, view};
use crate::disk::DataError;
use crate::raft::{Entry, LogId, Vote};
use crate::runtime::Runtime;
use crate::simulated::SimulatedDisk;

/// Something that a test does to a log.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Appends entries with contents of these lengths, and waits.
    Append(Vec<usize>),
    /// Appends several times before it waits.
    Burst(Vec<Vec<usize>>),
    /// Removes entries that are not committed, in a new term.
    Truncate(Index),
    Vote {
        own: bool,
    },
    Commit(Index),
    /// A snapshot of the committed entries is on disk, and the log is purged up to an entry in it.
    Snapshot(Index),
    /// The log is purged before the snapshot is on disk.
    EarlyPurge,
    /// A snapshot of a leader replaces the log. It ends this many entries after the log.
    Install(u64),
    Seal,
    /// Closes the log and opens it again.
    Reopen,
    /// A power cut while nothing is under way.
    Crash(u64),
}

/// What a log contains. Entries in a snapshot may be missing.
#[derive(Debug, Clone, Default, PartialEq)]
struct State {
    entries: BTreeMap<u64, Entry>,
    vote: Option<Vote>,
}

impl State {
    fn last(&self, snapshot: Option<LogId>) -> Option<LogId> {
        let last = self.entries.last_key_value().map(|(_, entry)| entry.log_id);
        if last.map(|last| last.index) > snapshot.map(|id| id.index) { last } else { snapshot }
    }

    /// What is read from a log with this state after a start.
    fn view(&self, snapshot: Option<LogId>) -> View {
        let from = snapshot.map_or(0, |id| id.index + 1);
        let mut vote = self.vote;
        if let Some(vote) = &mut vote
            && vote.leader_id.voted_for() == Some(NODE)
        {
            vote.committed = false;
        }
        View {
            entries: self.entries.range(from..).map(|(_, entry)| entry.clone()).collect(),
            vote,
            committed: None,
            purged: snapshot,
            last: self.last(snapshot),
        }
    }
}

/// A log together with what it must contain.
pub(super) struct Run {
    pub(super) disk: SimulatedDisk,
    segment_bytes: u64,
    open: Option<Open>,
    snapshot: Option<LogId>,
    committed: Option<LogId>,
    commits: Vec<Option<LogId>>,
    term: u64,
    /// What was acknowledged.
    sure: State,
    /// What the log may contain instead, because of changes that were not acknowledged.
    maybe: Vec<State>,
}

/// A call has failed.
#[derive(Debug)]
pub(super) struct Failed;

impl Run {
    pub(super) fn new(segment_bytes: u64) -> Run {
        Run {
            disk: SimulatedDisk::new(),
            segment_bytes,
            open: None,
            snapshot: None,
            committed: None,
            commits: vec![None],
            term: 1,
            sure: State::default(),
            maybe: Vec::new(),
        }
    }

    /// Opens the log on this disk, and checks that it contains what it must.
    pub(super) async fn open(&mut self, disk: SimulatedDisk) -> Result<(), Failed> {
        self.disk = disk;
        self.open = None;
        let opened = match open(&self.disk, options(self.segment_bytes), self.snapshot).await {
            Ok(opened) => opened,
            Err(DataError::Io { .. }) => return Err(Failed),
            Err(error) => panic!("{error}"),
        };
        let mut found = view(&opened.log).await;
        assert!(self.commits.contains(&found.committed), "{:?}", found.committed);
        found.committed = None;
        let mut possible = std::iter::once(&self.sure).chain(&self.maybe);
        let state = possible.find(|state| state.view(self.snapshot) == found).cloned();
        let Some(state) = state else {
            let expected = self.sure.view(self.snapshot);
            panic!("found {found:?}, expected {expected:?} or one of {:?}", self.maybe)
        };
        self.sure = state;
        self.maybe.clear();
        self.open = Some(opened);
        Ok(())
    }

    /// Goes through a power cut and checks what is found afterwards, also after another one.
    pub(super) async fn crash(&mut self, seed: u64) {
        let after = self.disk.crash(seed);
        self.open(after).await.unwrap();
        let again = self.disk.crash(seed ^ 1);
        self.open(again).await.unwrap();
    }

    pub(super) fn opened(&self) -> &Open {
        self.open.as_ref().unwrap()
    }

    /// Performs a change that is acknowledged when the future succeeds.
    async fn change<E>(
        &mut self,
        next: State,
        change: impl Future<Output = Result<(), E>>,
    ) -> Result<(), Failed> {
        self.maybe.push(next.clone());
        change.await.map_err(|_| Failed)?;
        self.sure = next;
        self.maybe.clear();
        Ok(())
    }

    /// New entries after the last one of a state.
    fn more(&self, state: &mut State, lens: &[usize]) -> Vec<Entry> {
        let mut entries = Vec::new();
        for len in lens {
            let index = state.last(self.snapshot).map_or(0, |last| last.index + 1);
            let content = vec![u8::try_from(index % 251).unwrap(); *len];
            let entry = entry(id(self.term, index), content);
            state.entries.insert(index, entry.clone());
            entries.push(entry);
        }
        entries
    }

    pub(super) async fn step(&mut self, step: &Step) -> Result<(), Failed> {
        let mut log = self.opened().log.clone();
        let mut next = self.sure.clone();
        match step {
            Step::Append(lens) => {
                let entries = self.more(&mut next, lens);
                self.change(next, append(&log, entries)).await?;
            }
            Step::Burst(all) => {
                let (mut states, mut tasks) = (Vec::new(), Vec::new());
                for lens in all {
                    let (log, entries) = (log.clone(), self.more(&mut next, lens));
                    states.push(next.clone());
                    tasks.push(Runtime::spawn(async move { append(&log, entries).await }));
                }
                self.maybe = states;
                for task in tasks {
                    task.await.unwrap().map_err(|_| Failed)?;
                    self.sure = self.maybe.remove(0);
                }
            }
            Step::Truncate(back) => {
                let fixed = self.committed.max(self.snapshot).map_or(0, |id| id.index + 1);
                let end = next.last(self.snapshot).map_or(0, |last| last.index + 1);
                if fixed < end {
                    let from = fixed + back.index((end - fixed) as usize) as u64;
                    next.entries.split_off(&from);
                    self.term += 1;
                    let from = self.sure.entries[&from].log_id;
                    self.change(next, log.truncate(from)).await?;
                }
            }
            Step::Vote { own } => {
                self.term += 1;
                let vote =
                    Vote { committed: *own, ..Vote::new(self.term, if *own { NODE } else { 2 }) };
                next.vote = Some(vote);
                self.change(next, log.save_vote(&vote)).await?;
            }
            Step::Commit(some) => {
                let from = self.committed.max(self.snapshot).map_or(0, |id| id.index + 1);
                let ids: Vec<_> =
                    next.entries.range(from..).map(|(_, entry)| entry.log_id).collect();
                if !ids.is_empty() {
                    self.committed = Some(ids[some.index(ids.len())]);
                    self.commits.push(self.committed);
                    log.save_committed(self.committed).await.map_err(|_| Failed)?;
                }
            }
            Step::Snapshot(keep) => {
                if self.committed > self.snapshot {
                    self.snapshot = self.committed;
                    self.opened().saved.send_replace(self.snapshot);
                }
                let end = self.snapshot.map_or(0, |id| id.index + 1);
                let ids: Vec<_> =
                    next.entries.range(..end).map(|(_, entry)| entry.log_id).collect();
                if !ids.is_empty() {
                    log.purge(ids[keep.index(ids.len())]).await.map_err(|_| Failed)?;
                }
            }
            Step::EarlyPurge => {
                if let Some(committed) = self.committed.filter(|id| Some(*id) > self.snapshot) {
                    log.purge(committed).await.map_err(|_| Failed)?;
                }
            }
            Step::Install(ahead) => {
                let last = next.last(self.snapshot).map_or(0, |last| last.index);
                let snapshot = id(self.term, last + ahead);
                log.purge(snapshot).await.map_err(|_| Failed)?;
                tokio::task::yield_now().await;
                self.snapshot = Some(snapshot);
                self.committed = Some(snapshot);
                self.opened().saved.send_replace(Some(snapshot));
            }
            Step::Seal => log.seal().await.map_err(|_| Failed)?,
            Step::Reopen => {
                log.close().await.map_err(|_| Failed)?;
                let before = view(&log).await;
                self.open(self.disk.clone()).await?;
                let after = view(&self.opened().log).await;
                assert_eq!((after.committed, after.last), (before.committed, before.last));
            }
            Step::Crash(seed) => self.crash(*seed).await,
        }
        Ok(())
    }

    /// Opens the log on an empty disk and goes through the steps until a call fails.
    pub(super) async fn all(&mut self, steps: &[Step]) -> Result<(), Failed> {
        self.open(self.disk.clone()).await?;
        for step in steps {
            self.step(step).await?;
        }
        Ok(())
    }

    /// Whether the log is open.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

/// Steps that create, seal and remove several segments of 1,500 bytes.
pub(super) fn steps() -> Vec<Step> {
    vec![
        Step::Vote { own: false },
        Step::Append(vec![10]),
        Step::Append(vec![300, 300, 0]),
        Step::Commit(index(50)),
        Step::Burst(vec![vec![200, 1], vec![400], vec![20]]),
        Step::Truncate(index(80)),
        Step::Vote { own: true },
        Step::Append(vec![700]),
        Step::Commit(index(0)),
        Step::EarlyPurge,
        Step::Append(vec![30]),
        Step::Snapshot(index(99)),
        Step::Seal,
        Step::Append(vec![1, 2_000]),
        Step::Seal,
        Step::Reopen,
        Step::Append(vec![1_000]),
        Step::Install(3),
        Step::Append(vec![500]),
        Step::Seal,
        Step::Commit(index(99)),
        Step::Snapshot(index(99)),
        Step::Vote { own: false },
    ]
}

/// An [`Index`] that selects at this percentage of a collection.
fn index(percent: usize) -> Index {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    loop {
        let index = any::<Index>().new_tree(&mut runner).unwrap().current();
        if index.index(100) == percent {
            return index;
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let len = || prop_oneof![4 => 0..60_usize, 2 => 200..600_usize, 1 => 1_000..3_000_usize];
    let lens = move || prop::collection::vec(len(), 1..4);
    prop_oneof![
        6 => lens().prop_map(Step::Append),
        3 => prop::collection::vec(lens(), 1..4).prop_map(Step::Burst),
        2 => any::<Index>().prop_map(Step::Truncate),
        2 => any::<bool>().prop_map(|own| Step::Vote { own }),
        4 => any::<Index>().prop_map(Step::Commit),
        3 => any::<Index>().prop_map(Step::Snapshot),
        1 => Just(Step::EarlyPurge),
        1 => (1..5_u64).prop_map(Step::Install),
        2 => Just(Step::Seal),
        2 => Just(Step::Reopen),
        2 => any::<u64>().prop_map(Step::Crash),
    ]
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_log_contains_what_was_acknowledged(
        steps in prop::collection::vec(step(), 1..40),
        segment_bytes in prop_oneof![Just(0_u64), Just(1_500), Just(6_000)],
    ) {
        block_on(async {
            let mut run = Run::new(segment_bytes);
            run.all(&steps).await.unwrap();
            run.crash(1).await;
        });
    }

    /// The power is cut during some call, and once more while the log is opened again.
    #[test]
    fn a_log_contains_what_was_acknowledged_before_a_crash(
        steps in prop::collection::vec(step(), 1..40),
        cut in 1..200_u64,
        second in 1..20_u64,
        seed in any::<u64>(),
        rest in prop::collection::vec(step(), 1..10),
    ) {
        block_on(async {
            let mut run = Run::new(1_500);
            run.disk.fail_from(cut);
            // A step may crash and so leave the disk that fails.
            let _ = run.all(&steps).await;
            let after = run.disk.crash(seed);
            after.fail_from(second);
            let _ = run.open(after).await;
            run.crash(seed).await;
            for step in &rest {
                run.step(step).await.unwrap();
            }
        });
    }
}
