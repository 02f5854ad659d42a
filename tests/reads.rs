//! Reads: borrowed ids, iterators, pages of members.

mod common;

use std::sync::Arc;

use common::{ALICE, BOB, CAROL, GROUP, at, unlimited};
use disband::{Departure, Engine, Farewell, GroupOptions, OwnerExit, Page, Rank, UserId};

#[test]
fn text_ids_are_looked_up_by_str() {
    let mut engine = Engine::<String, Arc<str>>::new(unlimited());
    let general: Arc<str> = "general".into();
    engine.create("alice".into(), general.clone(), at(1)).unwrap().ignore_signals();
    engine.join("bob".into(), general.clone(), at(1)).unwrap().ignore_signals();
    engine.post("bob".into(), general.clone(), "hello", at(1)).unwrap().ignore_signals();
    engine
        .mute("alice".into(), general.clone(), "bob".into(), None, at(1))
        .unwrap()
        .ignore_signals();
    let banned = engine.ban("alice".into(), general, "carol".into(), None, at(1));
    banned.unwrap().ignore_signals();

    let group = engine.group("general").unwrap();
    assert!(group.contains("bob") && !group.contains("carol"));
    assert_eq!((group.rank("alice"), group.rank("carol")), (Some(Rank::Owner), None));
    assert!(group.stint("bob").is_some());
    assert!(group.mute("bob", at(1)).is_some() && group.ban("carol", at(1)).is_some());
    assert_eq!(engine.history("bob", "general", Page::newest(9), at(2)).unwrap().len(), 1);
    assert_eq!(engine.history("carol", "general", Page::newest(9), at(2)).unwrap_err().code(), 400);
    assert_eq!(engine.history("bob", "other", Page::newest(9), at(2)).unwrap_err().code(), 404);
    assert!(engine.groups_of("bob").map(|(id, _)| &**id).eq(["general"]));
    assert!(engine.owned_by("alice").map(|(id, _)| &**id).eq(["general"]));
    assert_eq!(engine.owned_by("bob").count(), 0);
}

#[test]
fn pages_of_members_cover_all_members_once() {
    let mut engine = Engine::new(unlimited());
    engine.create(UserId(0), GROUP, at(1)).unwrap().ignore_signals();
    for user in 1..1_000 {
        engine.join(UserId(user * 2), GROUP, at(1)).unwrap().ignore_signals();
    }
    let group = engine.group(&GROUP).unwrap();
    let (mut seen, mut last) = (Vec::new(), None);
    loop {
        let page: Vec<_> = group.members_after(last).take(7).collect();
        let Some((user, _)) = page.last() else { break };
        last = Some(*user);
        seen.extend(page);
    }
    assert!(group.members().eq(seen.iter().copied()));
    assert!(group.members().rev().eq(seen.iter().rev().copied()));
    assert_eq!((group.members().len(), group.members().fold(0, |n, _| n + 1)), (1_000, 1_000));
    // A user who is not a member also begins a page.
    assert_eq!(group.members_after(Some(&UserId(7))).next().unwrap().0, &UserId(8));
    assert_eq!(group.members_after(Some(&UserId(u64::MAX))).next(), None);
}

#[test]
fn pages_of_groups_cover_all_groups_once() {
    let mut engine = Engine::<u64, u64>::new(unlimited());
    for group in 0..1_000 {
        engine.create(1, group * 2, at(1)).unwrap().ignore_signals();
    }
    let (mut seen, mut last) = (Vec::new(), None);
    loop {
        let page: Vec<_> = engine.groups_after(last).map(|(id, _)| id).take(7).collect();
        let Some(id) = page.last() else { break };
        last = Some(*id);
        seen.extend_from_slice(&page);
    }
    assert!(engine.groups().map(|(id, _)| id).eq(seen));
    // A group that does not exist also begins a page.
    assert_eq!(engine.groups_after(Some(&7)).next().unwrap().0, &8);
}

#[test]
fn pages_of_a_dissolved_log_cover_all_entries_once() {
    let mut engine = Engine::new(unlimited());
    let keep = GroupOptions { keep_entries: Some(90), ..GroupOptions::default() };
    engine.create_with(UserId(1), GROUP, keep, at(1)).unwrap().ignore_signals();
    for _ in 0..100 {
        engine.post(UserId(1), GROUP, "hello", at(1)).unwrap().ignore_signals();
    }
    let dissolved = engine.dissolve(UserId(1), GROUP, Farewell::NONE, at(2)).unwrap().value;
    let (mut seen, mut page) = (Vec::new(), Page::newest(7));
    while let Some((last, _)) = dissolved.page(page).next_back() {
        seen.extend(dissolved.page(page));
        page = Page::before(last, 7);
    }
    assert!(dissolved.history().eq(seen.iter().copied()));
    assert_eq!(seen.len(), 90);
}

#[test]
fn groups_of_skips_dissolved_groups_from_both_ends() {
    let mut engine = Engine::<u64, u64>::new(unlimited());
    for group in 0..6 {
        let owner = if group % 3 == 0 { 1 } else { 2 };
        engine.create(owner, group, at(1)).unwrap().ignore_signals();
        engine.join(3, group, at(1)).unwrap().ignore_signals();
    }
    for group in [0, 3] {
        engine.leave(1, group, at(2)).unwrap().ignore_signals();
    }
    assert!(engine.groups_of(&3).map(|(id, _)| *id).eq([1, 2, 4, 5]));
    assert!(engine.groups_of(&3).rev().map(|(id, _)| *id).eq([5, 4, 2, 1]));
    let mut both = engine.groups_of(&3);
    assert_eq!(both.next_back().map(|(id, _)| *id), Some(5));
    assert_eq!(both.next().map(|(id, _)| *id), Some(1));
    assert!(format!("{both:?}").starts_with("[(2, "), "{both:?}");
    assert!(engine.groups().map(|(id, _)| *id).rev().eq([5, 4, 2, 1]));
    assert_eq!(engine.groups().len(), 4);
}

#[test]
fn every_departure_has_the_stint_that_ended() {
    let mut engine = Engine::new(unlimited());
    let options = GroupOptions { owner_exit: OwnerExit::Succeed, ..GroupOptions::default() };
    let alice = engine.create_with(ALICE, GROUP, options, at(1)).unwrap().ignore_signals();
    let bob = engine.join(BOB, GROUP, at(1)).unwrap().ignore_signals();
    let carol = engine.join(CAROL, GROUP, at(1)).unwrap().ignore_signals();
    engine.set_rank(ALICE, GROUP, BOB, Rank::Admin, at(1)).unwrap().ignore_signals();
    for (user, stint) in [(CAROL, carol), (ALICE, alice), (BOB, bob)] {
        let left: Departure<UserId> = engine.leave(user, GROUP, at(2)).unwrap().ignore_signals();
        assert_eq!(left.stint(), stint);
    }
    assert_eq!(engine.stats().groups, 0);
}
