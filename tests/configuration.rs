//! A configuration that changes, the totals that it bounds, and a charge by itself.

use std::num::{NonZeroU32, NonZeroU64};

use disband::{
    Command, Config, ConfigError, Engine, GroupId, GroupOptions, Limit, Limits, Operation, Quota,
    Quotas, Refusal, Seq, UserId,
};

mod common;

use common::{ALICE, BOB, CAROL, GROUP, at, refused, unlimited};

/// One command, then one each `per_ms`.
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
fn the_instance_number_can_not_change() {
    let mut engine: Engine = Engine::new(Config { instance: 3, ..Config::default() });
    let before = engine.clone();
    let other = Config { tombstone_ms: 1, ..Config::default() };
    let error = engine.set_config(other).map(|_| ()).unwrap_err();
    assert_eq!(error, ConfigError::Instance { is: 3, asked: 0 });
    assert_eq!(engine, before);
    let _ = engine.set_config(Config { instance: 3, ..other }).unwrap();
    assert_eq!(engine.config(), &Config { instance: 3, ..other });
}

#[test]
fn where_a_quota_changed_every_allowance_is_full_and_the_others_are_as_they_were() {
    let quotas = Quotas { join: every(1_000), leave: every(1_000), ..Quotas::UNLIMITED };
    let mut engine = Engine::new(Config { quotas, ..Config::default() });
    let _ = engine.create(ALICE, GROUP, at(0)).unwrap();
    let _ = engine.join(BOB, GROUP, at(0)).unwrap();
    let _ = engine.leave(BOB, GROUP, at(0)).unwrap();
    let too_fast = Refusal::TooFast { retry_at: at(1_000) };
    assert_eq!(refused(&mut engine, |e| e.join(BOB, GROUP, at(1))), too_fast);

    let quotas = Quotas { join: every(500), ..quotas };
    let forgotten = engine.set_config(Config { quotas, ..Config::default() }).unwrap();
    assert_eq!((forgotten.len(), engine.stats().cells), (1, 1));
    let _ = engine.join(BOB, GROUP, at(1)).unwrap();
    assert_eq!(
        refused(&mut engine, |e| e.join(BOB, GROUP, at(1))),
        Refusal::TooFast { retry_at: at(501) }
    );
    assert_eq!(refused(&mut engine, |e| e.leave(BOB, GROUP, at(1))), too_fast);
    assert_eq!(engine.check(), Ok(()));

    // Unlimited and back between two commands of one user.
    let limited = *engine.config();
    let unlimited = Config { quotas: Quotas::UNLIMITED, ..limited };
    assert_eq!(engine.set_config(unlimited).unwrap().len(), 2);
    assert_eq!((engine.stats().cells, engine.check()), (0, Ok(())));
    assert!(engine.set_config(limited).unwrap().is_empty());
    let _ = engine.leave(BOB, GROUP, at(1)).unwrap();
    // The same again changes nothing.
    let before = engine.clone();
    assert!(engine.set_config(limited).unwrap().is_empty());
    assert_eq!(engine, before);
}

#[test]
fn what_stands_above_a_lowered_limit_stays_and_stops_growing() {
    let mut engine = Engine::new(unlimited());
    for group in [GROUP, GroupId(8), GroupId(9)] {
        let _ = engine.create(ALICE, group, at(1)).unwrap();
    }
    let _ = engine.join(BOB, GROUP, at(1)).unwrap();
    for user in [11, 12, 13] {
        let _ = engine.ban(ALICE, GROUP, UserId(user), None, at(1)).unwrap();
        let _ = engine.mute(ALICE, GROUP, UserId(user), None, at(1)).unwrap();
    }
    for _ in 0..3 {
        let _ = engine.post(ALICE, GROUP, "text", at(1)).unwrap();
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

    // What makes nothing larger is allowed.
    for user in [11, 12, 13].map(UserId) {
        let _ = engine.ban(by, group, user, Some(at(99)), at(2)).unwrap();
        let _ = engine.mute(by, group, user, Some(at(99)), at(2)).unwrap();
    }
    let _ = engine.edit(by, group, Seq(0), "tex", at(2)).unwrap();
    with_limits(&mut engine, Limits { entries_per_group: None, ..lowered });
    let _ = engine.post(by, group, "", at(2)).unwrap();
    let post = |e: &mut Engine| e.post(by, group, "x", at(2));
    assert_eq!(refused(&mut engine, post), over(Limit::MessageBytesTotal, 1));
    let _ = engine.leave(BOB, group, at(2)).unwrap();
}

#[test]
fn departures_that_are_too_many_go_with_the_next() {
    let mut engine = Engine::new(Config { departures: 4, ..unlimited() });
    let _ = engine.create(ALICE, GROUP, at(1)).unwrap();
    let leave = |engine: &mut Engine, user| {
        let _ = engine.join(UserId(user), GROUP, at(1)).unwrap();
        let _ = engine.leave(UserId(user), GROUP, at(1)).unwrap();
        let past = engine.group(&GROUP).unwrap().departures();
        past.iter().map(|past| past.user.0).collect::<Vec<_>>()
    };
    for user in 11..15 {
        leave(&mut engine, user);
    }
    let _ = engine.set_config(Config { departures: 2, ..*engine.config() }).unwrap();
    assert_eq!((engine.group(&GROUP).unwrap().departures().len(), engine.check()), (4, Ok(())));
    // A snapshot of that day is read back.
    let json = serde_json::to_string(&engine).unwrap();
    assert_eq!(serde_json::from_str::<Engine>(&json).unwrap(), engine);
    assert_eq!(leave(&mut engine, 12), [14, 12]);
    let _ = engine.set_config(Config { departures: 0, ..*engine.config() }).unwrap();
    assert_eq!(leave(&mut engine, 16), [] as [u64; 0]);
}

#[test]
fn the_totals_of_the_engine_are_bounded_and_counted() {
    let limits =
        Limits { message_bytes_total: Some(10), memberships_total: Some(3), ..Limits::NONE };
    let mut engine = Engine::new(Config { limits, ..unlimited() });
    let (first, second) = (GroupId(1), GroupId(2));
    let _ = engine.create(ALICE, first, at(1)).unwrap();
    let _ = engine.create(BOB, second, at(1)).unwrap();
    let _ = engine.join(CAROL, first, at(1)).unwrap();
    let add = |e: &mut Engine| e.add(BOB, second, CAROL, at(1));
    assert_eq!(refused(&mut engine, add), over(Limit::MembershipsTotal, 3));
    let join = |e: &mut Engine| e.join(CAROL, second, at(1));
    assert_eq!(refused(&mut engine, join), over(Limit::MembershipsTotal, 3));

    let _ = engine.post(ALICE, first, "123456", at(1)).unwrap();
    let _ = engine.post(BOB, second, "1234", at(1)).unwrap();
    assert_eq!(engine.stats().message_bytes, 10);
    let post = |e: &mut Engine| e.post(BOB, second, "1", at(1));
    assert_eq!(refused(&mut engine, post), over(Limit::MessageBytesTotal, 10));
    // A dissolution makes room for both.
    let _ = engine.leave(ALICE, first, at(1)).unwrap();
    assert_eq!((engine.stats().message_bytes, engine.stats().memberships), (4, 1));
    let _ = engine.join(CAROL, second, at(1)).unwrap();
    let _ = engine.post(CAROL, second, "123456", at(1)).unwrap();
    assert_eq!(engine.check(), Ok(()));
}

/// Else a full engine would take nothing any more, not even where the oldest entry goes.
#[test]
fn a_post_whose_own_retention_makes_room_is_within_the_total() {
    let limits = Limits { message_bytes_total: Some(8), ..Limits::NONE };
    let mut engine = Engine::new(Config { limits, ..unlimited() });
    let keep = GroupOptions { keep_entries: Some(2), ..GroupOptions::default() };
    let _ = engine.create_with(ALICE, GROUP, keep, at(1)).unwrap();
    for _ in 0..10 {
        let _ = engine.post(ALICE, GROUP, "1234", at(1)).unwrap();
    }
    let long = |e: &mut Engine| e.post(ALICE, GROUP, "12345", at(1));
    assert_eq!(refused(&mut engine, long), over(Limit::MessageBytesTotal, 8));
    assert_eq!((engine.stats().message_bytes, engine.check()), (8, Ok(())));
}

/// Only a post or other options drop them, so a silent group holds a part of the total.
#[test]
fn entries_past_their_retention_count_until_they_are_dropped() {
    let limits = Limits { message_bytes_total: Some(10), ..Limits::NONE };
    let mut engine = Engine::new(Config { limits, ..unlimited() });
    let keep = GroupOptions { keep_ms: Some(10), ..GroupOptions::default() };
    let _ = engine.create_with(ALICE, GROUP, keep, at(1)).unwrap();
    let _ = engine.create(BOB, GroupId(8), at(1)).unwrap();
    for _ in 0..10 {
        let _ = engine.post(ALICE, GROUP, "x", at(1)).unwrap();
    }
    let elsewhere = |e: &mut Engine| e.post(BOB, GroupId(8), "x", at(99));
    assert_eq!(refused(&mut engine, elsewhere), over(Limit::MessageBytesTotal, 10));
    // Four of them make room for four bytes, not for five.
    let five = |e: &mut Engine| e.post(ALICE, GROUP, "12345", at(99));
    assert_eq!(refused(&mut engine, five), over(Limit::MessageBytesTotal, 10));
    let _ = engine.post(ALICE, GROUP, "1234", at(99)).unwrap();
    let _ = engine.set_options(ALICE, GROUP, keep, at(999)).unwrap();
    assert_eq!((engine.stats().message_bytes, engine.check()), (0, Ok(())));
    let _ = engine.post(BOB, GroupId(8), "x", at(999)).unwrap();
}

#[test]
fn a_message_is_measured_whole_even_if_it_was_longer_before() {
    let mut engine = Engine::new(unlimited());
    let _ = engine.create(ALICE, GROUP, at(1)).unwrap();
    let seq = engine.post(ALICE, GROUP, "0123456789", at(1)).unwrap().value;
    with_limits(&mut engine, Limits { message_bytes: Some(3), ..Limits::NONE });
    let shorter = |e: &mut Engine| e.edit(ALICE, GROUP, seq, "01234", at(2));
    assert_eq!(refused(&mut engine, shorter), over(Limit::MessageBytes, 3));
    let _ = engine.edit(ALICE, GROUP, seq, "012", at(2)).unwrap();
}

#[test]
fn a_charge_is_what_a_refused_command_leaves_behind() {
    let mut engine: Engine = Engine::default();
    let _ = engine.create(ALICE, GROUP, at(0)).unwrap();
    let refused = Command::Post { author: BOB, group: GROUP, message: "long".into() };
    for now in 0..30 {
        let mut replica = engine.clone();
        let result = engine.apply(refused.clone(), at(now)).map(|_| ()).unwrap_err();
        let charge = replica.charge(Operation::Post, &BOB, Some(&GROUP), at(now));
        match result {
            Refusal::TooFast { .. } => assert_eq!(charge, Err(result)),
            _ => assert_eq!(charge, Ok(())),
        }
        assert_eq!(engine, replica);
    }
    let mut replica = engine.clone();
    let _ = engine.leave_all(BOB, at(99)).unwrap();
    replica.charge(Operation::LeaveAll, &BOB, None, at(99)).unwrap();
    assert_eq!(engine, replica);
}
