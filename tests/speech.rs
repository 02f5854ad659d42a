//! Posting, muting, editing and erasing: who may do it, and who gets the signals.

use std::sync::Arc;

use disband::{
    Absence, Command, Engine, Event, GroupId, GroupOptions, HistoryAccess, Limit, Limits, Mute,
    Page, Rank, Refusal, Seq, Timestamp, UserId,
};

mod common;

use common::{ALICE, BOB, CAROL, GROUP, at, done, refused, unlimited};

const DAVE: UserId = UserId(4);
const STRANGER: UserId = UserId(9);

/// Alice owns the group, Bob is an admin, Carol and Dave are members. The group's version is 5.
fn quartet(options: GroupOptions) -> Engine {
    let mut engine = Engine::new(unlimited());
    engine.create_with(ALICE, GROUP, options, at(1)).unwrap().ignore_signals();
    for user in [BOB, CAROL, DAVE] {
        engine.join(user, GROUP, at(2)).unwrap().ignore_signals();
    }
    engine.set_rank(ALICE, GROUP, BOB, Rank::Admin, at(3)).unwrap().ignore_signals();
    engine
}

/// The same group with the default options.
fn plain() -> Engine {
    quartet(GroupOptions::default())
}

fn post(engine: &mut Engine, author: UserId, message: &str) -> Seq {
    done(engine.post(author, GROUP, message, at(5))).0
}

/// An entry as (text, time of the last edit, user who erased it).
type Read = (String, Option<Timestamp>, Option<UserId>);

fn read(engine: &Engine, reader: UserId, seq: Seq) -> Read {
    let page = Page::before(Seq(seq.0 + 1), 1);
    let (found, entry) = engine.history(&reader, &GROUP, page, at(5)).unwrap().next().unwrap();
    assert_eq!(found, seq);
    (entry.message.to_string(), entry.edited(), entry.erased_by().copied())
}

#[test]
fn an_option_sets_the_lowest_rank_that_may_post() {
    let with = |post| GroupOptions { post, ..GroupOptions::default() };
    let mut engine = quartet(with(Rank::Admin));
    engine.mute(ALICE, GROUP, CAROL, None, at(4)).unwrap().ignore_signals();
    let post = |user| move |e: &mut Engine| e.post(user, GROUP, "x", at(5));
    assert_eq!(
        refused(&mut engine, post(CAROL)),
        Refusal::NotAdmin,
        "the rank is checked before the mute"
    );
    engine.post(BOB, GROUP, "x", at(5)).unwrap().ignore_signals();
    engine.set_options(ALICE, GROUP, with(Rank::Owner), at(5)).unwrap().ignore_signals();
    assert_eq!(refused(&mut engine, post(BOB)), Refusal::NotOwner);
    engine.post(ALICE, GROUP, "x", at(5)).unwrap().ignore_signals();
    // An author who may no longer post may still edit and erase.
    engine.edit(BOB, GROUP, Seq(0), "y", at(5)).unwrap().ignore_signals();
    engine.erase(BOB, GROUP, Seq(0), at(5)).unwrap().ignore_signals();
}

#[test]
fn a_mute_signals_all_members_and_forbids_posts_and_edits_until_it_ends() {
    let mut engine = plain();
    let (all, until) = (vec![ALICE, BOB, CAROL, DAVE], Some(at(20)));
    let seq = post(&mut engine, CAROL, "before");
    let (_, signals) = done(engine.mute(BOB, GROUP, CAROL, until, at(9)));
    assert_eq!(signals, [(CAROL, 6, Event::Mute { by: BOB, until }, all)]);
    let muted = Refusal::Muted { by: BOB, until };
    assert_eq!(refused(&mut engine, |e| e.post(CAROL, GROUP, "x", at(19))), muted);
    assert_eq!(refused(&mut engine, |e| e.edit(CAROL, GROUP, seq, "x", at(19))), muted);
    let group = engine.group(&GROUP).unwrap();
    assert_eq!(group.mutes(at(19)).collect::<Vec<_>>(), [(&CAROL, &Mute { by: BOB, until })]);
    assert_eq!((group.mute(&CAROL, at(20)), group.mutes(at(20)).count()), (None, 0));
    // A muted user may read and erase. Leaving and joining again does not end the mute.
    engine.erase(CAROL, GROUP, seq, at(19)).unwrap().ignore_signals();
    engine.leave(CAROL, GROUP, at(19)).unwrap().ignore_signals();
    engine.join(CAROL, GROUP, at(19)).unwrap().ignore_signals();
    assert_eq!(refused(&mut engine, |e| e.post(CAROL, GROUP, "x", at(19))), muted);
    engine.post(CAROL, GROUP, "x", at(20)).unwrap().ignore_signals();
}

#[test]
fn only_a_member_who_could_mute_a_user_can_unmute_them() {
    let mut engine = plain();
    engine.mute(ALICE, GROUP, BOB, None, at(9)).unwrap().ignore_signals();
    engine.mute(ALICE, GROUP, CAROL, None, at(9)).unwrap().ignore_signals();
    let mut unmute = |by, user| refused(&mut engine, |e| e.unmute(by, GROUP, user, at(9)));
    assert_eq!(unmute(STRANGER, CAROL), Refusal::NotMember(Absence::NoRecord));
    assert_eq!(unmute(DAVE, CAROL), Refusal::NotAdmin);
    assert_eq!(unmute(BOB, BOB), Refusal::Outranked);
    assert_eq!(unmute(BOB, ALICE), Refusal::Outranked);
    assert_eq!(unmute(BOB, DAVE), Refusal::NotMuted);
    // A muted admin keeps their other rights.
    let (_, signals) = done(engine.unmute(BOB, GROUP, CAROL, at(9)));
    let all = vec![ALICE, BOB, CAROL, DAVE];
    assert_eq!(signals, [(CAROL, 8, Event::Unmute { by: BOB }, all)]);
    assert_eq!(refused(&mut engine, |e| e.unmute(BOB, GROUP, CAROL, at(9))), Refusal::NotMuted);
}

#[test]
fn refusals_of_mute_have_the_precedence_of_those_of_ban() {
    let mut engine = plain();
    let mut mute = |by, user, until: u64| {
        refused(&mut engine, |e| e.mute(by, GROUP, user, Some(at(until)), at(9)))
    };
    assert_eq!(mute(STRANGER, CAROL, 10), Refusal::NotMember(Absence::NoRecord));
    assert_eq!(mute(CAROL, DAVE, 10), Refusal::NotAdmin);
    assert_eq!(mute(BOB, ALICE, 10), Refusal::Outranked);
    assert_eq!(mute(BOB, BOB, 10), Refusal::Outranked);
    assert_eq!(mute(ALICE, ALICE, 10), Refusal::Outranked);
    assert_eq!(mute(BOB, CAROL, 9), Refusal::AlreadyExpired);
}

#[test]
fn muting_a_stranger_sends_no_signal_and_a_new_mute_replaces_the_old_one() {
    let mut engine = plain();
    assert_eq!(done(engine.mute(BOB, GROUP, STRANGER, Some(at(20)), at(9))).1, []);
    assert_eq!(done(engine.mute(ALICE, GROUP, STRANGER, None, at(9))).1, []);
    engine.join(STRANGER, GROUP, at(30)).unwrap().ignore_signals();
    let muted = Refusal::Muted { by: ALICE, until: None };
    assert_eq!(refused(&mut engine, |e| e.post(STRANGER, GROUP, "x", at(30))), muted);
    engine.leave(STRANGER, GROUP, at(30)).unwrap().ignore_signals();
    assert_eq!(done(engine.unmute(BOB, GROUP, STRANGER, at(30))).1, []);
}

#[test]
fn only_mute_and_unmute_remove_expired_mutes_and_each_removes_two() {
    let mut engine = plain();
    for user in 10..16 {
        engine.mute(BOB, GROUP, UserId(user), Some(at(10)), at(9)).unwrap().ignore_signals();
    }
    // The serialised engine includes expired mutes.
    let stored = |engine: &Engine| {
        let value = serde_json::to_value(engine).unwrap();
        value["groups"][0][1]["mutes"].as_array().unwrap().len()
    };
    engine.ban(BOB, GROUP, STRANGER, None, at(20)).unwrap().ignore_signals();
    engine.join(UserId(20), GROUP, at(20)).unwrap().ignore_signals();
    assert_eq!(stored(&engine), 6);
    engine.mute(BOB, GROUP, DAVE, None, at(20)).unwrap().ignore_signals();
    assert_eq!(stored(&engine), 5);
    engine.unmute(BOB, GROUP, DAVE, at(20)).unwrap().ignore_signals();
    assert_eq!(stored(&engine), 2);
    assert_eq!(engine.check(), Ok(()));
}

#[test]
fn an_edit_signals_the_new_text_to_the_other_members() {
    let mut engine = plain();
    let seq = post(&mut engine, CAROL, "helo");
    let (_, signals) = done(engine.edit(CAROL, GROUP, seq, "hello", at(9)));
    let edit = Event::MessageEdit { seq, at: at(9), message: "hello".into() };
    assert_eq!(signals, [(CAROL, 5, edit, vec![ALICE, BOB, DAVE])]);
    assert_eq!(read(&engine, ALICE, seq), ("hello".into(), Some(at(9)), None));
    // If the clock goes back, an edit gets the time of its entry.
    let (_, signals) = done(engine.edit(CAROL, GROUP, seq, "", at(1)));
    assert_eq!(signals[0].2, Event::MessageEdit { seq, at: at(5), message: "".into() });
    assert_eq!(read(&engine, ALICE, seq), (String::new(), Some(at(5)), None));
    assert_eq!(engine.stats().message_bytes, 0);
    assert_eq!(engine.check(), Ok(()));
}

#[test]
fn an_edit_checks_the_entry_then_mutes_then_the_author_then_erasure_then_limits() {
    let mut engine = plain();
    let limits = Limits { message_bytes: Some(9), ..Limits::NONE };
    let _ = engine.set_config(disband::Config { limits, ..*engine.config() }).unwrap();
    let (by_carol, by_bob) = (post(&mut engine, CAROL, "hers"), post(&mut engine, BOB, "his"));
    let mut edit =
        |author, seq, text: &str| refused(&mut engine, |e| e.edit(author, GROUP, seq, text, at(9)));
    assert_eq!(edit(STRANGER, by_carol, ""), Refusal::NotMember(Absence::NoRecord));
    assert_eq!(edit(CAROL, Seq(2), ""), Refusal::NoSuchEntry, "not posted yet");
    assert_eq!(edit(CAROL, Seq(u64::MAX), ""), Refusal::NoSuchEntry);
    assert_eq!(edit(ALICE, by_carol, ""), Refusal::NotAuthor, "not even the owner may");
    let long = Refusal::OverLimit { limit: Limit::MessageBytes, max: 9 };
    assert_eq!(edit(CAROL, by_carol, "0123456789"), long);
    engine.erase(CAROL, GROUP, by_carol, at(9)).unwrap().ignore_signals();
    let edit = |e: &mut Engine| e.edit(CAROL, GROUP, by_carol, "0123456789", at(9));
    assert_eq!(refused(&mut engine, edit), Refusal::AlreadyErased);
    engine.mute(ALICE, GROUP, BOB, None, at(9)).unwrap().ignore_signals();
    let edit = |seq| move |e: &mut Engine| e.edit(BOB, GROUP, seq, "", at(9));
    let muted = Refusal::Muted { by: ALICE, until: None };
    assert_eq!(refused(&mut engine, edit(by_carol)), muted);
    assert_eq!(refused(&mut engine, edit(by_bob)), muted);
    assert_eq!(refused(&mut engine, edit(Seq(7))), Refusal::NoSuchEntry);
}

#[test]
fn an_author_who_joined_again_can_change_only_entries_that_they_may_read() {
    for (history, may) in [(HistoryAccess::Full, true), (HistoryAccess::FromJoin, false)] {
        let mut engine = quartet(GroupOptions { history, ..GroupOptions::default() });
        let seq = post(&mut engine, CAROL, "hers");
        engine.leave(CAROL, GROUP, at(6)).unwrap().ignore_signals();
        engine.join(CAROL, GROUP, at(7)).unwrap().ignore_signals();
        let commands = [
            Command::Edit { author: CAROL, group: GROUP, seq, message: "ours".into() },
            Command::Erase { by: CAROL, group: GROUP, seq },
        ];
        for command in commands {
            let result = engine.apply(command, at(8)).map(|_| ());
            assert_eq!(result, if may { Ok(()) } else { Err(Refusal::NoSuchEntry) });
        }
    }
}

#[test]
fn an_entry_past_its_retention_cannot_be_edited_or_erased() {
    let keep = GroupOptions { keep_entries: Some(2), keep_ms: Some(50), ..GroupOptions::default() };
    let mut engine = quartet(keep);
    for text in ["one", "two", "three"] {
        engine.post(CAROL, GROUP, text, at(10)).unwrap().ignore_signals();
    }
    let erase = |seq, now| move |e: &mut Engine| e.erase(CAROL, GROUP, Seq(seq), at(now));
    assert_eq!(refused(&mut engine, erase(0, 11)), Refusal::NoSuchEntry, "too many newer entries");
    assert_eq!(refused(&mut engine, erase(2, 60)), Refusal::NoSuchEntry, "too old");
    let edit = |seq, now| move |e: &mut Engine| e.edit(CAROL, GROUP, Seq(seq), "", at(now));
    assert_eq!(refused(&mut engine, edit(0, 11)), Refusal::NoSuchEntry);
    assert_eq!(refused(&mut engine, edit(2, 60)), Refusal::NoSuchEntry);
    engine.erase(CAROL, GROUP, Seq(1), at(59)).unwrap().ignore_signals();
}

#[test]
fn only_the_author_or_a_member_of_higher_rank_can_erase() {
    let mut engine = plain();
    let by_carol = post(&mut engine, CAROL, "carol");
    let by_bob = post(&mut engine, BOB, "bob");
    let by_alice = post(&mut engine, ALICE, "alice");
    let mut erase = |by, seq| refused(&mut engine, |e| e.erase(by, GROUP, seq, at(9)));
    assert_eq!(erase(STRANGER, by_carol), Refusal::NotMember(Absence::NoRecord));
    assert_eq!(erase(DAVE, by_carol), Refusal::NotAuthor);
    assert_eq!(erase(DAVE, by_alice), Refusal::NotAuthor);
    assert_eq!(erase(BOB, by_alice), Refusal::Outranked);
    assert_eq!(erase(DAVE, Seq(3)), Refusal::NoSuchEntry);
    let (_, signals) = done(engine.erase(BOB, GROUP, by_carol, at(9)));
    let others = vec![ALICE, CAROL, DAVE];
    assert_eq!(signals, [(BOB, 5, Event::MessageErase { seq: by_carol }, others)]);
    assert_eq!(read(&engine, DAVE, by_carol), (String::new(), None, Some(BOB)));
    let again = |by| move |e: &mut Engine| e.erase(by, GROUP, by_carol, at(9));
    assert_eq!(refused(&mut engine, again(CAROL)), Refusal::AlreadyErased);
    assert_eq!(
        refused(&mut engine, again(DAVE)),
        Refusal::NotAuthor,
        "the right to erase comes first"
    );
    // What counts is the rank that the author has now. Bob is an admin like Carol until he leaves.
    engine.set_rank(ALICE, GROUP, CAROL, Rank::Admin, at(9)).unwrap().ignore_signals();
    let erase = |e: &mut Engine| e.erase(CAROL, GROUP, by_bob, at(9));
    assert_eq!(refused(&mut engine, erase), Refusal::Outranked);
    engine.leave(BOB, GROUP, at(9)).unwrap().ignore_signals();
    engine.erase(CAROL, GROUP, by_bob, at(9)).unwrap().ignore_signals();
    engine.erase(ALICE, GROUP, by_alice, at(9)).unwrap().ignore_signals();
    assert_eq!(engine.stats().message_bytes, 0);
    assert_eq!(engine.check(), Ok(()));
}

#[test]
fn an_erased_text_is_freed_and_is_in_no_later_snapshot() {
    let mut engine = plain();
    let text: Arc<str> = "a secret".into();
    let held = Arc::downgrade(&text);
    let seq = engine.post(CAROL, GROUP, text, at(5)).unwrap().value;
    // The entry is in a full block of the log, which a clone of the engine shares.
    for _ in 0..100 {
        engine.post(DAVE, GROUP, "x", at(5)).unwrap().ignore_signals();
    }
    let clone = engine.clone();
    engine.erase(BOB, GROUP, seq, at(9)).unwrap().ignore_signals();
    assert!(held.upgrade().is_some(), "the older clone holds it");
    drop(clone);
    assert!(held.upgrade().is_none());
    assert!(!serde_json::to_string(&engine).unwrap().contains("secret"));
    assert_eq!(engine.check(), Ok(()));
}

#[test]
fn mute_unmute_edit_and_erase_have_quotas_of_their_own() {
    let mut engine: Engine = Engine::default();
    let (group, user, until) = (GROUP, BOB, None);
    engine.create(ALICE, GROUP, at(0)).unwrap().ignore_signals();
    let commands = [
        Command::Mute { by: ALICE, group, user, until },
        Command::Unmute { by: ALICE, group, user },
        Command::Edit { author: ALICE, group, seq: Seq(0), message: "".into() },
        Command::Erase { by: ALICE, group, seq: Seq(0) },
    ];
    for command in commands {
        for _ in 0..20 {
            let result = engine.apply(command.clone(), at(0));
            assert!(!matches!(result, Err(Refusal::TooFast { .. })));
        }
        let too_fast = Err(Refusal::TooFast { retry_at: at(250) });
        assert_eq!(engine.apply(command, at(0)), too_fast);
    }
}

/// The group's `HistoryAccess` also limits what an admin can erase.
#[test]
fn an_admin_cannot_erase_an_entry_that_they_may_not_read() {
    let mut engine = plain();
    let seq = post(&mut engine, CAROL, "before");
    engine.join(STRANGER, GROUP, at(6)).unwrap().ignore_signals();
    engine.set_rank(ALICE, GROUP, STRANGER, Rank::Admin, at(6)).unwrap().ignore_signals();
    let erase = |e: &mut Engine| e.erase(STRANGER, GROUP, seq, at(7));
    assert_eq!(refused(&mut engine, erase), Refusal::NoSuchEntry);
    let nowhere = |e: &mut Engine| e.erase(ALICE, GroupId(8), seq, at(7));
    assert_eq!(refused(&mut engine, nowhere), Refusal::NoSuchGroup);
}
