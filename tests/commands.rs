//! Creating, joining, leaving, kicking, posting and reading. Each is tested accepted and refused.
//! Whole results are compared.
//!
//! A stint is one unbroken membership of one user in one group. A departure is a membership that
//! ended. A group's version grows by one with each signal, except those about messages.

use disband::{
    Absence, Command, Config, Departure, Engine, Event, GroupId, Page, PastMember, Refusal, Reply,
    Seq, Stint, Timestamp, UserId,
};

mod common;

use common::{ALICE, BOB, CAROL, GROUP, at, dissolved, done, purge, refused, unlimited};

/// Alice owns the group, Bob and Carol are members. The group's version is 3. There are no rate
/// limits.
fn trio() -> Engine {
    let mut engine = Engine::new(unlimited());
    engine.create(ALICE, GROUP, at(1)).unwrap().ignore_signals();
    engine.join(BOB, GROUP, at(2)).unwrap().ignore_signals();
    engine.join(CAROL, GROUP, at(3)).unwrap().ignore_signals();
    engine
}

#[test]
fn create_makes_the_owner_the_first_member() {
    let mut engine: Engine = Engine::default();
    assert_eq!(done(engine.create(ALICE, GROUP, at(5))), (Stint(1), vec![]));
    let group = engine.group(&GROUP).unwrap();
    assert_eq!((group.owner(), group.len(), group.version()), (&ALICE, 1, 1));
}

#[test]
fn create_is_refused_while_the_id_is_in_use_or_reserved() {
    let config = Config { tombstone_ms: 100, ..unlimited() };
    let mut engine = Engine::new(config);
    engine.create(ALICE, GROUP, at(5)).unwrap().ignore_signals();
    assert_eq!(refused(&mut engine, |e| e.create(BOB, GROUP, at(6))), Refusal::GroupExists);
    engine.leave(ALICE, GROUP, at(10)).unwrap().ignore_signals();
    let reserved = Refusal::IdReserved { until: at(110) };
    assert_eq!(refused(&mut engine, |e| e.create(BOB, GROUP, at(109))), reserved);
    // The id is free. The version of the new group begins above the old group's last one, 3.
    assert_eq!(done(engine.create(BOB, GROUP, at(110))), (Stint(4), vec![]));
    assert_eq!(engine.group(&GROUP).unwrap().version(), 4);
    assert_eq!(engine.stats().tombstones, 0);
}

#[test]
fn a_join_signals_the_other_members() {
    let mut engine = trio();
    let (stint, signals) = done(engine.join(UserId(4), GROUP, at(9)));
    assert_eq!(stint, Stint(4));
    assert_eq!(signals, [(UserId(4), 4, Event::MemberJoin { by: None }, vec![ALICE, BOB, CAROL])]);
}

#[test]
fn join_is_refused_to_members_and_for_an_unknown_group() {
    let mut engine = trio();
    assert_eq!(refused(&mut engine, |e| e.join(BOB, GROUP, at(9))), Refusal::AlreadyMember);
    assert_eq!(refused(&mut engine, |e| e.join(BOB, GroupId(8), at(9))), Refusal::NoSuchGroup);
}

#[test]
fn a_leave_signals_the_members_who_remain() {
    let mut engine = trio();
    let (departure, signals) = done(engine.leave(BOB, GROUP, at(9)));
    assert_eq!(departure, Departure::Left { stint: Stint(2) });
    assert_eq!(signals, [(BOB, 4, Event::MemberLeave, vec![ALICE, CAROL])]);
}

#[test]
fn when_the_owner_leaves_the_group_is_dissolved() {
    let mut engine = trio();
    engine.post(BOB, GROUP, "hello", at(4)).unwrap().ignore_signals();
    let (departure, signals) = done(engine.leave(ALICE, GROUP, at(9)));
    assert_eq!(
        signals,
        [
            (ALICE, 4, Event::MemberKick { by: ALICE }, vec![BOB, CAROL]),
            (ALICE, 5, purge(1), vec![BOB, CAROL]),
        ]
    );
    let Departure::Dissolved(dissolved) = departure else { panic!("{departure:?}") };
    let members: Vec<_> = dissolved.group().members().collect();
    assert_eq!(members, [(&ALICE, Stint(1)), (&BOB, Stint(2)), (&CAROL, Stint(3))]);
    let (seq, entry) = dissolved.history().next().unwrap();
    assert_eq!((seq, entry.at, entry.author, &*entry.message), (Seq(0), at(4), BOB, "hello"));
    assert_eq!(engine.stats().memberships, 0);
    assert_eq!(engine.stats().entries, 0);
}

#[test]
fn when_the_only_member_leaves_both_signals_have_no_recipients() {
    let mut engine = Engine::new(unlimited());
    engine.create(ALICE, GROUP, at(1)).unwrap().ignore_signals();
    let (_, signals) = done(engine.leave(ALICE, GROUP, at(2)));
    assert_eq!(
        signals,
        [(ALICE, 2, Event::MemberKick { by: ALICE }, vec![]), (ALICE, 3, purge(0), vec![]),]
    );
}

#[test]
fn a_refused_leave_says_what_is_known_of_the_user_and_the_group() {
    let mut engine = trio();
    let stranger = Refusal::NotMember(Absence::NoRecord);
    assert_eq!(refused(&mut engine, |e| e.leave(UserId(9), GROUP, at(9))), stranger);
    engine.leave(BOB, GROUP, at(9)).unwrap().ignore_signals();
    let left = Refusal::NotMember(Absence::Left { at: at(9) });
    assert_eq!(refused(&mut engine, |e| e.leave(BOB, GROUP, at(10))), left);
    engine.kick(ALICE, GROUP, CAROL, at(11)).unwrap().ignore_signals();
    let kicked = Refusal::NotMember(Absence::Kicked { by: ALICE, at: at(11) });
    assert_eq!(refused(&mut engine, |e| e.leave(CAROL, GROUP, at(12))), kicked);
    engine.leave(ALICE, GROUP, at(13)).unwrap().ignore_signals();
    let dissolved = dissolved(ALICE, at(13));
    assert_eq!(refused(&mut engine, |e| e.leave(BOB, GROUP, at(14))), dissolved);
    assert_eq!(refused(&mut engine, |e| e.leave(BOB, GroupId(8), at(14))), Refusal::NoSuchGroup);
}

#[test]
fn leave_stint_ends_the_stint_that_it_names() {
    let mut engine = trio();
    let (departure, _) = done(engine.leave_stint(BOB, GROUP, Stint(2), at(9)));
    assert_eq!(departure, Departure::Left { stint: Stint(2) });
}

#[test]
fn leave_stint_is_refused_if_it_names_another_stint() {
    let mut engine = trio();
    engine.kick(ALICE, GROUP, BOB, at(9)).unwrap().ignore_signals();
    engine.join(BOB, GROUP, at(10)).unwrap().ignore_signals();
    let over = Refusal::NotMember(Absence::StintOver);
    for other in [0, 1, 2, 3, 5, u64::MAX] {
        let leave = |e: &mut Engine| e.leave_stint(BOB, GROUP, Stint(other), at(11));
        assert_eq!(refused(&mut engine, leave), over);
    }
    // Also for the owner: a late request must not dissolve the group.
    let leave = |e: &mut Engine| e.leave_stint(ALICE, GROUP, Stint(2), at(11));
    assert_eq!(refused(&mut engine, leave), over);
}

#[test]
fn a_kick_signals_all_members_and_the_user_who_is_kicked() {
    let mut engine = trio();
    let (stint, signals) = done(engine.kick(ALICE, GROUP, BOB, at(9)));
    assert_eq!(stint, Stint(2));
    assert_eq!(signals, [(BOB, 4, Event::MemberKick { by: ALICE }, vec![ALICE, BOB, CAROL])]);
}

#[test]
fn refusals_of_kick_have_the_documented_precedence() {
    let mut engine = trio();
    let stranger = UserId(9);
    let mut kick = |by, group, user| refused(&mut engine, |e| e.kick(by, group, user, at(9)));
    assert_eq!(kick(ALICE, GroupId(8), BOB), Refusal::NoSuchGroup);
    assert_eq!(kick(stranger, GROUP, stranger), Refusal::NotMember(Absence::NoRecord));
    assert_eq!(kick(BOB, GROUP, stranger), Refusal::NotAdmin);
    assert_eq!(kick(BOB, GROUP, BOB), Refusal::NotAdmin);
    assert_eq!(kick(ALICE, GROUP, ALICE), Refusal::Outranked);
    assert_eq!(kick(ALICE, GROUP, stranger), Refusal::TargetNotMember(Absence::NoRecord));
}

#[test]
fn a_post_signals_the_other_members() {
    let mut engine = trio();
    let (seq, signals) = done(engine.post(BOB, GROUP, "", at(9)));
    assert_eq!(seq, Seq(0));
    // If the clock goes back, an entry gets the time of the entry before it. A post does not change
    // the version.
    let (seq, more) = done(engine.post(BOB, GROUP, "later", at(4)));
    assert_eq!(seq, Seq(1));
    let event = |seq, message: &str| Event::MessagePost { seq, at: at(9), message: message.into() };
    assert_eq!(signals, [(BOB, 3, event(Seq(0), ""), vec![ALICE, CAROL])]);
    assert_eq!(more, [(BOB, 3, event(Seq(1), "later"), vec![ALICE, CAROL])]);
}

#[test]
fn a_stranger_cannot_post() {
    let mut engine = trio();
    let stranger = Refusal::NotMember(Absence::NoRecord);
    assert_eq!(refused(&mut engine, |e| e.post(UserId(9), GROUP, "hello", at(9))), stranger);
}

#[test]
fn a_member_reads_the_entries_since_they_joined() {
    let mut engine = Engine::new(unlimited());
    engine.create(ALICE, GROUP, at(0)).unwrap().ignore_signals();
    // The entries fill several blocks of the log. Bob joins in the middle of a block.
    for n in 0..100 {
        if n == 50 {
            engine.join(BOB, GROUP, at(n)).unwrap().ignore_signals();
        }
        engine.post(ALICE, GROUP, n.to_string(), at(n)).unwrap().ignore_signals();
    }
    let read = |reader, page| -> Vec<u64> {
        let history = engine.history(&reader, &GROUP, page, at(100)).unwrap();
        assert_eq!(history.len(), history.clone().count());
        assert!(history.clone().rev().eq(history.clone().collect::<Vec<_>>().into_iter().rev()));
        history
            .map(|(seq, entry)| {
                assert_eq!(*entry.message, *seq.to_string());
                seq.0
            })
            .collect()
    };
    let down = |from: u64, to: u64| (to..from).rev().collect::<Vec<u64>>();
    assert_eq!(read(ALICE, Page::newest(u64::MAX)), down(100, 0));
    assert_eq!(read(ALICE, Page::before(Seq(40), 10)), down(40, 30));
    assert_eq!(read(BOB, Page::newest(3)), down(100, 97));
    assert_eq!(read(BOB, Page::newest(u64::MAX)), down(100, 50));
    assert_eq!(read(BOB, Page::before(Seq(60), 20)), down(60, 50));
    assert_eq!(read(BOB, Page::before(Seq(50), 20)), [0u64; 0]);
    assert_eq!(read(BOB, Page::before(Seq(7), 20)), [0u64; 0]);
    assert_eq!(read(BOB, Page::before(Seq(u64::MAX), 1)), [99]);
    assert_eq!(read(BOB, Page::newest(0)), [0u64; 0]);
}

#[test]
fn only_members_can_read_the_history() {
    let mut engine = trio();
    let read = |engine: &Engine, reader, group| {
        engine.history(&reader, &group, Page::newest(1), at(9)).map(|_| ()).unwrap_err()
    };
    assert_eq!(read(&engine, BOB, GroupId(8)), Refusal::NoSuchGroup);
    assert_eq!(read(&engine, UserId(9), GROUP), Refusal::NotMember(Absence::NoRecord));
    engine.leave(ALICE, GROUP, at(5)).unwrap().ignore_signals();
    assert_eq!(read(&engine, BOB, GROUP), dissolved(ALICE, at(5)));
}

#[test]
fn a_group_remembers_its_last_departures_one_per_user() {
    let mut engine = Engine::new(Config { departures: 2, ..unlimited() });
    engine.create(ALICE, GROUP, at(0)).unwrap().ignore_signals();
    for (n, user) in [2, 3, 2, 4].into_iter().enumerate() {
        let now = at(n as u64 + 1);
        engine.join(UserId(user), GROUP, now).unwrap().ignore_signals();
        engine.leave(UserId(user), GROUP, now).unwrap().ignore_signals();
    }
    let mut absence = |user| refused(&mut engine, |e| e.leave(UserId(user), GROUP, at(9)));
    assert_eq!(absence(2), Refusal::NotMember(Absence::Left { at: at(3) }));
    assert_eq!(absence(3), Refusal::NotMember(Absence::NoRecord));
    assert_eq!(absence(4), Refusal::NotMember(Absence::Left { at: at(4) }));
}

#[test]
fn only_the_last_departure_of_a_user_is_remembered() {
    let mut engine = trio();
    let past = |user, ms, kicked_by| PastMember { user, at: at(ms), kicked_by };
    let departures = |engine: &Engine| engine.group(&GROUP).unwrap().departures().to_vec();
    engine.leave(BOB, GROUP, at(4)).unwrap().ignore_signals();
    engine.leave(CAROL, GROUP, at(5)).unwrap().ignore_signals();
    assert_eq!(departures(&engine), [past(BOB, 4, None), past(CAROL, 5, None)]);
    engine.join(BOB, GROUP, at(6)).unwrap().ignore_signals();
    assert_eq!(departures(&engine), [past(BOB, 4, None), past(CAROL, 5, None)]);
    engine.leave(BOB, GROUP, at(7)).unwrap().ignore_signals();
    assert_eq!(departures(&engine), [past(CAROL, 5, None), past(BOB, 7, None)]);
    engine.join(CAROL, GROUP, at(8)).unwrap().ignore_signals();
    engine.kick(ALICE, GROUP, CAROL, at(9)).unwrap().ignore_signals();
    assert_eq!(departures(&engine), [past(BOB, 7, None), past(CAROL, 9, Some(ALICE))]);
}

#[test]
fn masked_hides_that_a_group_exists_from_strangers_and_changes_no_other_refusal() {
    let (by, when) = (ALICE, at(3));
    let hidden = [Refusal::NotMember(Absence::NoRecord), dissolved(by, when)];
    for refusal in hidden {
        assert_eq!(refusal.masked(), Refusal::NoSuchGroup);
    }
    let unchanged: [Refusal<UserId>; 5] = [
        Refusal::NotMember(Absence::Left { at: when }),
        Refusal::NotMember(Absence::StintOver),
        Refusal::TargetNotMember(Absence::NoRecord),
        Refusal::NotOwner,
        Refusal::TooFast { retry_at: when },
    ];
    for refusal in unchanged {
        assert_eq!(refusal.clone().masked(), refusal);
    }
}

#[test]
fn too_fast_takes_precedence_and_is_not_charged() {
    let mut engine: Engine = Engine::default();
    let mut leave = |ms| engine.leave(BOB, GROUP, at(ms)).map(|_| ()).unwrap_err();
    for _ in 0..3 {
        assert_eq!(leave(1_000), Refusal::NoSuchGroup);
    }
    for ms in [1_000, 1_001, 2_999] {
        assert_eq!(leave(ms), Refusal::TooFast { retry_at: at(3_000) });
    }
    assert_eq!(leave(3_000), Refusal::NoSuchGroup);
    assert_eq!(leave(3_001), Refusal::TooFast { retry_at: at(5_000) });
}

#[test]
fn a_clock_that_jumped_ahead_and_back_locks_nobody_out() {
    let mut engine: Engine = Engine::default();
    let mut leave = |ms| engine.leave(BOB, GROUP, at(ms)).map(|_| ()).unwrap_err();
    for _ in 0..3 {
        assert_eq!(leave(1_000_000_000), Refusal::NoSuchGroup);
    }
    assert_eq!(leave(1_000), Refusal::NoSuchGroup);
}

#[test]
fn commands_at_the_largest_timestamp_do_not_panic() {
    let mut engine: Engine = Engine::default();
    let end = Timestamp::MAX;
    engine.create(ALICE, GROUP, end).unwrap().ignore_signals();
    engine.join(BOB, GROUP, end).unwrap().ignore_signals();
    engine.post(BOB, GROUP, "last words", end).unwrap().ignore_signals();
    engine.leave(BOB, GROUP, end).unwrap().ignore_signals();
    for _ in 0..100 {
        let _ = engine.leave(BOB, GROUP, end);
    }
    engine.leave(ALICE, GROUP, end).unwrap().ignore_signals();
    let _ = engine.leave(ALICE, GROUP, at(0));
    assert_eq!(engine.check(), Ok(()));
}

/// A cell is the stored state of one rate limit.
#[test]
fn commands_to_ten_thousand_unknown_groups_share_one_cell() {
    let mut engine: Engine = Engine::default();
    for n in 0..10_000_u64 {
        let _ = engine.leave(BOB, GroupId(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)), at(n * 10));
        assert_eq!(engine.stats().cells, 1);
    }
}

#[test]
fn groups_of_is_in_the_order_of_joining() {
    let mut engine = Engine::new(unlimited());
    for group in [5, 3, 9] {
        engine.create(ALICE, GroupId(group), at(1)).unwrap().ignore_signals();
        engine.join(BOB, GroupId(group), at(1)).unwrap().ignore_signals();
    }
    engine.leave(ALICE, GroupId(3), at(2)).unwrap().ignore_signals();
    let listed: Vec<_> = engine.groups_of(&BOB).collect();
    assert_eq!(listed, [(&GroupId(5), Stint(2)), (&GroupId(9), Stint(6))]);
}

#[test]
fn ids_may_be_of_types_that_the_host_chooses() {
    let mut engine: Engine<String, (u8, char)> = Engine::new(unlimited());
    let (alice, bob) = (String::from("alice"), String::from("bob"));
    let group = (1, 'x');
    engine.create(alice.clone(), group, at(1)).unwrap().ignore_signals();
    engine.join(bob.clone(), group, at(2)).unwrap().ignore_signals();
    let outcome = engine.leave(alice, group, at(3)).unwrap();
    let sent: Vec<_> = outcome.deliveries().map(|(user, signal)| (user, signal.group)).collect();
    assert_eq!(sent, [(&bob, group), (&bob, group)]);
}

#[test]
fn an_engine_can_be_sent_to_another_thread() {
    fn is_send_and_sync<T: Send + Sync>(_: &T) {}
    let mut engine = trio();
    is_send_and_sync(&engine);
    let snapshot = engine.clone();
    let reader = std::thread::spawn(move || snapshot.group(&GROUP).unwrap().len());
    let outcome = engine.leave(ALICE, GROUP, at(9)).unwrap();
    is_send_and_sync(&outcome);
    assert_eq!(reader.join().unwrap(), 3);
}

#[test]
fn commands_as_json_are_read_strictly_and_name_their_actor_group_and_kind() {
    let json = r#"{"leave":{"user":"808080","group":"6228482","stint":null}}"#;
    let leave: Command<UserId, GroupId> = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&leave).unwrap(), json);
    assert_eq!((leave.actor(), leave.group()), (&UserId(808080), Some(&GroupId(6228482))));
    assert_eq!(leave.operation(), disband::Operation::Leave);
    assert_eq!(leave.to_string(), "leave by=808080 group=6228482");
    let mut engine = trio();
    let reply = engine.apply(leave, at(9)).map(|_| ());
    assert_eq!(reply, Err(Refusal::NoSuchGroup));
    for ok in [
        r#"{"leave":{"user":"1","group":"7"}}"#,
        r#"{"create":{"owner":"1","group":"8"}}"#,
        r#"{"create":{"owner":"1","group":"8","options":null}}"#,
        r#"{"create":{"owner":"1","group":"8","options":{}}}"#,
        r#"{"create":{"owner":"1","group":"8","options":{"owner_exit":"dissolve"}}}"#,
    ] {
        assert!(serde_json::from_str::<Command<UserId, GroupId>>(ok).is_ok(), "{ok}");
    }
    for bad in [
        r#"{"leave":{"user":"1","group":"7","stnt":4}}"#,
        r#"{"leave":{"user":1,"group":"7"}}"#,
        r#"{"leave":{"user":"01","group":"7"}}"#,
        r#"{"leave":{"user":"1"}}"#,
        r#"{"create":{"owner":"1","group":"8","options":{"owner_exit":"explode"}}}"#,
        r#"{"create":{"owner":"1","group":"8","options":{"owner_exits":"dissolve"}}}"#,
        r#"{"vanish":{"user":"1","group":"7"}}"#,
    ] {
        assert!(serde_json::from_str::<Command<UserId, GroupId>>(bad).is_err(), "{bad}");
    }
}

#[test]
fn apply_gives_the_same_outcome_as_the_method() {
    let (mut one, mut other) = (trio(), trio());
    let command = Command::Kick { by: ALICE, group: GROUP, user: BOB };
    let as_data = one.apply(command, at(9)).unwrap();
    let by_method = other.kick(ALICE, GROUP, BOB, at(9)).unwrap();
    assert_eq!(as_data, by_method.map(Reply::Kicked));
    assert_eq!(one, other);
}
