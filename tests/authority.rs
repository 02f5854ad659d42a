//! Owners, admins, bans, options, retention of the log, `leave_all`, limits, the sweep and batches:
//! what succeeds and what is refused.
//!
//! A stint is one unbroken membership of one user in one group. The index lists the groups of each
//! user. A dissolved group leaves stale entries in the index. The sweep removes stale entries
//! during later commands. A retention says how many entries of a group's log are kept, and for how
//! long.

use disband::{
    Absence, Ban, BatchRefusal, Command, Config, Departure, Engine, Event, Farewell, GroupId,
    GroupOptions, HistoryAccess, Limit, Limits, OwnerExit, Page, Rank, Refusal, Reply, Seq, Stint,
    Timestamp, UserId,
};

mod common;

use common::{ALICE, BOB, CAROL, GROUP, at, dissolved, done, refused, unlimited};

const DAVE: UserId = UserId(4);
const STRANGER: UserId = UserId(9);

/// Alice owns the group, Bob and Carol are admins, Dave is a member. Carol joined before Bob. The
/// group's version is 6.
fn quartet(owner_exit: OwnerExit) -> Engine {
    let mut engine = Engine::new(unlimited());
    let options = GroupOptions { owner_exit, ..GroupOptions::default() };
    engine.create_with(ALICE, GROUP, options, at(1)).unwrap().ignore_signals();
    for user in [CAROL, BOB, DAVE] {
        engine.join(user, GROUP, at(2)).unwrap().ignore_signals();
    }
    for user in [BOB, CAROL] {
        engine.set_rank(ALICE, GROUP, user, Rank::Admin, at(3)).unwrap().ignore_signals();
    }
    engine
}

#[test]
fn the_admin_with_the_longest_membership_succeeds_an_owner_who_leaves() {
    let mut engine = quartet(OwnerExit::Succeed);
    let (departure, signals) = done(engine.leave(ALICE, GROUP, at(9)));
    assert_eq!(departure, Departure::Succeeded { stint: Stint(1), owner: CAROL });
    let remaining = vec![BOB, CAROL, DAVE];
    assert_eq!(
        signals,
        [
            (ALICE, 7, Event::MemberLeave, remaining.clone()),
            (CAROL, 8, Event::OwnerChange { previous: ALICE }, remaining),
        ]
    );
    let group = engine.group(&GROUP).unwrap();
    assert_eq!(
        (group.owner(), group.rank(&BOB), group.rank(&ALICE)),
        (&CAROL, Some(Rank::Admin), None)
    );
    assert_eq!(group.admins().collect::<Vec<_>>(), [(&BOB, Stint(3))]);
    assert_eq!(engine.check(), Ok(()));
}

#[test]
fn a_rank_ends_with_the_stint() {
    let mut engine = quartet(OwnerExit::Succeed);
    engine.leave(CAROL, GROUP, at(9)).unwrap().ignore_signals();
    engine.join(CAROL, GROUP, at(10)).unwrap().ignore_signals();
    assert_eq!(engine.group(&GROUP).unwrap().rank(&CAROL), Some(Rank::Member));
    let (departure, _) = done(engine.leave(ALICE, GROUP, at(11)));
    assert_eq!(departure, Departure::Succeeded { stint: Stint(1), owner: BOB });
}

#[test]
fn with_succession_but_without_an_admin_the_group_is_dissolved() {
    let mut engine = quartet(OwnerExit::Succeed);
    for user in [BOB, CAROL] {
        engine.set_rank(ALICE, GROUP, user, Rank::Member, at(4)).unwrap().ignore_signals();
    }
    let (departure, _) = done(engine.leave(ALICE, GROUP, at(9)));
    assert!(matches!(departure, Departure::Dissolved(_)));
}

#[test]
fn an_owner_who_must_stay_can_transfer_or_dissolve_or_leave_as_the_last_member() {
    let mut engine = quartet(OwnerExit::Refuse);
    assert_eq!(refused(&mut engine, |e| e.leave(ALICE, GROUP, at(9))), Refusal::OwnerMustStay);
    // A request that names another stint is refused for that reason first.
    let late = |e: &mut Engine| e.leave_stint(ALICE, GROUP, Stint(2), at(9));
    assert_eq!(refused(&mut engine, late), Refusal::NotMember(Absence::StintOver));

    let mut dissolved = engine.clone();
    let (contents, signals) = done(dissolved.dissolve(ALICE, GROUP, Farewell::NONE, at(9)));
    assert_eq!((contents.group().len(), signals.len()), (4, 2));
    assert_eq!(dissolved.group(&GROUP), None);

    engine.transfer(ALICE, GROUP, DAVE, at(9)).unwrap().ignore_signals();
    let (departure, _) = done(engine.leave(ALICE, GROUP, at(10)));
    assert_eq!(departure, Departure::Left { stint: Stint(1) });
    for user in [BOB, CAROL] {
        engine.leave(user, GROUP, at(11)).unwrap().ignore_signals();
    }
    let (departure, _) = done(engine.leave(DAVE, GROUP, at(12)));
    assert!(matches!(departure, Departure::Dissolved(_)), "the last member may always leave");
}

#[test]
fn a_transfer_makes_a_member_the_owner_and_the_old_owner_an_admin() {
    let mut engine = quartet(OwnerExit::Dissolve);
    let ((), signals) = done(engine.transfer(ALICE, GROUP, BOB, at(9)));
    let change = Event::OwnerChange { previous: ALICE };
    assert_eq!(signals, [(BOB, 7, change, vec![ALICE, BOB, CAROL, DAVE])]);
    let group = engine.group(&GROUP).unwrap();
    let ranks = [ALICE, BOB, CAROL].map(|user| group.rank(&user).unwrap());
    assert_eq!(ranks, [Rank::Admin, Rank::Owner, Rank::Admin]);
    assert_eq!(engine.owned_by(&BOB).map(|(id, _)| *id).collect::<Vec<_>>(), [GROUP]);
    assert_eq!(engine.owned_by(&ALICE).count(), 0);
}

#[test]
fn refusals_of_transfer_have_the_documented_precedence() {
    let mut engine = quartet(OwnerExit::Dissolve);
    let mut transfer =
        |owner, group, user| refused(&mut engine, |e| e.transfer(owner, group, user, at(9)));
    assert_eq!(transfer(ALICE, GroupId(8), BOB), Refusal::NoSuchGroup);
    assert_eq!(transfer(STRANGER, GROUP, STRANGER), Refusal::NotMember(Absence::NoRecord));
    assert_eq!(transfer(BOB, GROUP, STRANGER), Refusal::NotOwner);
    assert_eq!(transfer(ALICE, GROUP, STRANGER), Refusal::TargetNotMember(Absence::NoRecord));
    assert_eq!(transfer(ALICE, GROUP, ALICE), Refusal::AlreadyOwner);
}

#[test]
fn the_owner_can_make_a_member_an_admin_and_kick_an_admin() {
    let mut engine = quartet(OwnerExit::Dissolve);
    let ((), signals) = done(engine.set_rank(ALICE, GROUP, DAVE, Rank::Admin, at(9)));
    let all = vec![ALICE, BOB, CAROL, DAVE];
    assert_eq!(signals, [(DAVE, 7, Event::RankChange { rank: Rank::Admin }, all)]);
    engine.kick(ALICE, GROUP, DAVE, at(10)).unwrap().ignore_signals();
}

#[test]
fn refusals_of_set_rank_have_the_documented_precedence() {
    let mut engine = quartet(OwnerExit::Dissolve);
    let mut set =
        |by, user, rank| refused(&mut engine, |e| e.set_rank(by, GROUP, user, rank, at(9)));
    assert_eq!(set(STRANGER, BOB, Rank::Admin), Refusal::NotMember(Absence::NoRecord));
    assert_eq!(set(BOB, DAVE, Rank::Admin), Refusal::NotOwner);
    assert_eq!(set(ALICE, ALICE, Rank::Member), Refusal::Outranked);
    assert_eq!(set(ALICE, STRANGER, Rank::Owner), Refusal::Outranked);
    assert_eq!(set(ALICE, STRANGER, Rank::Admin), Refusal::TargetNotMember(Absence::NoRecord));
    assert_eq!(set(ALICE, BOB, Rank::Admin), Refusal::AlreadyRanked);
    assert_eq!(set(ALICE, DAVE, Rank::Member), Refusal::AlreadyRanked);
}

#[test]
fn an_admin_can_kick_plain_members_only() {
    let mut engine = quartet(OwnerExit::Dissolve);
    for (by, user) in [(BOB, CAROL), (BOB, BOB), (BOB, ALICE), (ALICE, ALICE)] {
        let kick = |e: &mut Engine| e.kick(by, GROUP, user, at(9));
        assert_eq!(refused(&mut engine, kick), Refusal::Outranked, "{by} kicks {user}");
    }
    let kick = |e: &mut Engine| e.kick(BOB, GROUP, STRANGER, at(9));
    assert_eq!(refused(&mut engine, kick), Refusal::TargetNotMember(Absence::NoRecord));
    let (stint, _) = done(engine.kick(BOB, GROUP, DAVE, at(9)));
    assert_eq!(stint, Stint(4));
}

#[test]
fn a_ban_kicks_a_member_and_bars_a_stranger_and_replaces_an_older_ban() {
    let mut engine = quartet(OwnerExit::Dissolve);
    let (ended, signals) = done(engine.ban(BOB, GROUP, DAVE, Some(at(100)), at(9)));
    assert_eq!(ended, Some(Stint(4)));
    let all = vec![ALICE, BOB, CAROL, DAVE];
    assert_eq!(signals, [(DAVE, 7, Event::MemberKick { by: BOB }, all)]);
    assert_eq!(done(engine.ban(BOB, GROUP, STRANGER, None, at(10))), (None, vec![]));

    let banned = |by, until| Refusal::Banned { by, until };
    let mut join = |user, ms| refused(&mut engine, |e| e.join(user, GROUP, at(ms)));
    assert_eq!(join(DAVE, 99), banned(BOB, Some(at(100))));
    assert_eq!(join(STRANGER, u64::MAX), banned(BOB, None));

    assert_eq!(done(engine.ban(ALICE, GROUP, DAVE, Some(at(50)), at(11))), (None, vec![]));
    let group = engine.group(&GROUP).unwrap();
    let bans: Vec<_> = group.bans(at(49)).map(|(user, ban)| (*user, ban.clone())).collect();
    let ban = |by, until| Ban { by, until };
    assert_eq!(bans, [(DAVE, ban(ALICE, Some(at(50)))), (STRANGER, ban(BOB, None))]);
    assert_eq!(group.bans(at(50)).count(), 1);

    engine.join(DAVE, GROUP, at(50)).unwrap().ignore_signals();
    let ((), signals) = done(engine.unban(CAROL, GROUP, STRANGER, at(51)));
    assert_eq!(signals, []);
    engine.join(STRANGER, GROUP, at(52)).unwrap().ignore_signals();
    assert_eq!(engine.check(), Ok(()));
}

#[test]
fn refusals_of_ban_have_the_documented_precedence() {
    let mut engine = quartet(OwnerExit::Dissolve);
    let mut ban = |by, user, until| refused(&mut engine, |e| e.ban(by, GROUP, user, until, at(9)));
    assert_eq!(ban(STRANGER, BOB, None), Refusal::NotMember(Absence::NoRecord));
    assert_eq!(ban(DAVE, BOB, None), Refusal::NotAdmin);
    for (by, user) in [(BOB, ALICE), (ALICE, ALICE), (BOB, BOB), (BOB, CAROL)] {
        assert_eq!(ban(by, user, Some(at(9))), Refusal::Outranked, "{by} bans {user}");
    }
    for past in [0, 8, 9] {
        assert_eq!(ban(BOB, DAVE, Some(at(past))), Refusal::AlreadyExpired);
    }
}

#[test]
fn unban_is_refused_to_plain_members_and_for_users_who_are_not_banned() {
    let mut engine = quartet(OwnerExit::Dissolve);
    engine.ban(BOB, GROUP, STRANGER, Some(at(20)), at(9)).unwrap().ignore_signals();
    let mut unban = |by, user, ms| refused(&mut engine, |e| e.unban(by, GROUP, user, at(ms)));
    assert_eq!(unban(DAVE, STRANGER, 10), Refusal::NotAdmin);
    assert_eq!(unban(BOB, DAVE, 10), Refusal::NotBanned);
    assert_eq!(unban(BOB, STRANGER, 20), Refusal::NotBanned);
}

#[test]
fn expired_bans_are_removed_a_few_at_a_time() {
    let limits = Limits { bans_per_group: Some(10), ..Limits::default() };
    let mut engine = Engine::new(Config { limits, ..unlimited() });
    engine.create(ALICE, GROUP, at(0)).unwrap().ignore_signals();
    for user in 100..110 {
        engine.ban(ALICE, GROUP, UserId(user), Some(at(user)), at(1)).unwrap().ignore_signals();
    }
    let full = Refusal::OverLimit { limit: Limit::BansPerGroup, max: 10 };
    let ban = |e: &mut Engine| e.ban(ALICE, GROUP, STRANGER, None, at(99));
    assert_eq!(refused(&mut engine, ban), full);
    // Replacing a ban does not add one. A new ban may take the place of an expired one.
    engine.ban(ALICE, GROUP, UserId(105), None, at(99)).unwrap().ignore_signals();
    engine.ban(ALICE, GROUP, STRANGER, None, at(100)).unwrap().ignore_signals();
    assert_eq!(engine.group(&GROUP).unwrap().bans(at(0)).count(), 10);
    // Two more bans have expired, and a join removes them.
    engine.join(BOB, GROUP, at(102)).unwrap().ignore_signals();
    assert_eq!(engine.group(&GROUP).unwrap().bans(at(0)).count(), 8);
    assert_eq!(engine.check(), Ok(()));
}

#[test]
fn only_the_owner_can_change_the_options() {
    let mut engine = quartet(OwnerExit::Dissolve);
    let options = GroupOptions { history: HistoryAccess::Full, ..GroupOptions::default() };
    let set = |e: &mut Engine| e.set_options(BOB, GROUP, options, at(9));
    assert_eq!(refused(&mut engine, set), Refusal::NotOwner);
    engine.post(ALICE, GROUP, "before", at(9)).unwrap().ignore_signals();
    engine.join(STRANGER, GROUP, at(9)).unwrap().ignore_signals();
    let read =
        |engine: &Engine| engine.history(&STRANGER, &GROUP, Page::newest(9), at(10)).unwrap().len();
    assert_eq!(read(&engine), 0);
    assert_eq!(done(engine.set_options(ALICE, GROUP, options, at(10))), ((), vec![]));
    assert_eq!(read(&engine), 1);
    assert_eq!(engine.group(&GROUP).unwrap().options(), &options);
}

/// A group with these options, whose only member is Alice. She has posted `messages` messages, one
/// each millisecond.
fn log(options: GroupOptions, messages: u64) -> Engine {
    let mut engine = Engine::new(unlimited());
    engine.create_with(ALICE, GROUP, options, at(0)).unwrap().ignore_signals();
    for n in 0..messages {
        engine.post(ALICE, GROUP, n.to_string(), at(n)).unwrap().ignore_signals();
    }
    engine
}

/// The numbers of the entries on a page, newest first, as Alice reads them. Checks that the page
/// has the same entries when it is read backwards.
fn read(engine: &Engine, page: Page, ms: u64) -> Vec<u64> {
    let history = engine.history(&ALICE, &GROUP, page, at(ms)).unwrap();
    assert!(history.clone().rev().eq(history.clone().collect::<Vec<_>>().into_iter().rev()));
    history.map(|(seq, _)| seq.0).collect()
}

#[test]
fn retention_by_count_keeps_the_newest_entries() {
    for keep in [0, 1, 5, 31, 32, 33, 100] {
        let options = GroupOptions { keep_entries: Some(keep), ..GroupOptions::default() };
        let mut engine = log(options, 200);
        let kept: Vec<u64> = (200 - keep..200).rev().collect();
        assert_eq!(read(&engine, Page::newest(u64::MAX), 200), kept);
        assert_eq!(engine.stats().entries, keep);
        assert_eq!(engine.check(), Ok(()));
        // Numbers of entries are never reused.
        let (seq, _) = done(engine.post(ALICE, GROUP, "next", at(200)));
        assert_eq!(seq, Seq(200));
    }
}

#[test]
fn retention_by_age_hides_entries_at_once_and_each_post_drops_four() {
    let options = GroupOptions { keep_ms: Some(50), ..GroupOptions::default() };
    let mut engine = log(options, 40);
    assert_eq!(read(&engine, Page::newest(u64::MAX), 60), (11..40).rev().collect::<Vec<_>>());
    assert_eq!(read(&engine, Page::before(Seq(14), 10), 60), [13, 12, 11]);
    assert_eq!(read(&engine, Page::before(Seq(5), 10), 60), [0u64; 0]);
    assert_eq!(engine.stats().entries, 40, "reading drops nothing");
    for left in [37, 34, 32, 33] {
        engine.post(ALICE, GROUP, "x", at(60)).unwrap().ignore_signals();
        assert_eq!(engine.stats().entries, left);
    }
    assert_eq!(engine.check(), Ok(()));
    // If the clock goes back, the hidden entries that were not dropped can be read again.
    assert_eq!(read(&engine, Page::newest(u64::MAX), 40).last(), Some(&11));
}

#[test]
fn entries_past_a_shorter_retention_are_dropped_later_and_a_longer_one_restores_none() {
    let mut engine = log(GroupOptions::default(), 1_000);
    let keep = |n| GroupOptions { keep_entries: n, ..GroupOptions::default() };
    engine.set_options(ALICE, GROUP, keep(Some(10)), at(1_000)).unwrap().ignore_signals();
    assert_eq!(read(&engine, Page::newest(u64::MAX), 1_000).len(), 10);
    assert_eq!(engine.stats().entries, 1_000, "only later posts drop them");
    engine.post(ALICE, GROUP, "x", at(1_000)).unwrap().ignore_signals();
    assert_eq!(engine.stats().entries, 997);
    engine.set_options(ALICE, GROUP, keep(None), at(1_000)).unwrap().ignore_signals();
    assert_eq!(read(&engine, Page::newest(u64::MAX), 1_000).len(), 10);
    assert_eq!(engine.stats().entries, 10);
    for _ in 0..100 {
        engine.post(ALICE, GROUP, "x", at(1_000)).unwrap().ignore_signals();
        assert_eq!(engine.check(), Ok(()));
    }
    assert_eq!(read(&engine, Page::newest(u64::MAX), 1_000).len(), 110);
}

#[test]
fn a_log_that_expired_completely_is_consistent_while_its_blocks_are_freed() {
    let options = GroupOptions { keep_ms: Some(10_000), ..GroupOptions::default() };
    let mut engine = log(options, 2_000);
    engine.set_options(ALICE, GROUP, GroupOptions::default(), at(50_000)).unwrap().ignore_signals();
    assert_eq!((engine.stats().entries, engine.check()), (0, Ok(())));
    for n in 0..100 {
        let (seq, _) = done(engine.post(ALICE, GROUP, "x", at(50_000)));
        assert_eq!(seq, Seq(2_000 + n));
        assert_eq!(engine.check(), Ok(()));
    }
    assert_eq!(read(&engine, Page::newest(u64::MAX), 50_000).len(), 100);
}

#[test]
fn a_batch_whose_iterator_panics_leaves_the_engine_unchanged() {
    let mut engine = quartet(OwnerExit::Dissolve);
    let before = engine.clone();
    let commands = [Command::Join { user: STRANGER, group: GROUP }].into_iter();
    let source = commands.chain(std::iter::from_fn(|| panic!("in the iterator")));
    let run = std::panic::AssertUnwindSafe(|| engine.apply_all(source, at(9)));
    assert!(std::panic::catch_unwind(run).is_err());
    assert_eq!(engine, before);
}

#[test]
fn entries_and_tombstones_do_not_expire_at_the_largest_timestamp() {
    let end = Timestamp::MAX;
    let mut engine = Engine::new(Config { tombstone_ms: 1, ..unlimited() });
    let keep = GroupOptions { keep_ms: Some(u64::MAX), ..GroupOptions::default() };
    engine.create_with(ALICE, GROUP, keep, end).unwrap().ignore_signals();
    engine.post(ALICE, GROUP, "last words", end).unwrap().ignore_signals();
    assert_eq!(read(&engine, Page::newest(1), u64::MAX), [0]);
    engine.leave(ALICE, GROUP, end).unwrap().ignore_signals();
    let gone = dissolved(ALICE, end);
    assert_eq!(refused(&mut engine, |e| e.join(BOB, GROUP, end)), gone);
}

#[test]
fn a_page_may_have_a_limit_of_zero_or_of_four_billion() {
    let engine = log(GroupOptions::default(), 100);
    assert_eq!(read(&engine, Page::newest(0), 100), [0u64; 0]);
    assert_eq!(read(&engine, Page::newest(4_000_000_000), 100).len(), 100);
}

#[test]
fn leave_all_ends_every_membership_even_where_the_owner_must_stay() {
    let mut engine = quartet(OwnerExit::Refuse);
    let (of_dave, without_admin) = (GroupId(8), GroupId(9));
    let refuse = GroupOptions { owner_exit: OwnerExit::Refuse, ..GroupOptions::default() };
    engine.create(DAVE, of_dave, at(3)).unwrap().ignore_signals();
    engine.join(ALICE, of_dave, at(3)).unwrap().ignore_signals();
    engine.create_with(ALICE, without_admin, refuse, at(3)).unwrap().ignore_signals();
    engine.join(BOB, without_admin, at(3)).unwrap().ignore_signals();
    let (groups, signals) = done(engine.leave_all(ALICE, at(9)));
    let [(first, succeeded), (second, left), (third, dissolved)] = &groups[..] else {
        panic!("{groups:?}")
    };
    assert_eq!((first, second, third), (&GROUP, &of_dave, &without_admin));
    assert_eq!(succeeded, &Departure::Succeeded { stint: Stint(1), owner: CAROL });
    assert!(matches!(left, Departure::Left { .. }));
    assert!(matches!(dissolved, Departure::Dissolved(_)), "no admin can succeed Alice");
    assert_eq!(signals.len(), 2 + 1 + 2);
    assert_eq!(engine.groups_of(&ALICE).count(), 0);
    assert_eq!(done(engine.leave_all(ALICE, at(10))), (vec![], vec![]), "succeeds without groups");
}

#[test]
fn leave_all_ends_ten_thousand_memberships() {
    let mut engine = Engine::new(unlimited());
    for group in 0..10_000 {
        let owner = if group % 2 == 0 { ALICE } else { BOB };
        engine.create(owner, GroupId(group), at(1)).unwrap().ignore_signals();
        if owner == BOB {
            engine.join(ALICE, GroupId(group), at(1)).unwrap().ignore_signals();
        }
    }
    let (groups, signals) = done(engine.leave_all(ALICE, at(2)));
    assert_eq!((groups.len(), signals.len()), (10_000, 15_000));
    assert_eq!((engine.stats().groups, engine.stats().memberships), (5_000, 5_000));
    assert_eq!(engine.check(), Ok(()));
}

/// A rate cell is the stored state of one rate limit.
#[test]
fn leave_all_has_one_rate_cell_per_user() {
    let mut engine: Engine = Engine::default();
    for _ in 0..20 {
        engine.leave_all(ALICE, at(0)).unwrap().ignore_signals();
    }
    let too_fast = Refusal::TooFast { retry_at: at(250) };
    assert_eq!(refused(&mut engine, |e| e.leave_all(ALICE, at(0))), too_fast);
    assert_eq!(engine.stats().cells, 1);
}

#[test]
fn a_refusal_names_the_limit() {
    let limits = Limits {
        members_per_group: Some(2),
        groups_per_user: Some(2),
        message_bytes: Some(3),
        entries_per_group: Some(2),
        bans_per_group: Some(0),
        mutes_per_group: Some(0),
        note_bytes: Some(3),
        ..Limits::NONE
    };
    let mut engine = Engine::new(Config { limits, ..unlimited() });
    let over = |limit, max| Refusal::OverLimit { limit, max };
    for group in [1, 2] {
        engine.create(ALICE, GroupId(group), at(1)).unwrap().ignore_signals();
    }
    let (first, third) = (GroupId(1), GroupId(3));
    let create = |e: &mut Engine| e.create(ALICE, third, at(1));
    assert_eq!(refused(&mut engine, create), over(Limit::GroupsPerUser, 2));
    engine.join(BOB, first, at(1)).unwrap().ignore_signals();
    let join = |e: &mut Engine| e.join(CAROL, first, at(1));
    assert_eq!(refused(&mut engine, join), over(Limit::MembersPerGroup, 2));
    let ban = |e: &mut Engine| e.ban(ALICE, first, CAROL, None, at(1));
    assert_eq!(refused(&mut engine, ban), over(Limit::BansPerGroup, 0));
    let mute = |e: &mut Engine| e.mute(ALICE, first, CAROL, None, at(1));
    assert_eq!(refused(&mut engine, mute), over(Limit::MutesPerGroup, 0));
    let farewell = Farewell { note: Some("four".into()), successor: None };
    let dissolve = |e: &mut Engine| e.dissolve(ALICE, first, farewell, at(1));
    assert_eq!(refused(&mut engine, dissolve), over(Limit::NoteBytes, 3));
    let post = |e: &mut Engine| e.post(ALICE, first, "four", at(1));
    assert_eq!(refused(&mut engine, post), over(Limit::MessageBytes, 3));
    for _ in 0..2 {
        engine.post(ALICE, first, "", at(1)).unwrap().ignore_signals();
    }
    let post = |e: &mut Engine| e.post(ALICE, first, "", at(1));
    assert_eq!(refused(&mut engine, post), over(Limit::EntriesPerGroup, 2));
    // A post is accepted if the group's retention makes room for it.
    let keep = GroupOptions { keep_entries: Some(2), ..GroupOptions::default() };
    engine.set_options(ALICE, first, keep, at(1)).unwrap().ignore_signals();
    engine.post(ALICE, first, "", at(1)).unwrap().ignore_signals();
}

#[test]
fn a_host_can_sweep_as_many_index_entries_as_it_likes() {
    let mut engine = Engine::new(unlimited());
    engine.create(ALICE, GROUP, at(0)).unwrap().ignore_signals();
    for user in 10..110 {
        engine.join(UserId(user), GROUP, at(0)).unwrap().ignore_signals();
    }
    engine.leave(ALICE, GROUP, at(1)).unwrap().ignore_signals();
    let waiting = engine.stats().unswept;
    engine.sweep(3);
    assert_eq!(engine.stats().unswept, waiting - 3);
    engine.sweep(usize::MAX);
    assert_eq!(engine.stats().unswept, 0);
}

#[test]
fn unswept_index_entries_do_not_count_as_groups_of_a_user() {
    let limits = Limits { groups_per_user: Some(2), ..Limits::default() };
    let mut engine = Engine::new(Config { limits, ..unlimited() });
    engine.create(ALICE, GROUP, at(1)).unwrap().ignore_signals();
    for user in 100..200 {
        engine.join(UserId(user), GROUP, at(1)).unwrap().ignore_signals();
    }
    engine.leave(ALICE, GROUP, at(2)).unwrap().ignore_signals();
    let last = UserId(199);
    for group in [1, 2] {
        engine.create(last, GroupId(group), at(3)).unwrap().ignore_signals();
        assert!(engine.stats().unswept > 50, "most entries are unswept");
        assert_eq!(engine.check(), Ok(()));
    }
    let full = Refusal::OverLimit { limit: Limit::GroupsPerUser, max: 2 };
    assert_eq!(refused(&mut engine, |e| e.create(last, GroupId(3), at(3))), full);
}

#[test]
fn stale_index_entries_do_not_belong_to_a_new_group_with_the_same_id() {
    let mut engine = Engine::new(Config { tombstone_ms: 0, ..unlimited() });
    engine.create(ALICE, GROUP, at(1)).unwrap().ignore_signals();
    for user in 100..200 {
        engine.join(UserId(user), GROUP, at(1)).unwrap().ignore_signals();
    }
    engine.leave(ALICE, GROUP, at(2)).unwrap().ignore_signals();
    engine.create(UserId(150), GROUP, at(3)).unwrap().ignore_signals();
    assert!(engine.stats().unswept > 90);
    let listed = |user| engine.groups_of(&UserId(user)).count();
    assert_eq!((listed(150), listed(151)), (1, 0));
    assert_eq!(engine.check(), Ok(()));
}

#[test]
fn a_batch_can_transfer_a_group_and_leave_it() {
    let mut engine = quartet(OwnerExit::Refuse);
    let batch = [
        Command::Transfer { owner: ALICE, group: GROUP, user: DAVE },
        Command::Leave { user: ALICE, group: GROUP, stint: None },
    ];
    let all = engine.apply_all(batch, at(9)).unwrap();
    let left = Reply::Departed(Departure::Left { stint: Stint(1) });
    assert_eq!(all.value, [Reply::Transferred, left]);
    assert_eq!(all.signals.iter().map(|signal| signal.version).collect::<Vec<_>>(), [7, 8]);
    assert_eq!(engine.group(&GROUP).unwrap().owner(), &DAVE);
}

#[test]
fn a_batch_of_ten_thousand_whose_last_command_is_refused_changes_nothing() {
    let mut engine = quartet(OwnerExit::Dissolve);
    let before = engine.clone();
    let join = |n: u64| Command::Join { user: UserId(1_000 + n % 9_999), group: GROUP };
    let refusal = Refusal::AlreadyMember;
    assert_eq!(
        engine.apply_all((0..10_000).map(join), at(9)),
        Err(BatchRefusal { index: 9_999, refusal })
    );
    assert_eq!((&engine, engine.stats()), (&before, before.stats()));
}

#[test]
fn a_batch_is_not_rate_limited() {
    let mut engine: Engine = Engine::default();
    let create = |n| Command::Create { owner: ALICE, group: GroupId(n), options: None };
    let all = engine.apply_all((0..100).map(create), at(9)).unwrap();
    assert_eq!((all.value.len(), engine.stats().cells), (100, 0));
}

/// Each command of a batch removes expired tombstones and stale index entries. A tombstone is what
/// is remembered of a dissolved group for a while.
#[test]
fn each_command_of_a_batch_cleans_as_much_as_a_single_command() {
    let mut engine = Engine::new(Config { tombstone_ms: 100, ..unlimited() });
    engine.create(ALICE, GROUP, at(1)).unwrap().ignore_signals();
    for group in (100..110).map(GroupId) {
        engine.create(BOB, group, at(1)).unwrap().ignore_signals();
        for user in 100..110 {
            engine.join(UserId(user), group, at(1)).unwrap().ignore_signals();
        }
    }
    engine.leave_all(BOB, at(2)).unwrap().ignore_signals();
    assert_eq!((engine.stats().tombstones, engine.stats().unswept), (10, 110));

    let post = || Command::Post { author: ALICE, group: GROUP, message: "hello".into() };
    let mut one_by_one = engine.clone();
    for _ in 0..3 {
        one_by_one.apply(post(), at(200)).unwrap().ignore_signals();
    }
    engine.apply_all([post(), post(), post()], at(200)).unwrap().ignore_signals();
    assert_eq!(engine.stats().tombstones, 4, "each command removes two");
    assert_eq!(engine.stats(), one_by_one.stats());
    assert_eq!(engine.stats().unswept, 110, "the sweep works in runs, and none is due yet");
    engine.apply_all((0..100).map(|_| post()), at(200)).unwrap().ignore_signals();
    assert!(engine.stats().unswept < 110, "{:?}", engine.stats());

    let before = engine.stats();
    engine.apply_all([], at(200)).unwrap().ignore_signals();
    assert_eq!(engine.stats(), before, "an empty batch cleans nothing");
}

/// A batch neither checks nor charges rate limits, so it does not evict their cells.
#[test]
fn a_batch_evicts_no_rate_cell() {
    let mut engine: Engine = Engine::default();
    engine.create(ALICE, GROUP, at(1)).unwrap().ignore_signals();
    for user in 100..110 {
        let _ = engine.leave(UserId(user), GROUP, at(2)).unwrap_err();
    }
    assert_eq!(engine.stats().cells, 11);
    let post = || Command::Post { author: ALICE, group: GROUP, message: "hello".into() };
    engine.apply_all([post(), post()], at(1_000_000)).unwrap().ignore_signals();
    assert_eq!(engine.stats().cells, 11);
    engine.apply(post(), at(1_000_000)).unwrap().ignore_signals();
    assert_eq!(engine.stats().cells, 10, "two were evicted and one was added");
}

#[test]
fn preview_returns_the_outcome_and_changes_nothing() {
    let engine = quartet(OwnerExit::Dissolve);
    let before = engine.clone();
    let leave = Command::Leave { user: ALICE, group: GROUP, stint: None };
    let outcome = engine.preview(leave, at(9)).unwrap();
    assert_eq!(outcome.signals[0].audience.len(), 3);
    assert_eq!(engine, before);
}
