//! Who gets in, and who hears of coming and going: closed groups, adding, quiet groups.

use disband::{
    Admission, Announce, Command, Engine, Event, Farewell, GroupId, GroupOptions, Limit, Limits,
    OwnerExit, Rank, Refusal, Stint, UserId,
};

mod common;

use common::{ALICE, BOB, CAROL, GROUP, at, dissolved, done, purge, refused, unlimited};

const DAVE: UserId = UserId(4);
const ERIN: UserId = UserId(5);

/// Alice owns it, Bob is an admin, Carol and Dave are members. The version is 5.
fn quartet(options: GroupOptions) -> Engine {
    let mut engine = Engine::new(unlimited());
    let _ = engine.create_with(ALICE, GROUP, options, at(1)).unwrap();
    for user in [BOB, CAROL, DAVE] {
        let _ = engine.add(ALICE, GROUP, user, at(2)).unwrap();
    }
    let _ = engine.set_rank(ALICE, GROUP, BOB, Rank::Admin, at(3)).unwrap();
    if options.announce == Announce::Staff {
        assert_eq!(engine.group(&GROUP).unwrap().version(), 2, "only the rank counts");
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
fn an_admin_adds_and_everyone_else_hears_the_one_added_among_them() {
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
fn nobody_joins_a_closed_group() {
    let mut engine = quartet(closed());
    assert_eq!(refused(&mut engine, |e| e.join(ERIN, GROUP, at(9))), Refusal::Closed);
    assert_eq!(refused(&mut engine, |e| e.join(CAROL, GROUP, at(9))), Refusal::Closed);
    let _ = engine.ban(BOB, GROUP, ERIN, None, at(9)).unwrap();
    let banned = Refusal::Banned { by: BOB, until: None };
    assert_eq!(refused(&mut engine, |e| e.join(ERIN, GROUP, at(9))), banned);
    // Opened, it lets them in.
    let _ = engine.set_options(ALICE, GROUP, GroupOptions::default(), at(9)).unwrap();
    let _ = engine.join(UserId(6), GROUP, at(9)).unwrap();
}

#[test]
fn an_add_is_refused_for_rank_then_membership_then_a_ban_then_a_limit() {
    let mut engine = quartet(GroupOptions::default());
    let limits = Limits { members_per_group: Some(4), ..Limits::NONE };
    let _ = engine.set_config(disband::Config { limits, ..*engine.config() }).unwrap();
    let _ = engine.ban(BOB, GROUP, ERIN, Some(at(99)), at(9)).unwrap();
    let mut add = |by, user| refused(&mut engine, |e| e.add(by, GROUP, user, at(9)));
    let stranger = Refusal::NotMember(disband::Absence::NoRecord);
    assert_eq!(add(ERIN, ERIN), stranger);
    assert_eq!(add(CAROL, DAVE), Refusal::NotAdmin);
    assert_eq!(add(BOB, DAVE), Refusal::AlreadyMember);
    assert_eq!(add(BOB, BOB), Refusal::AlreadyMember);
    assert_eq!(add(BOB, ERIN), Refusal::TargetBanned { by: BOB, until: Some(at(99)) });
    let full = Refusal::OverLimit { limit: Limit::MembersPerGroup, max: 4 };
    assert_eq!(add(BOB, UserId(6)), full);
    // The ban is over, and a place is free.
    let _ = engine.leave(DAVE, GROUP, at(99)).unwrap();
    let _ = engine.add(BOB, GROUP, ERIN, at(99)).unwrap();
    assert_eq!(engine.check(), Ok(()));
}

#[test]
fn an_option_says_which_rank_adds() {
    let with = |add| GroupOptions { add, ..closed() };
    let mut engine = quartet(with(Rank::Owner));
    assert_eq!(refused(&mut engine, |e| e.add(BOB, GROUP, ERIN, at(9))), Refusal::NotOwner);
    let _ = engine.set_options(ALICE, GROUP, with(Rank::Member), at(9)).unwrap();
    let (_, signals) = done(engine.add(CAROL, GROUP, ERIN, at(9)));
    assert_eq!(signals, [(ERIN, 6, added(CAROL), vec![ALICE, BOB, DAVE, ERIN])]);
}

#[test]
fn one_who_adds_is_limited_by_a_quota_of_its_own_and_one_added_by_the_groups_they_are_in() {
    let mut engine: Engine = Engine::default();
    let _ = engine.create(ALICE, GROUP, at(0)).unwrap();
    for user in 0..20 {
        let _ = engine.add(ALICE, GROUP, UserId(100 + user), at(0)).unwrap();
    }
    let too_fast = Refusal::TooFast { retry_at: at(250) };
    assert_eq!(refused(&mut engine, |e| e.add(ALICE, GROUP, BOB, at(0))), too_fast);
    let _ = engine.kick(ALICE, GROUP, UserId(100), at(0)).unwrap();

    let limits = Limits { groups_per_user: Some(1), ..Limits::NONE };
    let mut engine = Engine::new(disband::Config { limits, ..unlimited() });
    let _ = engine.create(ALICE, GROUP, at(0)).unwrap();
    let _ = engine.create(BOB, GroupId(8), at(0)).unwrap();
    let full = Refusal::OverLimit { limit: Limit::GroupsPerUser, max: 1 };
    assert_eq!(refused(&mut engine, |e| e.add(ALICE, GROUP, BOB, at(0))), full);
}

#[test]
fn in_a_quiet_group_the_staff_hears_of_members_alone() {
    let mut engine = quartet(quiet());
    let staff = vec![ALICE, BOB];
    let join = Event::MemberJoin { by: None };
    let (_, signals) = done(engine.join(ERIN, GROUP, at(9)));
    assert_eq!(signals, [(ERIN, 2, join.clone(), staff.clone())]);
    let (_, signals) = done(engine.leave(ERIN, GROUP, at(9)));
    assert_eq!(signals, [(ERIN, 2, Event::MemberLeave, staff.clone())]);
    // One who adds does not hear of it, and the one added does.
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
fn a_plain_member_who_adds_to_a_quiet_group_is_none_of_the_hearers_anyway() {
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
fn in_a_quiet_group_everyone_hears_of_all_else() {
    let mut engine = quartet(GroupOptions { owner_exit: OwnerExit::Succeed, ..quiet() });
    let all = vec![ALICE, BOB, CAROL, DAVE];
    let (_, signals) = done(engine.set_rank(ALICE, GROUP, CAROL, Rank::Admin, at(9)));
    assert_eq!(signals, [(CAROL, 3, Event::RankChange { rank: Rank::Admin }, all)]);
    // Admins who leave or are kicked are no plain members.
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
fn the_staff_are_the_owner_and_the_admins_as_they_come_and_go() {
    let mut engine = quartet(quiet());
    let mut heard = |change: &mut dyn FnMut(&mut Engine)| {
        change(&mut engine);
        assert_eq!(engine.check(), Ok(()));
        let joined = engine.preview(Command::Join { user: ERIN, group: GROUP }, at(9)).unwrap();
        joined.signals[0].audience.iter().copied().collect::<Vec<_>>()
    };
    assert_eq!(heard(&mut |_| ()), [ALICE, BOB]);
    let appoint = |e: &mut Engine| {
        let _ = e.set_rank(ALICE, GROUP, DAVE, Rank::Admin, at(9)).unwrap();
    };
    assert_eq!(heard(&mut { appoint }), [ALICE, BOB, DAVE]);
    let transfer = |e: &mut Engine| {
        let _ = e.transfer(ALICE, GROUP, CAROL, at(9)).unwrap();
    };
    assert_eq!(heard(&mut { transfer }), [ALICE, BOB, CAROL, DAVE]);
    let demote = |e: &mut Engine| {
        let _ = e.set_rank(CAROL, GROUP, ALICE, Rank::Member, at(9)).unwrap();
    };
    assert_eq!(heard(&mut { demote }), [BOB, CAROL, DAVE]);
    let leave = |e: &mut Engine| {
        let _ = e.leave(DAVE, GROUP, at(9)).unwrap();
    };
    assert_eq!(heard(&mut { leave }), [BOB, CAROL]);
}

#[test]
fn a_farewell_is_heard_at_the_end_and_repeated_while_the_group_is_remembered() {
    let mut engine = quartet(GroupOptions::default());
    let farewell = Farewell { note: Some("we have moved".into()), successor: Some(GroupId(8)) };
    let (_, signals) = done(engine.dissolve(ALICE, GROUP, farewell.clone(), at(9)));
    let Farewell { note, successor } = farewell;
    let purge = Event::HistoryPurge { before: disband::Seq(0), note: note.clone(), successor };
    assert_eq!(signals[1], (ALICE, 7, purge, vec![BOB, CAROL, DAVE]));
    let gone = Refusal::Dissolved { by: ALICE, at: at(9), note, successor };
    assert_eq!(refused(&mut engine, |e| e.join(BOB, GROUP, at(10))), gone);
    assert_eq!(gone.masked(), Refusal::NoSuchGroup);
    // It outlives a snapshot.
    let json = serde_json::to_string(&engine).unwrap();
    assert_eq!(serde_json::from_str::<Engine>(&json).unwrap(), engine);
    // A group that is created anew and ends without a word says nothing.
    let later = at(9 + engine.config().tombstone_ms);
    let _ = engine.create(ALICE, GROUP, later).unwrap();
    let _ = engine.leave(ALICE, GROUP, later).unwrap();
    let gone = dissolved(ALICE, later);
    assert_eq!(refused(&mut engine, |e| e.join(BOB, GROUP, later)), gone);
}

#[test]
fn a_signal_names_who_acted() {
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
