//! Ids, a configuration and helpers that several test files use.

#![allow(unreachable_pub, dead_code, reason = "each test uses a part of this")]

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

/// The default configuration, but without rate limits.
pub fn unlimited() -> Config {
    Config { quotas: Quotas::UNLIMITED, ..Config::default() }
}

/// The `HistoryPurge` of a group that was dissolved without a note or a successor. `before` is the
/// number that the next entry of the log would have got.
pub fn purge(before: u64) -> Event<UserId> {
    Event::HistoryPurge { before: Seq(before), note: None, successor: None }
}

/// The refusal of a command to a group that was dissolved without a note or a successor.
pub fn dissolved(by: UserId, at: Timestamp) -> Refusal<UserId> {
    Refusal::Dissolved { by, at, note: None, successor: None }
}

/// A signal as (from, version, event, audience). The audience is the users that the signal is for.
pub type Sent = (UserId, u64, Event<UserId>, Vec<UserId>);

/// The value and the signals of a command that succeeds.
#[track_caller]
pub fn done<T>(result: CommandResult<T, UserId, GroupId>) -> (T, Vec<Sent>) {
    let outcome = result.unwrap();
    let fields = |signal: disband::Signal<UserId, GroupId>| {
        let to = signal.audience.iter().copied().collect();
        (signal.from, signal.version, signal.event, to)
    };
    (outcome.value, outcome.signals.into_iter().map(fields).collect())
}

/// Runs a command that is refused and checks that the engine is unchanged. Returns the refusal.
#[track_caller]
pub fn refused<T>(
    engine: &mut Engine,
    command: impl FnOnce(&mut Engine) -> CommandResult<T, UserId, GroupId>,
) -> Refusal<UserId> {
    let before = engine.clone();
    let refusal = command(engine).map(|_| ()).unwrap_err();
    assert_eq!(&before, engine, "a refused command changed the engine");
    refusal
}
