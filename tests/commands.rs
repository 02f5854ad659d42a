//! Each command, once as it goes well and once as it does not, with whole results compared.

use disband::{
    Absence, Command, Config, Departure, Engine, Event, GroupId, Page, PastMember, Refusal, Reply,
    Seq, Stint, Timestamp, UserId,
};

mod common;

use common::{ALICE, BOB, CAROL, GROUP, at, dissolved, done, purge, refused, unlimited};

/// Alice owns it, Bob and Carol are in it; nothing is limited.
fn trio() -> Engine {
    let mut engine = Engine::new(unlimited());
    let _ = engine.create(ALICE, GROUP, at(1)).unwrap();
    let _ = engine.join(BOB, GROUP, at(2)).unwrap();
    let _ = engine.join(CAROL, GROUP, at(3)).unwrap();
    engine
}

#[test]
fn create() {
    let mut engine: Engine = Engine::default();
    assert_eq!(done(engine.create(ALICE, GROUP, at(5))), (Stint(1), vec![]));
    let group = engine.group(&GROUP).unwrap();
    assert_eq!((group.owner(), group.len(), group.version()), (&ALICE, 1, 1));
}

#[test]
fn create_of_a_living_or_reserved_id() {
    let config = Config { tombstone_ms: 100, ..unlimited() };
    let mut engine = Engine::new(config);
    let _ = engine.create(ALICE, GROUP, at(5)).unwrap();
    assert_eq!(refused(&mut engine, |e| e.create(BOB, GROUP, at(6))), Refusal::GroupExists);
    let _ = engine.leave(ALICE, GROUP, at(10)).unwrap();
    let reserved = Refusal::IdReserved { until: at(110) };
    assert_eq!(refused(&mut engine, |e| e.create(BOB, GROUP, at(109))), reserved);
    // Free again, and no version of the old group comes back: that one ended with 3.
    assert_eq!(done(engine.create(BOB, GROUP, at(110))), (Stint(4), vec![]));
    assert_eq!(engine.group(&GROUP).unwrap().version(), 4);
    assert_eq!(engine.stats().tombstones, 0);
}

#[test]
fn join() {
    let mut engine = trio();
    let (stint, signals) = done(engine.join(UserId(4), GROUP, at(9)));
    assert_eq!(stint, Stint(4));
    assert_eq!(signals, [(UserId(4), 4, Event::MemberJoin { by: None }, vec![ALICE, BOB, CAROL])]);
}

#[test]
fn join_of_a_member_and_of_no_group() {
    let mut engine = trio();
    assert_eq!(refused(&mut engine, |e| e.join(BOB, GROUP, at(9))), Refusal::AlreadyMember);
    assert_eq!(refused(&mut engine, |e| e.join(BOB, GroupId(8), at(9))), Refusal::NoSuchGroup);
}

#[test]
fn leave_of_a_member() {
    let mut engine = trio();
    let (departure, signals) = done(engine.leave(BOB, GROUP, at(9)));
    assert_eq!(departure, Departure::Left { stint: Stint(2) });
    assert_eq!(signals, [(BOB, 4, Event::MemberLeave, vec![ALICE, CAROL])]);
}

#[test]
fn leave_of_the_owner_dissolves() {
    let mut engine = trio();
    let _ = engine.post(BOB, GROUP, "hello", at(4)).unwrap();
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
fn leave_of_an_owner_who_is_alone_tells_nobody_twice() {
    let mut engine = Engine::new(unlimited());
    let _ = engine.create(ALICE, GROUP, at(1)).unwrap();
    let (_, signals) = done(engine.leave(ALICE, GROUP, at(2)));
    assert_eq!(
        signals,
        [(ALICE, 2, Event::MemberKick { by: ALICE }, vec![]), (ALICE, 3, purge(0), vec![]),]
    );
}

#[test]
fn leave_of_a_stranger_of_one_gone_and_of_no_group() {
    let mut engine = trio();
    let stranger = Refusal::NotMember(Absence::NoRecord);
    assert_eq!(refused(&mut engine, |e| e.leave(UserId(9), GROUP, at(9))), stranger);
    let _ = engine.leave(BOB, GROUP, at(9)).unwrap();
    let left = Refusal::NotMember(Absence::Left { at: at(9) });
    assert_eq!(refused(&mut engine, |e| e.leave(BOB, GROUP, at(10))), left);
    let _ = engine.kick(ALICE, GROUP, CAROL, at(11)).unwrap();
    let kicked = Refusal::NotMember(Absence::Kicked { by: ALICE, at: at(11) });
    assert_eq!(refused(&mut engine, |e| e.leave(CAROL, GROUP, at(12))), kicked);
    let _ = engine.leave(ALICE, GROUP, at(13)).unwrap();
    let dissolved = dissolved(ALICE, at(13));
    assert_eq!(refused(&mut engine, |e| e.leave(BOB, GROUP, at(14))), dissolved);
    assert_eq!(refused(&mut engine, |e| e.leave(BOB, GroupId(8), at(14))), Refusal::NoSuchGroup);
}

#[test]
fn leave_stint_ends_the_one_it_names() {
    let mut engine = trio();
    let (departure, _) = done(engine.leave_stint(BOB, GROUP, Stint(2), at(9)));
    assert_eq!(departure, Departure::Left { stint: Stint(2) });
}

#[test]
fn leave_stint_of_another_time() {
    let mut engine = trio();
    let _ = engine.kick(ALICE, GROUP, BOB, at(9)).unwrap();
    let _ = engine.join(BOB, GROUP, at(10)).unwrap();
    let over = Refusal::NotMember(Absence::StintOver);
    for late in [0, 1, 2, 3, 5, u64::MAX] {
        let leave = |e: &mut Engine| e.leave_stint(BOB, GROUP, Stint(late), at(11));
        assert_eq!(refused(&mut engine, leave), over);
    }
    // An owner's too: a late request must not dissolve the group.
    let leave = |e: &mut Engine| e.leave_stint(ALICE, GROUP, Stint(2), at(11));
    assert_eq!(refused(&mut engine, leave), over);
}

#[test]
fn kick() {
    let mut engine = trio();
    let (stint, signals) = done(engine.kick(ALICE, GROUP, BOB, at(9)));
    assert_eq!(stint, Stint(2));
    assert_eq!(signals, [(BOB, 4, Event::MemberKick { by: ALICE }, vec![ALICE, BOB, CAROL])]);
}

#[test]
fn kick_is_refused_in_the_order_of_the_codes() {
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
fn post() {
    let mut engine = trio();
    let (seq, signals) = done(engine.post(BOB, GROUP, "", at(9)));
    assert_eq!(seq, Seq(0));
    // A clock that goes back does not take the history with it. A post is no new version.
    let (seq, more) = done(engine.post(BOB, GROUP, "later", at(4)));
    assert_eq!(seq, Seq(1));
    let event = |seq, message: &str| Event::MessagePost { seq, at: at(9), message: message.into() };
    assert_eq!(signals, [(BOB, 3, event(Seq(0), ""), vec![ALICE, CAROL])]);
    assert_eq!(more, [(BOB, 3, event(Seq(1), "later"), vec![ALICE, CAROL])]);
}

#[test]
fn post_by_a_stranger() {
    let mut engine = trio();
    let stranger = Refusal::NotMember(Absence::NoRecord);
    assert_eq!(refused(&mut engine, |e| e.post(UserId(9), GROUP, "hello", at(9))), stranger);
}

#[test]
fn history_reads_from_the_entry_one_joined_at() {
    let mut engine = Engine::new(unlimited());
    let _ = engine.create(ALICE, GROUP, at(0)).unwrap();
    // Enough for several blocks, and Bob in the midst of one.
    for n in 0..100 {
        if n == 50 {
            let _ = engine.join(BOB, GROUP, at(n)).unwrap();
        }
        let _ = engine.post(ALICE, GROUP, n.to_string(), at(n)).unwrap();
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
fn history_is_for_members() {
    let mut engine = trio();
    let read = |engine: &Engine, reader, group| {
        engine.history(&reader, &group, Page::newest(1), at(9)).map(|_| ()).unwrap_err()
    };
    assert_eq!(read(&engine, BOB, GroupId(8)), Refusal::NoSuchGroup);
    assert_eq!(read(&engine, UserId(9), GROUP), Refusal::NotMember(Absence::NoRecord));
    let _ = engine.leave(ALICE, GROUP, at(5)).unwrap();
    assert_eq!(read(&engine, BOB, GROUP), dissolved(ALICE, at(5)));
}

#[test]
fn a_group_remembers_its_last_departures_one_per_user() {
    let mut engine = Engine::new(Config { departures: 2, ..unlimited() });
    let _ = engine.create(ALICE, GROUP, at(0)).unwrap();
    for (n, user) in [2, 3, 2, 4].into_iter().enumerate() {
        let now = at(n as u64 + 1);
        let _ = engine.join(UserId(user), GROUP, now).unwrap();
        let _ = engine.leave(UserId(user), GROUP, now).unwrap();
    }
    let mut absence = |user| refused(&mut engine, |e| e.leave(UserId(user), GROUP, at(9)));
    assert_eq!(absence(2), Refusal::NotMember(Absence::Left { at: at(3) }));
    assert_eq!(absence(3), Refusal::NotMember(Absence::NoRecord));
    assert_eq!(absence(4), Refusal::NotMember(Absence::Left { at: at(4) }));
}

#[test]
fn two_departures_of_one_user_are_remembered_once() {
    let mut engine = trio();
    let past = |user, ms, kicked_by| PastMember { user, at: at(ms), kicked_by };
    let departures = |engine: &Engine| engine.group(&GROUP).unwrap().departures().to_vec();
    let _ = engine.leave(BOB, GROUP, at(4)).unwrap();
    let _ = engine.leave(CAROL, GROUP, at(5)).unwrap();
    assert_eq!(departures(&engine), [past(BOB, 4, None), past(CAROL, 5, None)]);
    let _ = engine.join(BOB, GROUP, at(6)).unwrap();
    assert_eq!(departures(&engine), [past(BOB, 4, None), past(CAROL, 5, None)]);
    let _ = engine.leave(BOB, GROUP, at(7)).unwrap();
    assert_eq!(departures(&engine), [past(CAROL, 5, None), past(BOB, 7, None)]);
    let _ = engine.join(CAROL, GROUP, at(8)).unwrap();
    let _ = engine.kick(ALICE, GROUP, CAROL, at(9)).unwrap();
    assert_eq!(departures(&engine), [past(BOB, 7, None), past(CAROL, 9, Some(ALICE))]);
}

#[test]
fn masked_hides_that_a_group_exists_from_strangers_only() {
    let (by, when) = (ALICE, at(3));
    let hidden = [Refusal::NotMember(Absence::NoRecord), dissolved(by, when)];
    for refusal in hidden {
        assert_eq!(refusal.masked(), Refusal::NoSuchGroup);
    }
    let open: [Refusal<UserId>; 5] = [
        Refusal::NotMember(Absence::Left { at: when }),
        Refusal::NotMember(Absence::StintOver),
        Refusal::TargetNotMember(Absence::NoRecord),
        Refusal::NotOwner,
        Refusal::TooFast { retry_at: when },
    ];
    for refusal in open {
        assert_eq!(refusal.clone().masked(), refusal);
    }
}

#[test]
fn too_fast_comes_before_all_else_and_costs_nothing() {
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
fn a_clock_that_jumped_ahead_does_not_lock_anybody_out() {
    let mut engine: Engine = Engine::default();
    let mut leave = |ms| engine.leave(BOB, GROUP, at(ms)).map(|_| ()).unwrap_err();
    for _ in 0..3 {
        assert_eq!(leave(1_000_000_000), Refusal::NoSuchGroup);
    }
    assert_eq!(leave(1_000), Refusal::NoSuchGroup);
}

#[test]
fn the_end_of_time_panics_nowhere() {
    let mut engine: Engine = Engine::default();
    let end = Timestamp::MAX;
    let _ = engine.create(ALICE, GROUP, end).unwrap();
    let _ = engine.join(BOB, GROUP, end).unwrap();
    let _ = engine.post(BOB, GROUP, "last words", end).unwrap();
    let _ = engine.leave(BOB, GROUP, end).unwrap();
    for _ in 0..100 {
        let _ = engine.leave(BOB, GROUP, end);
    }
    let _ = engine.leave(ALICE, GROUP, end).unwrap();
    let _ = engine.leave(ALICE, GROUP, at(0));
    assert_eq!(engine.check(), Ok(()));
}

#[test]
fn ten_thousand_random_groups_cost_one_user_one_cell() {
    let mut engine: Engine = Engine::default();
    for n in 0..10_000_u64 {
        let _ = engine.leave(BOB, GroupId(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)), at(n * 10));
        assert_eq!(engine.stats().cells, 1);
    }
}

#[test]
fn groups_of_comes_in_the_order_of_joining() {
    let mut engine = Engine::new(unlimited());
    for group in [5, 3, 9] {
        let _ = engine.create(ALICE, GroupId(group), at(1)).unwrap();
        let _ = engine.join(BOB, GroupId(group), at(1)).unwrap();
    }
    let _ = engine.leave(ALICE, GroupId(3), at(2)).unwrap();
    let listed: Vec<_> = engine.groups_of(&BOB).collect();
    assert_eq!(listed, [(&GroupId(5), Stint(2)), (&GroupId(9), Stint(6))]);
}

#[test]
fn ids_may_be_the_host_s_own() {
    let mut engine: Engine<String, (u8, char)> = Engine::new(unlimited());
    let (alice, bob) = (String::from("alice"), String::from("bob"));
    let group = (1, 'x');
    let _ = engine.create(alice.clone(), group, at(1)).unwrap();
    let _ = engine.join(bob.clone(), group, at(2)).unwrap();
    let outcome = engine.leave(alice, group, at(3)).unwrap();
    let told: Vec<_> = outcome.deliveries().map(|(user, signal)| (user, signal.group)).collect();
    assert_eq!(told, [(&bob, group), (&bob, group)]);
}

#[test]
fn an_engine_goes_between_threads() {
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
fn commands_read_as_the_design_has_them_and_say_what_they_are() {
    let json = r#"{"leave":{"user":"808080","group":"6228482","stint":null}}"#;
    let leave: Command<UserId, GroupId> = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&leave).unwrap(), json);
    assert_eq!((leave.actor(), leave.group()), (&UserId(808080), Some(&GroupId(6228482))));
    assert_eq!(leave.kind(), disband::Operation::Leave);
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
fn a_reply_as_data_is_the_method_s_result() {
    let (mut one, mut other) = (trio(), trio());
    let command = Command::Kick { by: ALICE, group: GROUP, user: BOB };
    let as_data = one.apply(command, at(9)).unwrap();
    let by_method = other.kick(ALICE, GROUP, BOB, at(9)).unwrap();
    assert_eq!(as_data, by_method.map(Reply::Kicked));
    assert_eq!(one, other);
}
