//! Joining, adding, and who gets the signals: closed groups, quiet groups, farewells.
//!
//! Nobody can join a closed group: users can only be added. In a quiet group only the staff gets the
//! signals that plain members join and leave. The staff is the owner and the admins. A group's version
//! grows by one with each signal, except those about messages and those about plain members joining
//! or leaving a quiet group.

use disband::{
    Admission, Announce, Command, Engine, Event, Farewell, GroupId, GroupOptions, Limit, Limits,
    OwnerExit, Rank, Refusal, Stint, UserId,
};

mod common;

use common::{ALICE, BOB, CAROL, GROUP, at, dissolved, done, purge, refused, unlimited};

const DAVE: UserId = UserId(4);
const ERIN: UserId = UserId(5);

/// Alice owns the group, Bob is an admin, Carol and Dave are members. The group's version is 5, or
/// 2 if the group is quiet.
fn quartet(options: GroupOptions) -> Engine {
    let mut engine = Engine::new(unlimited());
    engine.create_with(ALICE, GROUP, options, at(1)).unwrap().ignore_signals();
    for user in [BOB, CAROL, DAVE] {
        engine.add(ALICE, GROUP, user, at(2)).unwrap().ignore_signals();
    }
    engine.set_rank(ALICE, GROUP, BOB, Rank::Admin, at(3)).unwrap().ignore_signals();
    if options.announce == Announce::Staff {
        assert_eq!(engine.group(&GROUP).unwrap().version(), 2, "only the new rank counts");
    }
    engine
}

fn closed() -> GroupOptions {
    GroupOptions { admission: Admission::Closed, ..GroupOptions::default() }
}

fn quiet() -> GroupOptions {
    GroupOptions { announce: Announce::Staff, ..GroupOptions::default() }
}

fn added(by: UserId) -> Event<UserId> {
    Event::MemberJoin { by: Some(by) }
}

#[test]
fn an_add_signals_the_new_member_and_all_others_except_the_one_who_adds() {
    for options in [GroupOptions::default(), closed()] {
        let mut engine = quartet(options);
        let (stint, signals) = done(engine.add(BOB, GROUP, ERIN, at(9)));
        assert_eq!(stint, Stint(5));
        assert_eq!(signals, [(ERIN, 6, added(BOB), vec![ALICE, CAROL, DAVE, ERIN])]);
        assert_eq!(engine.group(&GROUP).unwrap().stint(&ERIN), Some(stint));
        assert_eq!(engine.check(), Ok(()));
    }
}

#[test]
fn nobody_can_join_a_closed_group() {
    let mut engine = quartet(closed());
    assert_eq!(refused(&mut engine, |e| e.join(ERIN, GROUP, at(9))), Refusal::Closed);
    assert_eq!(refused(&mut engine, |e| e.join(CAROL, GROUP, at(9))), Refusal::Closed);
    engine.ban(BOB, GROUP, ERIN, None, at(9)).unwrap().ignore_signals();
    let banned = Refusal::Banned { by: BOB, until: None };
    assert_eq!(refused(&mut engine, |e| e.join(ERIN, GROUP, at(9))), banned);
    // Once the owner opens the group, users can join.
    engine.set_options(ALICE, GROUP, GroupOptions::default(), at(9)).unwrap().ignore_signals();
    engine.join(UserId(6), GROUP, at(9)).unwrap().ignore_signals();
}

#[test]
fn an_add_checks_the_rank_then_membership_then_bans_then_limits() {
    let mut engine = quartet(GroupOptions::default());
    let limits = Limits { members_per_group: Some(4), ..Limits::NONE };
    let _ = engine.set_config(disband::Config { limits, ..*engine.config() }).unwrap();
    engine.ban(BOB, GROUP, ERIN, Some(at(99)), at(9)).unwrap().ignore_signals();
    let mut add = |by, user| refused(&mut engine, |e| e.add(by, GROUP, user, at(9)));
    let stranger = Refusal::NotMember(disband::Absence::NoRecord);
    assert_eq!(add(ERIN, ERIN), stranger);
    assert_eq!(add(CAROL, DAVE), Refusal::NotAdmin);
    assert_eq!(add(BOB, DAVE), Refusal::AlreadyMember);
    assert_eq!(add(BOB, BOB), Refusal::AlreadyMember);
    assert_eq!(add(BOB, ERIN), Refusal::TargetBanned { by: BOB, until: Some(at(99)) });
    let full = Refusal::OverLimit { limit: Limit::MembersPerGroup, max: 4 };
    assert_eq!(add(BOB, UserId(6)), full);
    // The ban has ended. When Dave leaves, there is room for one more member.
    engine.leave(DAVE, GROUP, at(99)).unwrap().ignore_signals();
    engine.add(BOB, GROUP, ERIN, at(99)).unwrap().ignore_signals();
    assert_eq!(engine.check(), Ok(()));
}

#[test]
fn an_option_sets_the_lowest_rank_that_may_add() {
    let with = |add| GroupOptions { add, ..closed() };
    let mut engine = quartet(with(Rank::Owner));
    assert_eq!(refused(&mut engine, |e| e.add(BOB, GROUP, ERIN, at(9))), Refusal::NotOwner);
    engine.set_options(ALICE, GROUP, with(Rank::Member), at(9)).unwrap().ignore_signals();
    let (_, signals) = done(engine.add(CAROL, GROUP, ERIN, at(9)));
    assert_eq!(signals, [(ERIN, 6, added(CAROL), vec![ALICE, BOB, DAVE, ERIN])]);
}

#[test]
fn adds_have_their_own_quota_and_respect_the_groups_per_user_limit_of_the_added_user() {
    let mut engine: Engine = Engine::default();
    engine.create(ALICE, GROUP, at(0)).unwrap().ignore_signals();
    for user in 0..20 {
        engine.add(ALICE, GROUP, UserId(100 + user), at(0)).unwrap().ignore_signals();
    }
    let too_fast = Refusal::TooFast { retry_at: at(250) };
    assert_eq!(refused(&mut engine, |e| e.add(ALICE, GROUP, BOB, at(0))), too_fast);
    engine.kick(ALICE, GROUP, UserId(100), at(0)).unwrap().ignore_signals();

    let limits = Limits { groups_per_user: Some(1), ..Limits::NONE };
    let mut engine = Engine::new(disband::Config { limits, ..unlimited() });
    engine.create(ALICE, GROUP, at(0)).unwrap().ignore_signals();
    engine.create(BOB, GroupId(8), at(0)).unwrap().ignore_signals();
    let full = Refusal::OverLimit { limit: Limit::GroupsPerUser, max: 1 };
    assert_eq!(refused(&mut engine, |e| e.add(ALICE, GROUP, BOB, at(0))), full);
}

#[test]
fn in_a_quiet_group_only_the_staff_hears_of_plain_members_joining_and_leaving() {
    let mut engine = quartet(quiet());
    let staff = vec![ALICE, BOB];
    let join = Event::MemberJoin { by: None };
    let (_, signals) = done(engine.join(ERIN, GROUP, at(9)));
    assert_eq!(signals, [(ERIN, 2, join.clone(), staff.clone())]);
    let (_, signals) = done(engine.leave(ERIN, GROUP, at(9)));
    assert_eq!(signals, [(ERIN, 2, Event::MemberLeave, staff.clone())]);
    // The signal of an add goes to the added user, and not to the one who adds.
    let (_, signals) = done(engine.add(BOB, GROUP, ERIN, at(9)));
    assert_eq!(signals, [(ERIN, 2, added(BOB), vec![ALICE, ERIN])]);
    let (_, signals) = done(engine.kick(BOB, GROUP, ERIN, at(9)));
    assert_eq!(signals, [(ERIN, 2, Event::MemberKick { by: BOB }, vec![ALICE, BOB, ERIN])]);
    let (_, signals) = done(engine.ban(ALICE, GROUP, DAVE, None, at(9)));
    assert_eq!(signals, [(DAVE, 2, Event::MemberKick { by: ALICE }, vec![ALICE, BOB, DAVE])]);
    assert_eq!(engine.group(&GROUP).unwrap().version(), 2);
    assert_eq!(engine.check(), Ok(()));
}

#[test]
fn a_plain_member_who_adds_to_a_quiet_group_gets_no_signal() {
    let mut engine = quartet(GroupOptions { add: Rank::Member, ..quiet() });
    let outcome = engine.add(CAROL, GROUP, ERIN, at(9)).unwrap();
    let audience = &outcome.signals[0].audience;
    assert_eq!(audience.iter().collect::<Vec<_>>(), [&ALICE, &BOB, &ERIN]);
    assert_eq!(
        (audience.len(), audience.contains(&ERIN), audience.contains(&CAROL)),
        (3, true, false)
    );
}

#[test]
fn in_a_quiet_group_everyone_gets_all_other_signals() {
    let mut engine = quartet(GroupOptions { owner_exit: OwnerExit::Succeed, ..quiet() });
    let all = vec![ALICE, BOB, CAROL, DAVE];
    let (_, signals) = done(engine.set_rank(ALICE, GROUP, CAROL, Rank::Admin, at(9)));
    assert_eq!(signals, [(CAROL, 3, Event::RankChange { rank: Rank::Admin }, all)]);
    // Everyone gets the signal when an admin leaves or is kicked, and when the owner leaves.
    let (_, signals) = done(engine.leave(CAROL, GROUP, at(9)));
    assert_eq!(signals, [(CAROL, 4, Event::MemberLeave, vec![ALICE, BOB, DAVE])]);
    let (_, signals) = done(engine.leave(ALICE, GROUP, at(9)));
    let remaining = vec![BOB, DAVE];
    assert_eq!(
        signals,
        [
            (ALICE, 5, Event::MemberLeave, remaining.clone()),
            (BOB, 6, Event::OwnerChange { previous: ALICE }, remaining),
        ]
    );
    let (_, signals) = done(engine.mute(BOB, GROUP, DAVE, None, at(9)));
    assert_eq!(signals, [(DAVE, 7, Event::Mute { by: BOB, until: None }, vec![BOB, DAVE])]);
    let (_, signals) = done(engine.dissolve(BOB, GROUP, Farewell::NONE, at(9)));
    let kick = Event::MemberKick { by: BOB };
    assert_eq!(signals, [(BOB, 8, kick, vec![DAVE]), (BOB, 9, purge(0), vec![DAVE])]);
}

#[test]
fn the_staff_follows_every_change_of_the_owner_and_the_admins() {
    let mut engine = quartet(quiet());
    let mut staff_after = |change: &mut dyn FnMut(&mut Engine)| {
        change(&mut engine);
        assert_eq!(engine.check(), Ok(()));
        let joined = engine.preview(Command::Join { user: ERIN, group: GROUP }, at(9)).unwrap();
        joined.signals[0].audience.iter().copied().collect::<Vec<_>>()
    };
    assert_eq!(staff_after(&mut |_| ()), [ALICE, BOB]);
    let appoint = |e: &mut Engine| {
        e.set_rank(ALICE, GROUP, DAVE, Rank::Admin, at(9)).unwrap().ignore_signals();
    };
    assert_eq!(staff_after(&mut { appoint }), [ALICE, BOB, DAVE]);
    let transfer = |e: &mut Engine| {
        e.transfer(ALICE, GROUP, CAROL, at(9)).unwrap().ignore_signals();
    };
    assert_eq!(staff_after(&mut { transfer }), [ALICE, BOB, CAROL, DAVE]);
    let demote = |e: &mut Engine| {
        e.set_rank(CAROL, GROUP, ALICE, Rank::Member, at(9)).unwrap().ignore_signals();
    };
    assert_eq!(staff_after(&mut { demote }), [BOB, CAROL, DAVE]);
    let leave = |e: &mut Engine| {
        e.leave(DAVE, GROUP, at(9)).unwrap().ignore_signals();
    };
    assert_eq!(staff_after(&mut { leave }), [BOB, CAROL]);
}

#[test]
fn a_farewell_is_in_the_last_signal_and_in_refusals_while_the_group_is_remembered() {
    let mut engine = quartet(GroupOptions::default());
    let farewell = Farewell { note: Some("we have moved".into()), successor: Some(GroupId(8)) };
    let (_, signals) = done(engine.dissolve(ALICE, GROUP, farewell.clone(), at(9)));
    let Farewell { note, successor } = farewell;
    let purge = Event::HistoryPurge { before: disband::Seq(0), note: note.clone(), successor };
    assert_eq!(signals[1], (ALICE, 7, purge, vec![BOB, CAROL, DAVE]));
    let gone = Refusal::Dissolved { by: ALICE, at: at(9), note, successor };
    assert_eq!(refused(&mut engine, |e| e.join(BOB, GROUP, at(10))), gone);
    assert_eq!(gone.masked(), Refusal::NoSuchGroup);
    // A snapshot keeps the farewell.
    let json = serde_json::to_string(&engine).unwrap();
    assert_eq!(serde_json::from_str::<Engine>(&json).unwrap(), engine);
    // The tombstone is what is remembered of a dissolved group for a while. Once it has expired,
    // the id is free. A new group under the id, dissolved without a farewell, does not repeat the
    // old one.
    let later = at(9 + engine.config().tombstone_ms);
    engine.create(ALICE, GROUP, later).unwrap().ignore_signals();
    engine.leave(ALICE, GROUP, later).unwrap().ignore_signals();
    let gone = dissolved(ALICE, later);
    assert_eq!(refused(&mut engine, |e| e.join(BOB, GROUP, later)), gone);
}

#[test]
fn a_signal_names_the_user_who_acted() {
    let mut engine = quartet(GroupOptions { owner_exit: OwnerExit::Succeed, ..closed() });
    let group = GROUP;
    let actors: Vec<_> = [
        Command::Add { by: BOB, group, user: ERIN },
        Command::Post { author: ERIN, group, message: "hi".into() },
        Command::Edit { author: ERIN, group, seq: disband::Seq(0), message: "ho".into() },
        Command::Erase { by: BOB, group, seq: disband::Seq(0) },
        Command::Mute { by: BOB, group, user: ERIN, until: None },
        Command::Unmute { by: ALICE, group, user: ERIN },
        Command::SetRank { by: ALICE, group, user: CAROL, rank: Rank::Admin },
        Command::Kick { by: CAROL, group, user: ERIN },
        Command::Ban { by: CAROL, group, user: DAVE, until: None },
        Command::Transfer { owner: ALICE, group, user: CAROL },
        Command::Leave { user: CAROL, group, stint: None },
        Command::Dissolve { owner: ALICE, group, note: None, successor: None },
    ]
    .into_iter()
    .flat_map(|command| {
        let by = *command.actor();
        let signals = engine.apply(command, at(9)).unwrap().signals;
        signals.into_iter().map(move |signal| (by, *signal.actor()))
    })
    .collect();
    assert_eq!(actors.len(), 14);
    assert!(actors.iter().all(|(by, actor)| by == actor), "{actors:?}");
}
