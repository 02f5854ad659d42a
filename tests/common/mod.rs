//! What the plain tests share.

#![allow(unreachable_pub, dead_code, reason = "each test takes of it what it needs")]

use disband::{
    CommandResult, Config, Engine, Event, GroupId, Quotas, Refusal, Seq, Timestamp, UserId,
};

pub const ALICE: UserId = UserId(1);
pub const BOB: UserId = UserId(2);
pub const CAROL: UserId = UserId(3);
pub const GROUP: GroupId = GroupId(7);

pub const fn at(ms: u64) -> Timestamp {
    Timestamp(ms)
}

pub fn unlimited() -> Config {
    Config { quotas: Quotas::UNLIMITED, ..Config::default() }
}

/// The purge of the history of a group that was dissolved without a word.
pub fn purge(before: u64) -> Event<UserId> {
    Event::HistoryPurge { before: Seq(before), note: None, successor: None }
}

/// What is left of a group that was dissolved without a word.
pub fn dissolved(by: UserId, at: Timestamp) -> Refusal<UserId> {
    Refusal::Dissolved { by, at, note: None, successor: None }
}

/// A signal as (from, version, event, audience).
pub type Heard = (UserId, u64, Event<UserId>, Vec<UserId>);

/// The value and the signals of a command that goes well.
#[track_caller]
pub fn done<T>(result: CommandResult<T, UserId, GroupId>) -> (T, Vec<Heard>) {
    let outcome = result.unwrap();
    let hear = |signal: disband::Signal<UserId, GroupId>| {
        let to = signal.audience.iter().copied().collect();
        (signal.from, signal.version, signal.event, to)
    };
    (outcome.value, outcome.signals.into_iter().map(hear).collect())
}

/// The refusal of a command that does not, and that it changed nothing.
#[track_caller]
pub fn refused<T>(
    engine: &mut Engine,
    command: impl FnOnce(&mut Engine) -> CommandResult<T, UserId, GroupId>,
) -> Refusal<UserId> {
    let before = engine.clone();
    let refusal = command(engine).map(|_| ()).unwrap_err();
    assert_eq!(&before, engine, "a refusal changed something");
    refusal
}
