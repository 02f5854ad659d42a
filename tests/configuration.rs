//! Changes of the configuration, limits on totals over all groups, and `charge`.

use std::num::{NonZeroU32, NonZeroU64};

use disband::{
    Command, Config, ConfigError, Engine, GroupId, GroupOptions, Limit, Limits, Operation, Quota,
    Quotas, Refusal, Seq, UserId,
};

mod common;

use common::{ALICE, BOB, CAROL, GROUP, at, refused, unlimited};

/// One command each `per_ms` milliseconds.
fn every(per_ms: u64) -> Quota {
    Quota::new(NonZeroU32::MIN, NonZeroU64::new(per_ms).unwrap())
}

fn with_limits(engine: &mut Engine, limits: Limits) {
    let _ = engine.set_config(Config { limits, ..*engine.config() }).unwrap();
}

fn over(limit: Limit, max: u64) -> Refusal<UserId> {
    Refusal::OverLimit { limit, max }
}

#[test]
fn the_instance_number_cannot_change() {
    let mut engine: Engine = Engine::new(Config { instance: 3, ..Config::default() });
    let before = engine.clone();
    let other = Config { tombstone_ms: 1, ..Config::default() };
    let error = engine.set_config(other).map(|_| ()).unwrap_err();
    assert_eq!(error, ConfigError::Instance { is: 3, asked: 0 });
    assert_eq!(engine, before);
    let _ = engine.set_config(Config { instance: 3, ..other }).unwrap();
    assert_eq!(engine.config(), &Config { instance: 3, ..other });
}

/// A rate cell is the stored state of one rate limit.
#[test]
fn changing_the_quota_of_an_operation_forgets_its_rate_cells_and_no_others() {
    let quotas = Quotas { join: every(1_000), leave: every(1_000), ..Quotas::UNLIMITED };
    let mut engine = Engine::new(Config { quotas, ..Config::default() });
    engine.create(ALICE, GROUP, at(0)).unwrap().ignore_signals();
    engine.join(BOB, GROUP, at(0)).unwrap().ignore_signals();
    engine.leave(BOB, GROUP, at(0)).unwrap().ignore_signals();
    let too_fast = Refusal::TooFast { retry_at: at(1_000) };
    assert_eq!(refused(&mut engine, |e| e.join(BOB, GROUP, at(1))), too_fast);

    let quotas = Quotas { join: every(500), ..quotas };
    let forgotten = engine.set_config(Config { quotas, ..Config::default() }).unwrap();
    assert_eq!((forgotten.len(), engine.stats().cells), (1, 1));
    engine.join(BOB, GROUP, at(1)).unwrap().ignore_signals();
    assert_eq!(
        refused(&mut engine, |e| e.join(BOB, GROUP, at(1))),
        Refusal::TooFast { retry_at: at(501) }
    );
    assert_eq!(refused(&mut engine, |e| e.leave(BOB, GROUP, at(1))), too_fast);
    assert_eq!(engine.check(), Ok(()));

    // The rate limits are lifted and set again between two commands of one user.
    let limited = *engine.config();
    let unlimited = Config { quotas: Quotas::UNLIMITED, ..limited };
    assert_eq!(engine.set_config(unlimited).unwrap().len(), 2);
    assert_eq!((engine.stats().cells, engine.check()), (0, Ok(())));
    assert!(engine.set_config(limited).unwrap().is_empty());
    engine.leave(BOB, GROUP, at(1)).unwrap().ignore_signals();
    // Setting the same configuration again changes nothing.
    let before = engine.clone();
    assert!(engine.set_config(limited).unwrap().is_empty());
    assert_eq!(engine, before);
}

#[test]
fn what_exceeds_a_lowered_limit_stays_and_cannot_grow() {
    let mut engine = Engine::new(unlimited());
    for group in [GROUP, GroupId(8), GroupId(9)] {
        engine.create(ALICE, group, at(1)).unwrap().ignore_signals();
    }
    engine.join(BOB, GROUP, at(1)).unwrap().ignore_signals();
    for user in [11, 12, 13] {
        engine.ban(ALICE, GROUP, UserId(user), None, at(1)).unwrap().ignore_signals();
        engine.mute(ALICE, GROUP, UserId(user), None, at(1)).unwrap().ignore_signals();
    }
    for _ in 0..3 {
        engine.post(ALICE, GROUP, "text", at(1)).unwrap().ignore_signals();
    }
    let lowered = Limits {
        members_per_group: Some(1),
        groups_per_user: Some(1),
        entries_per_group: Some(1),
        bans_per_group: Some(1),
        mutes_per_group: Some(1),
        message_bytes_total: Some(1),
        memberships_total: Some(1),
        ..Limits::NONE
    };
    with_limits(&mut engine, lowered);
    assert_eq!((engine.stats().memberships, engine.check()), (4, Ok(())));
    let mut refuse =
        |command: Command<UserId, GroupId>| refused(&mut engine, |e| e.apply(command, at(2)));
    let (by, group, until) = (ALICE, GROUP, None);
    let create = Command::Create { owner: ALICE, group: GroupId(10), options: None };
    assert_eq!(refuse(create), over(Limit::GroupsPerUser, 1));
    let join = Command::Join { user: CAROL, group };
    assert_eq!(refuse(join), over(Limit::MembersPerGroup, 1));
    let create = Command::Create { owner: CAROL, group: GroupId(10), options: None };
    assert_eq!(refuse(create), over(Limit::MembershipsTotal, 1));
    let ban = Command::Ban { by, group, user: CAROL, until };
    assert_eq!(refuse(ban), over(Limit::BansPerGroup, 1));
    let mute = Command::Mute { by, group, user: CAROL, until };
    assert_eq!(refuse(mute), over(Limit::MutesPerGroup, 1));
    let post = Command::Post { author: by, group, message: "".into() };
    assert_eq!(refuse(post), over(Limit::EntriesPerGroup, 1));
    let edit = Command::Edit { author: by, group, seq: Seq(0), message: "longer".into() };
    assert_eq!(refuse(edit), over(Limit::MessageBytesTotal, 1));

    // Commands that make nothing larger are allowed.
    for user in [11, 12, 13].map(UserId) {
        engine.ban(by, group, user, Some(at(99)), at(2)).unwrap().ignore_signals();
        engine.mute(by, group, user, Some(at(99)), at(2)).unwrap().ignore_signals();
    }
    engine.edit(by, group, Seq(0), "tex", at(2)).unwrap().ignore_signals();
    with_limits(&mut engine, Limits { entries_per_group: None, ..lowered });
    engine.post(by, group, "", at(2)).unwrap().ignore_signals();
    let post = |e: &mut Engine| e.post(by, group, "x", at(2));
    assert_eq!(refused(&mut engine, post), over(Limit::MessageBytesTotal, 1));
    engine.leave(BOB, group, at(2)).unwrap().ignore_signals();
}

/// A departure is a membership that ended.
#[test]
fn departures_above_a_lowered_number_are_forgotten_at_the_next_departure() {
    let mut engine = Engine::new(Config { departures: 4, ..unlimited() });
    engine.create(ALICE, GROUP, at(1)).unwrap().ignore_signals();
    let leave = |engine: &mut Engine, user| {
        engine.join(UserId(user), GROUP, at(1)).unwrap().ignore_signals();
        engine.leave(UserId(user), GROUP, at(1)).unwrap().ignore_signals();
        let past = engine.group(&GROUP).unwrap().departures();
        past.iter().map(|past| past.user.0).collect::<Vec<_>>()
    };
    for user in 11..15 {
        leave(&mut engine, user);
    }
    let _ = engine.set_config(Config { departures: 2, ..*engine.config() }).unwrap();
    assert_eq!((engine.group(&GROUP).unwrap().departures().len(), engine.check()), (4, Ok(())));
    // A snapshot with more departures than configured can be read.
    let json = serde_json::to_string(&engine).unwrap();
    assert_eq!(serde_json::from_str::<Engine>(&json).unwrap(), engine);
    assert_eq!(leave(&mut engine, 12), [14, 12]);
    let _ = engine.set_config(Config { departures: 0, ..*engine.config() }).unwrap();
    assert_eq!(leave(&mut engine, 16), [] as [u64; 0]);
}

#[test]
fn the_totals_over_all_groups_are_limited_and_counted() {
    let limits =
        Limits { message_bytes_total: Some(10), memberships_total: Some(3), ..Limits::NONE };
    let mut engine = Engine::new(Config { limits, ..unlimited() });
    let (first, second) = (GroupId(1), GroupId(2));
    engine.create(ALICE, first, at(1)).unwrap().ignore_signals();
    engine.create(BOB, second, at(1)).unwrap().ignore_signals();
    engine.join(CAROL, first, at(1)).unwrap().ignore_signals();
    let add = |e: &mut Engine| e.add(BOB, second, CAROL, at(1));
    assert_eq!(refused(&mut engine, add), over(Limit::MembershipsTotal, 3));
    let join = |e: &mut Engine| e.join(CAROL, second, at(1));
    assert_eq!(refused(&mut engine, join), over(Limit::MembershipsTotal, 3));

    engine.post(ALICE, first, "123456", at(1)).unwrap().ignore_signals();
    engine.post(BOB, second, "1234", at(1)).unwrap().ignore_signals();
    assert_eq!(engine.stats().message_bytes, 10);
    let post = |e: &mut Engine| e.post(BOB, second, "1", at(1));
    assert_eq!(refused(&mut engine, post), over(Limit::MessageBytesTotal, 10));
    // A dissolution makes room under both limits.
    engine.leave(ALICE, first, at(1)).unwrap().ignore_signals();
    assert_eq!((engine.stats().message_bytes, engine.stats().memberships), (4, 1));
    engine.join(CAROL, second, at(1)).unwrap().ignore_signals();
    engine.post(CAROL, second, "123456", at(1)).unwrap().ignore_signals();
    assert_eq!(engine.check(), Ok(()));
}

/// Otherwise an engine at its limit would refuse every post, even one that drops an old entry.
#[test]
fn a_post_is_accepted_if_the_entries_that_it_drops_make_room_under_the_total() {
    let limits = Limits { message_bytes_total: Some(8), ..Limits::NONE };
    let mut engine = Engine::new(Config { limits, ..unlimited() });
    let keep = GroupOptions { keep_entries: Some(2), ..GroupOptions::default() };
    engine.create_with(ALICE, GROUP, keep, at(1)).unwrap().ignore_signals();
    for _ in 0..10 {
        engine.post(ALICE, GROUP, "1234", at(1)).unwrap().ignore_signals();
    }
    let long = |e: &mut Engine| e.post(ALICE, GROUP, "12345", at(1));
    assert_eq!(refused(&mut engine, long), over(Limit::MessageBytesTotal, 8));
    assert_eq!((engine.stats().message_bytes, engine.check()), (8, Ok(())));
}

/// Entries past their retention are dropped only by a post in their group or a change of its
/// options. So a group without posts can hold a part of the total.
#[test]
fn entries_past_their_retention_count_toward_the_total_until_they_are_dropped() {
    let limits = Limits { message_bytes_total: Some(10), ..Limits::NONE };
    let mut engine = Engine::new(Config { limits, ..unlimited() });
    let keep = GroupOptions { keep_ms: Some(10), ..GroupOptions::default() };
    engine.create_with(ALICE, GROUP, keep, at(1)).unwrap().ignore_signals();
    engine.create(BOB, GroupId(8), at(1)).unwrap().ignore_signals();
    for _ in 0..10 {
        engine.post(ALICE, GROUP, "x", at(1)).unwrap().ignore_signals();
    }
    let elsewhere = |e: &mut Engine| e.post(BOB, GroupId(8), "x", at(99));
    assert_eq!(refused(&mut engine, elsewhere), over(Limit::MessageBytesTotal, 10));
    // A post drops up to four of these entries. That makes room for four bytes, not for five.
    let five = |e: &mut Engine| e.post(ALICE, GROUP, "12345", at(99));
    assert_eq!(refused(&mut engine, five), over(Limit::MessageBytesTotal, 10));
    engine.post(ALICE, GROUP, "1234", at(99)).unwrap().ignore_signals();
    engine.set_options(ALICE, GROUP, keep, at(999)).unwrap().ignore_signals();
    assert_eq!((engine.stats().message_bytes, engine.check()), (0, Ok(())));
    engine.post(BOB, GroupId(8), "x", at(999)).unwrap().ignore_signals();
}

#[test]
fn an_edit_must_be_within_the_limit_of_a_message_even_if_it_makes_the_message_shorter() {
    let mut engine = Engine::new(unlimited());
    engine.create(ALICE, GROUP, at(1)).unwrap().ignore_signals();
    let seq = engine.post(ALICE, GROUP, "0123456789", at(1)).unwrap().value;
    with_limits(&mut engine, Limits { message_bytes: Some(3), ..Limits::NONE });
    let shorter = |e: &mut Engine| e.edit(ALICE, GROUP, seq, "01234", at(2));
    assert_eq!(refused(&mut engine, shorter), over(Limit::MessageBytes, 3));
    engine.edit(ALICE, GROUP, seq, "012", at(2)).unwrap().ignore_signals();
}

#[test]
fn charge_changes_the_engine_as_a_refused_command_does() {
    let mut engine: Engine = Engine::default();
    engine.create(ALICE, GROUP, at(0)).unwrap().ignore_signals();
    let post = Command::Post { author: BOB, group: GROUP, message: "long".into() };
    for now in 0..30 {
        let mut replica = engine.clone();
        let result = engine.apply(post.clone(), at(now)).map(|_| ()).unwrap_err();
        let charge = replica.charge(Operation::Post, &BOB, Some(&GROUP), at(now));
        match result {
            Refusal::TooFast { .. } => assert_eq!(charge, Err(result)),
            _ => assert_eq!(charge, Ok(())),
        }
        assert_eq!(engine, replica);
    }
    // Bob is in no group, so `leave_all` changes nothing else either.
    let mut replica = engine.clone();
    engine.leave_all(BOB, at(99)).unwrap().ignore_signals();
    replica.charge(Operation::LeaveAll, &BOB, None, at(99)).unwrap();
    assert_eq!(engine, replica);
}
