//! The laws of groups, memberships and signals.

use std::collections::{BTreeMap, BTreeSet};

use disband::{
    Absence, Command, Departure, Engine, Event, GroupId, GroupOptions, HistoryAccess, OwnerExit,
    Page, Rank, Refusal, Reply, Stint, Timestamp, UserId,
};
use proptest::prelude::*;

use crate::model::Model;
use crate::sight::{Done, answer, assert_stats, groups, sight, sight_of_model, told, users, value};
use crate::world::{command, config, options, run, steps, stints, unlimited, user};

proptest! {
    #[test]
    fn the_engine_does_what_the_model_does(config in config(), steps in steps(60)) {
        let mut engine: Engine = Engine::new(config);
        let mut model = Model::new(config);
        for (command, now) in steps {
            let ours = answer(&engine.apply(command.clone(), now));
            let theirs = model.apply(command.clone(), now);
            prop_assert_eq!(ours, theirs, "{}", command);
            prop_assert_eq!(sight(&engine, now), sight_of_model(&model, now), "{}", command);
            assert_stats(engine.stats(), &model);
            prop_assert_eq!(engine.check(), Ok(()));
        }
    }

    #[test]
    fn a_refusal_changes_nothing_a_host_can_see_and_emits_nothing(
        config in config(), steps in steps(60)
    ) {
        run(config, &steps, |before, (_, now), result, after| {
            // That a refusal carries no signals, its type says.
            if result.is_err() {
                assert_eq!(sight(before, *now), sight(after, *now));
            }
            if let Err(Refusal::TooFast { .. }) = result {
                assert_eq!(before, after);
                assert_eq!(before.stats(), after.stats());
            }
        });
    }

    #[test]
    fn each_stint_begins_once_and_ends_once(config in unlimited(), steps in steps(80)) {
        let (mut begun, mut ended) = (BTreeSet::new(), BTreeSet::new());
        let last = run(config, &steps, |before, _, result, after| {
            let (old, new) = (stints(before), stints(after));
            for stint in new.difference(&old) {
                assert!(begun.insert(stint.2), "{stint:?} began twice");
            }
            for stint in old.difference(&new) {
                assert!(ended.insert(stint.2), "{stint:?} ended twice");
            }
            // The stints that ended are those that the result names, and no others.
            let gone: BTreeSet<Stint> = old.difference(&new).map(|stint| stint.2).collect();
            let mut named: Vec<Stint> = Vec::new();
            match result.as_ref().map(|outcome| &outcome.value) {
                Ok(Reply::Departed(departure)) => named.extend(stints_ended(departure)),
                Ok(Reply::Kicked(stint) | Reply::Banned(Some(stint))) => named.push(*stint),
                Ok(Reply::LeftAll(groups)) => {
                    named.extend(groups.iter().flat_map(|(_, departure)| stints_ended(departure)));
                }
                Ok(Reply::Dissolved(group)) => named.extend(group.group().members().map(|m| m.1)),
                _ => {}
            }
            assert_eq!(gone.len(), named.len());
            assert_eq!(gone, named.into_iter().collect());
        });
        let alive: BTreeSet<Stint> = stints(&last).into_iter().map(|stint| stint.2).collect();
        prop_assert_eq!(begun.difference(&ended).copied().collect::<BTreeSet<_>>(), alive);
    }

    #[test]
    fn an_owner_s_leave_kicks_every_other_member_once_and_leaves_nothing_to_read(
        config in unlimited(), steps in steps(80)
    ) {
        run(config, &steps, |before, (command, now), result, after| {
            let Ok(outcome) = result else { return };
            let (Reply::Departed(Departure::Dissolved(dissolved)) | Reply::Dissolved(dissolved)) =
                &outcome.value
            else {
                return;
            };
            let (owner, id) = (command.actor(), command.group().unwrap());
            let members: Vec<UserId> = before.group(id).unwrap().members().map(|m| *m.0).collect();

            let heard: Vec<_> = outcome
                .deliveries()
                .filter(|(_, signal)| matches!(signal.event, Event::MemberKick { .. }))
                .map(|(user, _)| *user)
                .collect();
            let others: Vec<_> = members.iter().copied().filter(|user| user != owner).collect();
            assert_eq!(heard, others);
            let [kick, purge] = &outcome.signals[..] else { panic!("{:?}", outcome.signals) };
            assert_eq!((&kick.from, &kick.event), (owner, &Event::MemberKick { by: *owner }));
            assert!(matches!(purge.event, Event::HistoryPurge { .. }));
            assert_eq!(kick.audience, purge.audience);

            assert!(dissolved.group().members().map(|m| *m.0).eq(members.iter().copied()));
            assert_eq!(after.group(id), None);
            for user in users() {
                assert!(after.groups_of(&user).all(|(group, _)| group != id));
                let read = after.history(&user, id, Page::newest(9), *now).map(|_| ());
                assert!(matches!(read, Err(Refusal::Dissolved { .. } | Refusal::NoSuchGroup)));
            }
        });
    }

    #[test]
    fn leave_and_kick_end_the_same_in_either_order_and_one_succeeds(
        config in unlimited(), steps in steps(60), user in user()
    ) {
        let engine = run(config, &steps, |_, _, _, _| {});
        let now = steps.last().unwrap().1;
        for (id, group) in engine.groups() {
            if !group.contains(&user) || *group.owner() == user {
                continue;
            }
            let (by, id) = (*group.owner(), *id);
            let run = |kick_first: bool| {
                let mut engine = engine.clone();
                let mut results = [None, None];
                for is_kick in [kick_first, !kick_first] {
                    let done = if is_kick {
                        engine.kick(by, id, user, now).map(|_| ())
                    } else {
                        engine.leave(user, id, now).map(|_| ())
                    };
                    results[usize::from(is_kick)] = Some(done);
                }
                (results, stints(&engine), engine.group(&id).unwrap().version())
            };
            let ([left, kicked], after_leave, version) = run(false);
            prop_assert_eq!(left, Some(Ok(())));
            let absence = if config.departures == 0 { Absence::NoRecord } else { Absence::Left { at: now } };
            prop_assert_eq!(kicked, Some(Err(Refusal::TargetNotMember(absence))));
            let ([left, kicked], after_kick, other) = run(true);
            prop_assert_eq!(kicked, Some(Ok(())));
            let absence = if config.departures == 0 { Absence::NoRecord } else { Absence::Kicked { by, at: now } };
            prop_assert_eq!(left, Some(Err(Refusal::NotMember(absence))));
            prop_assert_eq!((after_leave, version), (after_kick, other));
        }
    }

    #[test]
    fn a_late_leave_never_ends_a_newer_stint(config in unlimited(), steps in steps(60)) {
        // Every stint there ever was is named again at the end, by whoever had it.
        let mut all = BTreeSet::new();
        let engine = run(config, &steps, |_, _, _, after| all.extend(stints(after)));
        let (now, alive) = (steps.last().unwrap().1, stints(&engine));
        for (group, user, stint) in all.difference(&alive) {
            let mut engine = engine.clone();
            let before = sight(&engine, now);
            let late = engine.leave_stint(*user, *group, *stint, now).map(|_| ());
            prop_assert!(late.is_err());
            if engine.group(group).is_some_and(|group| group.contains(user)) {
                prop_assert_eq!(late, Err(Refusal::NotMember(Absence::StintOver)));
            }
            prop_assert_eq!(sight(&engine, now), before);
        }
    }

    #[test]
    fn groups_of_agrees_with_the_groups_at_every_point_of_a_sweep(
        config in unlimited(), steps in steps(80)
    ) {
        let agrees = |engine: &Engine| {
            for user in users() {
                let mut walked: Vec<(Stint, GroupId)> = engine
                    .groups()
                    .filter_map(|(id, group)| Some((group.stint(&user)?, *id)))
                    .collect();
                walked.sort();
                let listed: Vec<_> = engine.groups_of(&user).map(|(id, s)| (s, *id)).collect();
                assert_eq!(listed, walked);
            }
        };
        let mut engine = run(config, &steps, |_, _, _, after| agrees(after));
        let (before, waiting) = (engine.clone(), engine.stats().unswept);
        for _ in 0..1_000 {
            engine.sweep(1);
            agrees(&engine);
            prop_assert_eq!(engine.check(), Ok(()));
        }
        prop_assert_eq!(engine.stats().unswept, 0, "{} waited", waiting);
        prop_assert_eq!(&before, &engine, "a sweep touches derived data alone");
        // And what waits changes no future answer.
        let now = steps.last().unwrap().1;
        for (command, _) in &steps {
            let (mut one, mut other) = (before.clone(), engine.clone());
            prop_assert_eq!(one.apply(command.clone(), now), other.apply(command.clone(), now));
        }
    }

    #[test]
    fn a_clone_is_unmoved_by_what_follows(
        config in config(), steps in steps(80), at in any::<prop::sample::Index>()
    ) {
        let cut = at.index(steps.len());
        let mut engine = run(config, &steps[..cut], |_, _, _, _| {});
        let now = steps[cut].1;
        let (clone, seen) = (engine.clone(), sight(&engine, now));
        let mut audiences = Vec::new();
        for (command, now) in &steps[cut..] {
            if let Ok(outcome) = engine.apply(command.clone(), *now) {
                let heard: Vec<_> = outcome.deliveries().map(|(user, _)| *user).collect();
                audiences.push((outcome, heard));
            }
        }
        prop_assert_eq!(sight(&clone, now), seen);
        prop_assert_eq!(clone.check(), Ok(()));
        for (outcome, heard) in audiences {
            prop_assert_eq!(outcome.deliveries().map(|(user, _)| *user).collect::<Vec<_>>(), heard);
        }
    }

    #[test]
    fn the_same_commands_give_the_same_bytes(config in config(), steps in steps(80)) {
        // Once as a server runs them, as data; once as a replica does, by method, with snapshots
        // taken and signals kept, which makes it copy where the first one did not.
        let mut first: Engine = Engine::new(config);
        let mut second: Engine = Engine::new(config);
        let mut kept = Vec::new();
        for (command, now) in steps {
            let one = first.apply(command.clone(), now);
            kept.push(second.clone());
            let other = by_method(&mut second, command, now);
            prop_assert_eq!(postcard::to_stdvec(&one).unwrap(), postcard::to_stdvec(&other).unwrap());
            prop_assert_eq!(serde_json::to_string(&one).unwrap(), serde_json::to_string(&other).unwrap());
            prop_assert_eq!(&first, &second);
            prop_assert_eq!(postcard::to_stdvec(&first).unwrap(), postcard::to_stdvec(&second).unwrap());
            second.sweep(7);
        }
    }

    #[test]
    fn a_version_never_repeats_and_shows_every_gap(config in unlimited(), steps in steps(80)) {
        let mut last: BTreeMap<GroupId, u64> = BTreeMap::new();
        let mut keys = BTreeSet::new();
        run(config, &steps, |before, _, result, after| {
            let Ok(outcome) = result else { return };
            for signal in &outcome.signals {
                assert!(keys.insert(signal.key), "{} was used before", signal.key);
                let counts = !matches!(signal.event, Event::MessagePost { .. });
                let seen = last.entry(signal.group).or_default();
                assert_eq!(signal.version, *seen + u64::from(counts));
                *seen = signal.version;
            }
            for id in groups() {
                match (before.group(&id), after.group(&id)) {
                    (None, Some(new)) => {
                        let used = last.insert(id, new.version()).unwrap_or_default();
                        assert!(new.version() > used, "created anew past every version before");
                        assert_eq!(Some(Stint(new.version())), new.stint(new.owner()));
                    }
                    (_, Some(group)) => assert_eq!(group.version(), last[&id]),
                    (_, None) => {}
                }
            }
        });
    }

    #[test]
    fn every_living_group_has_exactly_one_owner(config in unlimited(), steps in steps(80)) {
        run(config, &steps, |before, _, result, after| {
            for (id, group) in after.groups() {
                let owners = group.members().filter(|m| group.rank(m.0) == Some(Rank::Owner));
                assert_eq!(owners.map(|m| m.0).collect::<Vec<_>>(), [group.owner()]);
                // And nobody becomes one unannounced.
                if let Some(old) = before.group(id).filter(|old| old.owner() != group.owner()) {
                    let signals = result.iter().flat_map(|outcome| &outcome.signals);
                    let mut changes = signals.filter(|signal| signal.group == *id).filter(|signal| {
                        signal.from == *group.owner()
                            && signal.event == Event::OwnerChange { previous: *old.owner() }
                    });
                    assert!(changes.next().is_some());
                }
            }
        });
    }

    #[test]
    fn nobody_acts_on_an_equal_or_a_higher_rank(config in unlimited(), steps in steps(80)) {
        run(config, &steps, |before, (command, _), result, _| {
            let (by, group, user) = match command {
                Command::Kick { by, group, user }
                | Command::Ban { by, group, user, .. }
                | Command::SetRank { by, group, user, .. } => (by, group, user),
                _ => return,
            };
            if result.is_ok() {
                let group = before.group(group).unwrap();
                assert!(group.rank(user) < group.rank(by));
                assert!(group.rank(by) >= Some(Rank::Admin));
            }
        });
    }

    #[test]
    fn succession_picks_the_admin_with_the_lowest_stint(
        config in unlimited(), steps in steps(80), user in user()
    ) {
        let engine = run(config, &steps, |_, _, _, _| {});
        let now = steps.last().unwrap().1;
        let mut gone = engine.clone();
        let outcome = gone.leave_all(user, now).unwrap();
        let left: Vec<_> = outcome.value.iter().map(|(id, _)| id).collect();
        prop_assert_eq!(left, engine.groups_of(&user).map(|(id, _)| id).collect::<Vec<_>>());
        prop_assert_eq!(gone.groups_of(&user).count(), 0);
        for (id, departure) in &outcome.value {
            let group = engine.group(id).unwrap();
            let admins = group.members().filter(|m| group.rank(m.0) == Some(Rank::Admin));
            let senior = admins.min_by_key(|m| m.1).map(|m| *m.0);
            let owned = *group.owner() == user;
            match departure {
                Departure::Left { .. } => prop_assert!(!owned),
                Departure::Succeeded { owner, .. } => {
                    prop_assert!(owned && group.options().owner_exit != OwnerExit::Dissolve);
                    prop_assert_eq!(Some(*owner), senior);
                    prop_assert_eq!(gone.group(id).unwrap().owner(), owner);
                }
                Departure::Dissolved(_) => {
                    let chosen = group.options().owner_exit == OwnerExit::Dissolve;
                    prop_assert!(owned && (chosen || senior.is_none()));
                    prop_assert_eq!(gone.group(id), None);
                }
                other => panic!("{other:?}"),
            }
        }
        prop_assert_eq!(gone.check(), Ok(()));
    }

    #[test]
    fn preview_equals_apply_and_changes_nothing(config in config(), steps in steps(60)) {
        let mut engine: Engine = Engine::new(config);
        for (command, now) in steps {
            let before = (engine.clone(), engine.stats());
            let preview = engine.preview(command.clone(), now);
            prop_assert_eq!(&before, &(engine.clone(), engine.stats()));
            prop_assert_eq!(preview, engine.apply(command, now));
        }
    }

    #[test]
    fn a_batch_is_all_or_nothing(
        config in config(), steps in steps(40), batch in prop::collection::vec(command(), 0..8)
    ) {
        let mut engine: Engine = Engine::new(config);
        let mut model = Model::new(config);
        for (command, now) in &steps {
            let _ = engine.apply(command.clone(), *now);
            let _ = model.apply(command.clone(), *now);
        }
        let now = steps.last().unwrap().1;
        let before = (engine.clone(), engine.stats());
        let result = engine.apply_all(batch.clone(), now);
        let ours = result.as_ref().map_err(Clone::clone).map(|all| {
            let values: Vec<_> = all.value.iter().map(value).collect();
            (values, all.signals.iter().map(told).collect())
        });
        prop_assert_eq!(ours, model.apply_all(batch, now));
        prop_assert_eq!(sight(&engine, now), sight_of_model(&model, now));
        prop_assert_eq!(engine.check(), Ok(()));
        if result.is_err() {
            prop_assert_eq!(before, (engine.clone(), engine.stats()), "the very same state");
        }
    }

    #[test]
    fn no_entry_past_its_age_or_from_before_the_reader_s_stint_is_read(
        config in unlimited(), steps in steps(80), later in 0..3_000u64
    ) {
        // When each entry was posted, in terms of the stints begun until then.
        let mut posted: BTreeMap<(GroupId, u64), Stint> = BTreeMap::new();
        let mut begun = Stint(0);
        let engine = run(config, &steps, |_, (command, _), result, after| {
            begun = stints(after).into_iter().map(|stint| stint.2).max().max(Some(begun)).unwrap();
            if let (Command::Post { group, .. }, Ok(outcome)) = (command, result) {
                let Reply::Posted(seq) = &outcome.value else { panic!() };
                posted.insert((*group, seq.0), begun);
            }
        });
        let now = Timestamp(steps.last().unwrap().1.0.saturating_add(later));
        for (id, group) in engine.groups() {
            for (user, stint) in group.members() {
                for (seq, entry) in engine.history(user, id, Page::newest(u64::MAX), now).unwrap() {
                    let options = group.options();
                    let age = u128::from(now.0).saturating_sub(u128::from(entry.at.0));
                    prop_assert!(options.keep_ms.is_none_or(|ms| age < u128::from(ms) || now < entry.at));
                    prop_assert!(
                        options.keep_entries.is_none_or(|keep| seq.0 + keep >= group.next_seq().0)
                    );
                    if options.history == HistoryAccess::FromJoin {
                        prop_assert!(posted[&(*id, seq.0)] >= stint);
                    }
                }
            }
        }
    }

    #[test]
    fn a_banned_user_is_never_a_member(config in unlimited(), steps in steps(80)) {
        run(config, &steps, |before, (command, now), result, after| {
            for (id, group) in after.groups() {
                for (user, _) in group.bans(*now) {
                    assert!(!group.contains(user), "{user} is in {id}");
                }
            }
            if let (Command::Join { user, group }, Ok(_)) = (command, result) {
                assert_eq!(before.group(group).unwrap().ban(user, *now), None);
            }
        });
    }

    #[test]
    fn pages_put_together_are_the_whole_history(
        config in unlimited(), steps in steps(80), limit in 1..4u64
    ) {
        let engine = run(config, &steps, |_, _, _, _| {});
        let now = steps.last().unwrap().1;
        for (user, id) in users().flat_map(|user| groups().map(move |id| (user, id))) {
            let Ok(whole) = engine.history(&user, &id, Page::newest(u64::MAX), now) else { continue };
            let mut page = Page::newest(limit);
            let mut pages = Vec::new();
            loop {
                let read: Vec<_> = engine.history(&user, &id, page, now).unwrap().collect();
                let Some((last, _)) = read.last() else { break };
                page = Page::before(*last, limit);
                pages.extend(read);
            }
            prop_assert_eq!(pages, whole.collect::<Vec<_>>());
        }
    }
}

/// The stints that a departure ends: one, or those of all members of a dissolved group.
fn stints_ended(departure: &Departure<UserId>) -> Vec<Stint> {
    match departure {
        Departure::Left { stint } | Departure::Succeeded { stint, .. } => vec![*stint],
        Departure::Dissolved(dissolved) => dissolved.group().members().map(|m| m.1).collect(),
        other => panic!("{other:?}"),
    }
}

/// Fewer cases of a larger world: members, logs and index entries past what an array holds.
mod a_crowd {
    use super::*;

    fn crowded() -> impl Strategy<Value = Command<UserId, GroupId>> {
        let (user, group) = (|| (0..90u64).prop_map(UserId), || (0..2u64).prop_map(GroupId));
        prop_oneof![
            1 => (group(), prop::option::of(large_options())).prop_map(|(group, options)| {
                Command::Create { owner: UserId(0), group, options }
            }),
            1 => (group(), large_options()).prop_map(|(group, options)| {
                Command::SetOptions { by: UserId(0), group, options }
            }),
            30 => (user(), group()).prop_map(|(user, group)| Command::Join { user, group }),
            12 => (user(), group(), 1..200u64).prop_map(|(user, group, stint)| {
                // The owner stays for a while, or no group would ever be large.
                let stint = (user == UserId(0)).then_some(Stint(stint));
                Command::Leave { user, group, stint }
            }),
            4 => (group(), user()).prop_map(|(group, user)| {
                Command::Kick { by: UserId(0), group, user }
            }),
            40 => (user(), group()).prop_map(|(author, group)| {
                Command::Post { author, group, message: "x".into() }
            }),
        ]
    }

    /// Retentions of several blocks.
    fn large_options() -> impl Strategy<Value = GroupOptions> {
        (options(), prop::option::of(0..150u64), prop::option::of(0..400u64)).prop_map(
            |(options, keep_entries, keep_ms)| GroupOptions { keep_entries, keep_ms, ..options },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn the_engine_does_what_the_model_does(
            config in unlimited(), commands in prop::collection::vec(crowded(), 700)
        ) {
            let mut engine: Engine = Engine::new(config);
            let mut model = Model::new(config);
            let mut snapshots = Vec::new();
            for (now, command) in (1..).zip(commands) {
                let now = Timestamp(now);
                let ours = answer(&engine.apply(command.clone(), now));
                prop_assert_eq!(ours, model.apply(command.clone(), now), "{}", command);
                if now.0.is_multiple_of(100) {
                    prop_assert_eq!(engine.check(), Ok(()));
                    prop_assert_eq!(sight(&engine, now), sight_of_model(&model, now));
                    snapshots.push((now, engine.clone(), model.clone()));
                }
            }
            for (now, engine, model) in snapshots {
                prop_assert_eq!(sight(&engine, now), sight_of_model(&model, now));
            }
        }
    }
}

/// The method that a command stands for.
fn by_method(engine: &mut Engine, command: Command<UserId, GroupId>, now: Timestamp) -> Done {
    Ok(match command {
        Command::Create { owner, group, options: None } => {
            engine.create(owner, group, now)?.map(Reply::Created)
        }
        Command::Create { owner, group, options: Some(options) } => {
            engine.create_with(owner, group, options, now)?.map(Reply::Created)
        }
        Command::Join { user, group } => engine.join(user, group, now)?.map(Reply::Joined),
        Command::Leave { user, group, stint: None } => {
            engine.leave(user, group, now)?.map(Reply::Departed)
        }
        Command::Leave { user, group, stint: Some(stint) } => {
            engine.leave_stint(user, group, stint, now)?.map(Reply::Departed)
        }
        Command::Kick { by, group, user } => engine.kick(by, group, user, now)?.map(Reply::Kicked),
        Command::Post { author, group, message } => {
            engine.post(author, group, message, now)?.map(Reply::Posted)
        }
        Command::Dissolve { owner, group } => {
            engine.dissolve(owner, group, now)?.map(Reply::Dissolved)
        }
        Command::Transfer { owner, group, user } => {
            engine.transfer(owner, group, user, now)?.map(|()| Reply::Transferred)
        }
        Command::SetRank { by, group, user, rank } => {
            engine.set_rank(by, group, user, rank, now)?.map(|()| Reply::Ranked)
        }
        Command::SetOptions { by, group, options } => {
            engine.set_options(by, group, options, now)?.map(|()| Reply::Configured)
        }
        Command::Ban { by, group, user, until } => {
            engine.ban(by, group, user, until, now)?.map(Reply::Banned)
        }
        Command::Unban { by, group, user } => {
            engine.unban(by, group, user, now)?.map(|()| Reply::Unbanned)
        }
        Command::LeaveAll { user } => engine.leave_all(user, now)?.map(Reply::LeftAll),
        other => panic!("{other:?}"),
    })
}
