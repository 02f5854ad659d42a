//! Properties of groups, memberships and signals, tested with random commands.
//!
//! - A *stint* is one unbroken membership of one user in one group, and the id of that membership.
//! - The *staff* of a group is its owner and its admins.
//! - In a *quiet* group, only the staff gets the signals that plain members join and leave.
//! - The *audience* of a signal is the users the signal is for.
//! - A *tombstone* is what is remembered of a dissolved group for a while.
//! - A *step* is a command and its time. A *turn* is a step, a charge of the rate limit without the
//!   command, or a change of the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use disband::{
    Absence, Admission, Announce, Command, Config, Departure, Engine, Event, Farewell, GroupId,
    GroupOptions, HistoryAccess, Limits, Mute, OwnerExit, Page, Rank, Refusal, Reply, Seq, Signal,
    Stint, Timestamp, UserId,
};
use proptest::prelude::*;

use crate::model::{Model, ModelEntry};
use crate::sight::{
    EngineResult, Step, answer, assert_stats, groups, is_about_message, is_about_plain_member,
    model_entries, model_signal, users, value, view, view_of_model,
};
use crate::world::{
    Turn, change_of_limits, command, config, options, run, run_turn, steps, stints, turns,
    unlimited, user,
};

proptest! {
    #[test]
    fn the_engine_matches_the_model(config in config(), turns in turns(60)) {
        assert_same(config, &turns);
    }

    #[test]
    fn a_command_with_other_ids_is_the_same_command(command in command()) {
        let text = |id: u64| Ok::<_, ()>(id.to_string());
        let mapped = command.clone().try_map_ids(|user| text(user.0), |group| text(group.0)).unwrap();
        let json = serde_json::to_string(&mapped).unwrap();
        assert_eq!(json, serde_json::to_string(&command).unwrap());
    }

    #[test]
    fn charging_for_a_refused_command_gives_the_same_state(config in config(), steps in steps(60)) {
        run(config, &steps, |before, (command, now), result, after| {
            let mut charged = before.clone();
            let (kind, actor, group) = (command.operation(), command.actor(), command.group());
            let charge = charged.charge(kind, actor, group, *now);
            assert_eq!(before.admits(kind, actor, group, *now), charge);
            match result {
                Err(Refusal::TooFast { retry_at }) => {
                    assert_eq!(charge, Err(Refusal::TooFast { retry_at: *retry_at }));
                    assert_eq!((&charged, charged.stats()), (before, before.stats()));
                }
                Err(_) => {
                    assert_eq!(charge, Ok(()));
                    assert_eq!(&charged, after, "{command}");
                    assert_eq!(charged.stats().tombstones, after.stats().tombstones);
                    // With a limit on groups per user, the command also removes the user's index
                    // entries of dissolved groups.
                    let same_sweep = charged.stats().unswept == after.stats().unswept;
                    assert!(same_sweep || config.limits.groups_per_user.is_some());
                }
                Ok(_) => assert_eq!(charge, Ok(())),
            }
            assert_eq!(charged.check(), Ok(()));
        });
    }

    #[test]
    fn nothing_grows_past_its_limit(config in config(), turns in turns(60)) {
        let mut engine: Engine = Engine::new(config);
        for turn in turns {
            let before = engine.clone();
            run_turn(&mut engine, &turn);
            let limits = engine.config().limits;
            let stats = (before.stats(), engine.stats());
            assert_growth(limits.memberships_total, stats.0.memberships, stats.1.memberships);
            assert_growth(limits.message_bytes_total, stats.0.message_bytes, stats.1.message_bytes);
            for user in users() {
                let groups = |engine: &Engine| engine.groups_of(&user).count() as u64;
                assert_growth(limits.groups_per_user, groups(&before), groups(&engine));
            }
            for id in groups() {
                let members = |engine: &Engine| engine.group(&id).map_or(0, |group| group.len() as u64);
                assert_growth(limits.members_per_group, members(&before), members(&engine));
            }
        }
    }

    #[test]
    fn a_refused_command_changes_nothing_a_host_can_see(
        config in config(), steps in steps(60)
    ) {
        run(config, &steps, |before, (_, now), result, after| {
            // A refusal has no field for signals, so only the state is compared.
            if result.is_err() {
                assert_eq!(view(before, *now), view(after, *now));
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
            // The result names exactly the stints that ended.
            let just_ended: BTreeSet<Stint> = old.difference(&new).map(|stint| stint.2).collect();
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
            assert_eq!(just_ended.len(), named.len());
            assert_eq!(just_ended, named.into_iter().collect());
        });
        let alive: BTreeSet<Stint> = stints(&last).into_iter().map(|stint| stint.2).collect();
        prop_assert_eq!(begun.difference(&ended).copied().collect::<BTreeSet<_>>(), alive);
    }

    #[test]
    fn a_dissolution_kicks_every_other_member_once_and_removes_the_history(
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

            let kicked: Vec<_> = outcome
                .deliveries()
                .filter(|(_, signal)| matches!(signal.event, Event::MemberKick { .. }))
                .map(|(user, _)| *user)
                .collect();
            let others: Vec<_> = members.iter().copied().filter(|user| user != owner).collect();
            assert_eq!(kicked, others);
            let [kick, purge] = &outcome.signals[..] else { panic!("{:?}", outcome.signals) };
            assert_eq!((&kick.from, &kick.event), (owner, &Event::MemberKick { by: *owner }));
            let farewell = match command {
                Command::Dissolve { note, successor, .. } => (note.clone(), *successor),
                _ => (None, None),
            };
            let Event::HistoryPurge { note, successor, .. } = &purge.event else { panic!() };
            assert_eq!((note, successor), (&farewell.0, &farewell.1));
            assert_eq!(kick.audience, purge.audience);

            assert!(dissolved.group().members().map(|m| *m.0).eq(members.iter().copied()));
            assert_eq!(after.group(id), None);
            for user in users() {
                assert!(after.groups_of(&user).all(|(group, _)| group != id));
                match after.history(&user, id, Page::newest(9), *now).map(|_| ()) {
                    Err(Refusal::NoSuchGroup) => {}
                    Err(Refusal::Dissolved { by, note, successor, .. }) => {
                        assert_eq!((by, (note, successor)), (*owner, farewell.clone()));
                    }
                    other => panic!("{other:?}"),
                }
            }
        });
    }

    #[test]
    fn the_first_of_a_leave_and_a_kick_ends_the_membership_and_the_second_is_refused(
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
                    let result = if is_kick {
                        engine.kick(by, id, user, now).map(|_| ())
                    } else {
                        engine.leave(user, id, now).map(|_| ())
                    };
                    results[usize::from(is_kick)] = Some(result);
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
        // At the end, each user sends a leave for each of their stints that is over.
        let mut all = BTreeSet::new();
        let engine = run(config, &steps, |_, _, _, after| all.extend(stints(after)));
        let (now, alive) = (steps.last().unwrap().1, stints(&engine));
        for (group, user, stint) in all.difference(&alive) {
            let mut engine = engine.clone();
            let before = view(&engine, now);
            let late = engine.leave_stint(*user, *group, *stint, now).map(|_| ());
            prop_assert!(late.is_err());
            if engine.group(group).is_some_and(|group| group.contains(user)) {
                prop_assert_eq!(late, Err(Refusal::NotMember(Absence::StintOver)));
            }
            prop_assert_eq!(view(&engine, now), before);
        }
    }

    #[test]
    fn groups_of_matches_the_groups_at_every_point_of_a_sweep(
        config in unlimited(), steps in steps(80)
    ) {
        let agrees = |engine: &Engine| {
            for user in users() {
                let mut expected: Vec<(Stint, GroupId)> = engine
                    .groups()
                    .filter_map(|(id, group)| Some((group.stint(&user)?, *id)))
                    .collect();
                expected.sort();
                let listed: Vec<_> = engine.groups_of(&user).map(|(id, s)| (s, *id)).collect();
                assert_eq!(listed, expected);
            }
        };
        let mut engine = run(config, &steps, |_, _, _, after| agrees(after));
        let (before, stale) = (engine.clone(), engine.stats().unswept);
        for _ in 0..1_000 {
            engine.sweep(1);
            agrees(&engine);
            prop_assert_eq!(engine.check(), Ok(()));
        }
        prop_assert_eq!(engine.stats().unswept, 0, "{} entries were stale", stale);
        prop_assert_eq!(&before, &engine, "a sweep only changes derived data");
        // Index entries that wait for the sweep do not change the result of any later command.
        let now = steps.last().unwrap().1;
        for (command, _) in &steps {
            let (mut one, mut other) = (before.clone(), engine.clone());
            prop_assert_eq!(one.apply(command.clone(), now), other.apply(command.clone(), now));
        }
    }

    #[test]
    fn later_commands_do_not_change_a_clone_or_an_audience(
        config in config(), steps in steps(80), at in any::<prop::sample::Index>()
    ) {
        let cut = at.index(steps.len());
        let mut engine = run(config, &steps[..cut], |_, _, _, _| {});
        let now = steps[cut].1;
        let (clone, seen) = (engine.clone(), view(&engine, now));
        let mut audiences = Vec::new();
        for (command, now) in &steps[cut..] {
            if let Ok(outcome) = engine.apply(command.clone(), *now) {
                let recipients: Vec<_> = outcome.deliveries().map(|(user, _)| *user).collect();
                audiences.push((outcome, recipients));
            }
        }
        prop_assert_eq!(view(&clone, now), seen);
        prop_assert_eq!(clone.check(), Ok(()));
        for (outcome, recipients) in audiences {
            let recipients_now: Vec<_> = outcome.deliveries().map(|(user, _)| *user).collect();
            prop_assert_eq!(recipients_now, recipients);
        }
    }

    #[test]
    fn the_same_commands_give_the_same_bytes(config in config(), steps in steps(80)) {
        // The first engine gets the commands as data. The second gets them as method calls, while
        // clones of it are kept, so it must copy what it changes. It also sweeps more often.
        let mut first: Engine = Engine::new(config);
        let mut second: Engine = Engine::new(config);
        let mut clones = Vec::new();
        for (command, now) in steps {
            let one = first.apply(command.clone(), now);
            clones.push(second.clone());
            let other = by_method(&mut second, command, now);
            prop_assert_eq!(postcard::to_stdvec(&one).unwrap(), postcard::to_stdvec(&other).unwrap());
            prop_assert_eq!(serde_json::to_string(&one).unwrap(), serde_json::to_string(&other).unwrap());
            prop_assert_eq!(&first, &second);
            prop_assert_eq!(postcard::to_stdvec(&first).unwrap(), postcard::to_stdvec(&second).unwrap());
            second.sweep(7);
        }
    }

    #[test]
    fn versions_grow_by_one_and_a_new_group_does_not_reuse_them(
        config in unlimited(), steps in steps(80)
    ) {
        let mut last: BTreeMap<GroupId, u64> = BTreeMap::new();
        let mut keys = BTreeSet::new();
        run(config, &steps, |before, _, result, after| {
            let Ok(outcome) = result else { return };
            for signal in &outcome.signals {
                assert!(keys.insert(signal.key), "{} was used before", signal.key);
                // Signals about messages and signals for the staff repeat the current version.
                let counts = !is_about_message(&signal.event) && !is_for_staff(before, signal);
                let seen = last.entry(signal.group).or_default();
                assert_eq!(signal.version, *seen + u64::from(counts));
                *seen = signal.version;
            }
            for id in groups() {
                match (before.group(&id), after.group(&id)) {
                    (None, Some(new)) => {
                        let used = last.insert(id, new.version()).unwrap_or_default();
                        assert!(new.version() > used, "a version is used again");
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
                // A signal announces each change of the owner.
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
    fn a_user_cannot_act_on_an_equal_or_higher_rank(config in unlimited(), steps in steps(80)) {
        run(config, &steps, |before, (command, _), result, _| {
            let (by, group, user) = match command {
                Command::Kick { by, group, user }
                | Command::Ban { by, group, user, .. }
                | Command::Mute { by, group, user, .. }
                | Command::Unmute { by, group, user }
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
        let all = result.as_ref().map_err(Clone::clone).map(|all| {
            let values: Vec<_> = all.value.iter().map(value).collect();
            (values, all.signals.iter().map(model_signal).collect())
        });
        prop_assert_eq!(all, model.apply_all(batch, now));
        prop_assert_eq!(view(&engine, now), view_of_model(&model, now));
        prop_assert_eq!(engine.check(), Ok(()));
        if result.is_err() {
            prop_assert_eq!(before, (engine.clone(), engine.stats()), "must not change");
        }
    }

    #[test]
    fn a_member_cannot_read_expired_entries_or_entries_from_before_their_stint(
        config in unlimited(), steps in steps(80), later in 0..3_000u64
    ) {
        // For each entry, the highest stint that had begun when it was posted.
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
                    assert!(!group.contains(user), "{user} is banned, but is in {id}");
                }
            }
            let (Command::Join { user, group } | Command::Add { user, group, .. }) = command else {
                return;
            };
            if result.is_ok() {
                assert_eq!(before.group(group).unwrap().ban(user, *now), None);
            }
        });
    }

    #[test]
    fn users_become_members_of_a_closed_group_only_by_create_and_add(
        config in unlimited(), steps in steps(80)
    ) {
        run(config, &steps, |before, (command, _), _, after| {
            for (id, user, _) in stints(after).difference(&stints(before)) {
                let options = before.group(id).map(|group| group.options());
                match (command, options) {
                    (Command::Create { owner, group, .. }, None) => {
                        assert_eq!((group, owner), (id, user));
                    }
                    (Command::Add { group, user: added, .. }, Some(_)) => {
                        assert_eq!((group, added), (id, user));
                    }
                    (Command::Join { .. }, Some(options)) => {
                        assert_ne!(options.admission, Admission::Closed);
                    }
                    _ => panic!("{user} became a member of {id} by {command}"),
                }
            }
        });
    }

    #[test]
    fn a_user_below_the_rank_in_the_options_cannot_add_or_post(
        config in unlimited(), steps in steps(80)
    ) {
        run(config, &steps, |before, (command, _), result, _| {
            let Some(group) = command.group().and_then(|id| before.group(id)) else { return };
            let needs = match command {
                Command::Add { .. } => group.options().add,
                Command::Post { .. } => group.options().post,
                _ => return,
            };
            assert!(result.is_err() || group.rank(command.actor()) >= Some(needs));
        });
    }

    #[test]
    fn a_muted_user_cannot_post_or_edit_until_the_mute_ends(
        config in unlimited(), steps in steps(80)
    ) {
        let mut muted: BTreeMap<(GroupId, UserId), Mute<UserId>> = BTreeMap::new();
        let engine = run(config, &steps, |_, (command, now), result, after| {
            // The engine may have removed a mute that has ended. Then the mute does not hold again
            // when the clock goes back, so the test forgets it too.
            muted.retain(|_, mute| mute.holds(*now));
            match command {
                _ if result.is_err() => {}
                Command::Mute { by, group, user, until } => {
                    muted.insert((*group, *user), Mute { by: *by, until: *until });
                }
                Command::Unmute { group, user, .. } => {
                    muted.remove(&(*group, *user));
                }
                Command::Post { author, group, .. } | Command::Edit { author, group, .. } => {
                    assert_eq!(muted.get(&(*group, *author)), None);
                }
                _ => {}
            }
            muted.retain(|(group, _), _| after.group(group).is_some());
            for ((group, user), mute) in &muted {
                assert_eq!(after.group(group).unwrap().mute(user, *now), Some(mute));
            }
            for (_, group) in after.groups() {
                let listed: BTreeMap<_, _> = group.mutes(*now).collect();
                for user in users() {
                    assert_eq!(group.mute(&user, *now), listed.get(&user).copied());
                }
            }
        });
        // A mute still holds after its user leaves and comes back.
        let now = steps.last().unwrap().1;
        for ((id, user), Mute { by, until }) in muted {
            let mut engine = engine.clone();
            let owner = *engine.group(&id).unwrap().owner();
            engine.set_options(owner, id, GroupOptions::default(), now).unwrap().ignore_signals();
            if user != owner {
                let _ = engine.leave(user, id, now);
                let _ = engine.unban(owner, id, user, now);
                engine.add(owner, id, user, now).unwrap().ignore_signals();
            }
            let refusal = Refusal::Muted { by, until };
            prop_assert_eq!(engine.post(user, id, "m", now).map(drop), Err(refusal));
        }
    }

    #[test]
    fn a_user_cannot_edit_others_messages_or_erase_those_of_an_equal_or_higher_rank(
        config in unlimited(), steps in steps(80)
    ) {
        run(config, &steps, |before, (command, now), result, after| {
            let changed = match command {
                Command::Edit { group, seq, .. } | Command::Erase { group, seq, .. } => {
                    result.is_ok().then_some((*group, *seq))
                }
                _ => None,
            };
            let read = |engine: &Engine, reader: &UserId, id: &GroupId| {
                let page = Page::newest(u64::MAX);
                let history = engine.history(reader, id, page, *now).map(model_entries);
                let by_seq = |entry: ModelEntry| (entry.seq, entry);
                history.unwrap_or_default().into_iter().map(by_seq).collect::<BTreeMap<_, _>>()
            };
            if let Some((id, seq)) = changed {
                let (by, group) = (command.actor(), before.group(&id).unwrap());
                let author = read(before, by, &id)[&seq].author;
                let outranks = group.rank(by) > group.rank(&author).max(Some(Rank::Member));
                let may_erase = matches!(command, Command::Erase { .. }) && outranks;
                assert!(author == *by || may_erase, "{command}");
            }
            // No other entry is changed.
            for (id, group) in before.groups() {
                for (reader, _) in group.members() {
                    let new = read(after, reader, id);
                    for (seq, old) in read(before, reader, id) {
                        let Some(new) = new.get(&seq) else { continue };
                        assert_eq!((new.at, new.author), (old.at, old.author));
                        assert!(*new == old || changed == Some((*id, seq)), "{command}");
                    }
                }
            }
        });
    }

    #[test]
    fn an_erased_or_replaced_text_is_in_no_history_snapshot_or_later_signal(
        config in unlimited(), steps in steps(80)
    ) {
        // Each text is unique and, because of the full stop, not a part of another one.
        let with_own_text = |(n, (command, now)): (usize, Step)| {
            let message: Arc<str> = format!("text {n}.").into();
            let command = match command {
                Command::Post { author, group, .. } => Command::Post { author, group, message },
                Command::Edit { author, group, seq, .. } => {
                    Command::Edit { author, group, seq, message }
                }
                other => other,
            };
            (command, now)
        };
        let steps: Vec<_> = steps.into_iter().enumerate().map(with_own_text).collect();
        let mut texts: BTreeMap<(GroupId, Seq), Arc<str>> = BTreeMap::new();
        let mut gone: Vec<Arc<str>> = Vec::new();
        run(config, &steps, |_, (command, now), result, after| {
            let mut everything = serde_json::to_string(after).unwrap();
            if let Ok(outcome) = result {
                match (command, &outcome.value) {
                    (Command::Post { group, message, .. }, Reply::Posted(seq)) => {
                        texts.insert((*group, *seq), message.clone());
                    }
                    // An edit removes the text that was there before it.
                    (Command::Edit { group, seq, message, .. }, _) => {
                        gone.extend(texts.insert((*group, *seq), message.clone()));
                    }
                    (Command::Erase { group, seq, .. }, _) => {
                        gone.extend(texts.remove(&(*group, *seq)));
                    }
                    _ => {}
                }
                everything += &serde_json::to_string(&outcome.signals).unwrap();
                everything += &format!("{:?}", value(&outcome.value));
            }
            everything += &format!("{:?}", view(after, *now));
            for text in &gone {
                assert!(!everything.contains(&**text), "{text}");
            }
        });
    }

    #[test]
    fn in_a_quiet_group_only_the_staff_hears_of_plain_members_joining_and_leaving(
        config in unlimited(), steps in steps(80)
    ) {
        run(config, &steps, |before, _, result, after| {
            for signal in result.iter().flat_map(|outcome| &outcome.signals) {
                let old = before.group(&signal.group).unwrap();
                if old.options().announce != Announce::Staff {
                    continue;
                }
                let receives = |user: &UserId| signal.audience.contains(user);
                let actor = signal.actor();
                let Some(new) = after.group(&signal.group) else {
                    // All members except the owner get the signals of a dissolution.
                    assert!(users().all(|user| receives(&user) == (old.contains(&user) && user != *actor)));
                    continue;
                };
                if !is_for_staff(before, signal) {
                    continue;
                }
                assert_eq!((signal.version, new.version()), (old.version(), old.version()));
                for user in users() {
                    let is_staff = new.rank(&user) >= Some(Rank::Admin);
                    let adds = matches!(signal.event, Event::MemberJoin { .. }) && user == *actor;
                    // An added or kicked user also gets the signal.
                    let is_added_or_kicked = user == signal.from && user != *actor;
                    assert_eq!(receives(&user), is_staff && !adds || is_added_or_kicked);
                }
            }
        });
    }

    #[test]
    fn the_actor_of_a_signal_is_the_user_who_sent_the_command(
        config in unlimited(), steps in steps(80)
    ) {
        run(config, &steps, |before, (command, _), result, after| {
            for signal in result.iter().flat_map(|outcome| &outcome.signals) {
                assert_eq!(signal.actor(), command.actor());
                if is_for_staff(before, signal) {
                    continue;
                }
                // Any other signal goes to all members. It may leave out only the user who acted.
                let group = after.group(&signal.group).or(before.group(&signal.group)).unwrap();
                for (user, _) in group.members() {
                    assert!(signal.audience.contains(user) || user == signal.actor());
                }
            }
        });
    }

    #[test]
    fn all_pages_together_are_the_whole_history(
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

/// Runs the turns on an engine and on a model. Compares the results and everything a host can see.
fn assert_same(config: Config, turns: &[Turn]) {
    let mut engine: Engine = Engine::new(config);
    let mut model = Model::new(config);
    let mut now = Timestamp(0);
    for turn in turns {
        match turn {
            Turn::Command(command, at) => {
                now = *at;
                let result = answer(&engine.apply(command.clone(), now));
                assert_eq!(result, model.apply(command.clone(), now), "{command}");
            }
            Turn::Charge(command, at) => {
                now = *at;
                let (kind, actor, group) = (command.operation(), command.actor(), command.group());
                let result = engine.charge(kind, actor, group, now);
                assert_eq!(result, model.charge(kind, *actor, group.copied(), now));
            }
            Turn::Change(change) => {
                let (before, new) = (engine.clone(), change.new_config(model.config));
                let result = engine.set_config(new).map(drop);
                assert_eq!(result, model.set_config(new));
                assert!(result.is_ok() || before == engine, "a refused change changes nothing");
            }
        }
        assert_eq!(view(&engine, now), view_of_model(&model, now), "{turn:?}");
        assert_stats(engine.stats(), &model);
        assert_eq!(engine.check(), Ok(()));
    }
}

/// A number may not grow above its limit. One that is above a lowered limit may stay or shrink.
fn assert_growth(max: Option<u64>, before: u64, after: u64) {
    assert!(after <= before || max.is_none_or(|max| after <= max), "grew from {before} to {after}");
}

/// Whether a signal says that a plain member of a quiet group joined, left or was kicked.
fn is_for_staff(before: &Engine, signal: &Signal<UserId, GroupId>) -> bool {
    let group = before.group(&signal.group).unwrap();
    is_about_plain_member(signal, group.rank(&signal.from))
        && group.options().announce == Announce::Staff
}

/// The stints that a departure ends: one, or those of all members of a dissolved group.
fn stints_ended(departure: &Departure<UserId>) -> Vec<Stint> {
    match departure {
        Departure::Left { stint } | Departure::Succeeded { stint, .. } => vec![*stint],
        Departure::Dissolved(dissolved) => dissolved.group().members().map(|m| m.1).collect(),
        other => panic!("{other:?}"),
    }
}

/// One group, of which all `users()` are members at the start. Most commands succeed, so there are
/// many bans, mutes and entries that end, and that hold again when the clock goes back.
mod in_one_group {
    use super::*;

    const GROUP: GroupId = GroupId(0);
    const OWNER: UserId = UserId(0);

    fn admin() -> impl Strategy<Value = UserId> {
        prop_oneof![2 => Just(OWNER), 1 => Just(UserId(1))]
    }

    fn until() -> impl Strategy<Value = Option<Timestamp>> {
        prop::option::weighted(0.9, (10_000..10_400u64).prop_map(Timestamp))
    }

    fn sanctions() -> impl Strategy<Value = Command<UserId, GroupId>> {
        // Some of these users are not members at the start, so there may be more bans than members.
        let (by, user, group) = (admin, || (1..10u64).prop_map(UserId), GROUP);
        prop_oneof![
            6 => (by(), user(), until()).prop_map(move |(by, user, until)| {
                Command::Ban { by, group, user, until }
            }),
            1 => (by(), user()).prop_map(move |(by, user)| Command::Unban { by, group, user }),
            6 => (by(), user(), until()).prop_map(move |(by, user, until)| {
                Command::Mute { by, group, user, until }
            }),
            2 => (by(), user()).prop_map(move |(by, user)| Command::Unmute { by, group, user }),
            2 => (by(), user()).prop_map(move |(by, user)| Command::Add { by, group, user }),
            2 => user().prop_map(move |user| Command::Join { user, group }),
            2 => user().prop_map(move |author| {
                Command::Post { author, group, message: "m".into() }
            }),
        ]
    }

    fn messages() -> impl Strategy<Value = Command<UserId, GroupId>> {
        let (user, group) = (|| (0..3u64).prop_map(UserId), GROUP);
        let text = || "[a-c]{0,3}".prop_map(Arc::from);
        let seq = || {
            // Mostly one of the first entries, because they expire first.
            prop_oneof![3 => (0..6u64).prop_map(Seq), 1 => (0..30u64).prop_map(Seq)]
        };
        prop_oneof![
            8 => (user(), text()).prop_map(move |(author, message)| {
                Command::Post { author, group, message }
            }),
            8 => (user(), seq(), text()).prop_map(move |(author, seq, message)| {
                Command::Edit { author, group, seq, message }
            }),
            4 => (user(), seq()).prop_map(move |(by, seq)| Command::Erase { by, group, seq }),
            2 => retentions().prop_map(move |options| {
                Command::SetOptions { by: OWNER, group, options }
            }),
            // The owner stays, because their leaving would dissolve the only group.
            1 => (1..3u64).prop_map(move |user| {
                Command::Leave { user: UserId(user), group, stint: None }
            }),
            1 => user().prop_map(move |user| Command::Join { user, group }),
            1 => (user(), until()).prop_map(move |(user, until)| {
                Command::Mute { by: OWNER, group, user, until }
            }),
        ]
    }

    /// Options with random retentions.
    fn retentions() -> impl Strategy<Value = GroupOptions> {
        let history = prop_oneof![Just(HistoryAccess::FromJoin), Just(HistoryAccess::Full)];
        let entries = prop::option::weighted(0.4, 0..9u64);
        let ms = prop::option::weighted(0.4, 0..400u64);
        (history, entries, ms).prop_map(|(history, keep_entries, keep_ms)| GroupOptions {
            owner_exit: OwnerExit::Refuse,
            history,
            keep_entries,
            keep_ms,
            ..GroupOptions::default()
        })
    }

    /// The group is created and gets its members. Then come these commands and a few changes of the
    /// limits, while the clock goes on and back.
    fn turns(
        command: impl Strategy<Value = Command<UserId, GroupId>>,
    ) -> impl Strategy<Value = Vec<Turn>> {
        let step = (command, prop::option::weighted(0.05, change_of_limits()), 10_000..10_400u64);
        prop::collection::vec(step, 1..80).prop_map(|steps| {
            let group = GROUP;
            let create = Command::Create { owner: OWNER, group, options: None };
            let user = UserId(1);
            let setup = [create]
                .into_iter()
                .chain((1..5).map(|id| Command::Join { user: UserId(id), group }))
                .chain([Command::SetRank { by: OWNER, group, user, rank: Rank::Admin }]);
            let mut turns: Vec<Turn> =
                setup.map(|command| Turn::Command(command, Timestamp(10_000))).collect();
            for (command, change, now) in steps {
                turns.extend(change.map(|change| Turn::Change(Box::new(change))));
                turns.push(Turn::Command(command, Timestamp(now)));
            }
            turns
        })
    }

    proptest! {
        #[test]
        fn bans_and_mutes_match_the_model(config in unlimited(), turns in turns(sanctions())) {
            assert_same(config, &turns);
        }

        #[test]
        fn messages_match_the_model(config in unlimited(), turns in turns(messages())) {
            assert_same(config, &turns);
        }
    }
}

/// Fewer cases with larger groups. The engine stores a small collection as an array and a larger
/// one as a tree. Here the members, the logs and the index are large enough for trees.
mod large_groups {
    use super::*;

    fn large_group_command() -> impl Strategy<Value = Command<UserId, GroupId>> {
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
                // The owner names a random stint, which is mostly wrong. Otherwise the groups would
                // be dissolved before they are large.
                let stint = (user == UserId(0)).then_some(Stint(stint));
                Command::Leave { user, group, stint }
            }),
            4 => (group(), user()).prop_map(|(group, user)| {
                Command::Kick { by: UserId(0), group, user }
            }),
            30 => (user(), group()).prop_map(|(author, group)| {
                Command::Post { author, group, message: "x".into() }
            }),
            10 => group().prop_map(|group| {
                Command::Post { author: UserId(0), group, message: "owner".into() }
            }),
            8 => (group(), user()).prop_map(|(group, user)| {
                Command::Add { by: UserId(0), group, user }
            }),
            2 => (group(), user()).prop_map(|(group, user)| {
                Command::SetRank { by: UserId(0), group, user, rank: Rank::Admin }
            }),
            4 => (group(), user(), prop::option::of(0..700u64)).prop_map(|(group, user, until)| {
                Command::Mute { by: UserId(0), group, user, until: until.map(Timestamp) }
            }),
            8 => (group(), seq()).prop_map(|(group, seq)| {
                Command::Edit { author: UserId(0), group, seq, message: "an edit".into() }
            }),
            6 => (group(), seq()).prop_map(|(group, seq)| {
                Command::Erase { by: UserId(0), group, seq }
            }),
        ]
    }

    fn seq() -> impl Strategy<Value = Seq> {
        (0..150u64).prop_map(Seq)
    }

    /// Options with retentions of up to several blocks of the log.
    fn large_options() -> impl Strategy<Value = GroupOptions> {
        (options(), prop::option::of(0..150u64), prop::option::of(0..400u64)).prop_map(
            |(options, keep_entries, keep_ms)| GroupOptions {
                keep_entries,
                keep_ms,
                admission: Admission::Open,
                post: Rank::Member,
                ..options
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn the_engine_matches_the_model(
            config in unlimited(), commands in prop::collection::vec(large_group_command(), 700),
            message_bytes_total in prop::option::of(100..600u64),
        ) {
            let limits = Limits { message_bytes_total, ..config.limits };
            let config = Config { limits, ..config };
            let mut engine: Engine = Engine::new(config);
            let mut model = Model::new(config);
            let mut snapshots = Vec::new();
            for (now, command) in (1..).zip(commands) {
                let now = Timestamp(now);
                let result = answer(&engine.apply(command.clone(), now));
                prop_assert_eq!(result, model.apply(command.clone(), now), "{}", command);
                assert_stats(engine.stats(), &model);
                if now.0.is_multiple_of(100) {
                    prop_assert_eq!(engine.check(), Ok(()));
                    prop_assert_eq!(view(&engine, now), view_of_model(&model, now));
                    snapshots.push((now, engine.clone(), model.clone()));
                }
            }
            for (now, engine, model) in snapshots {
                prop_assert_eq!(view(&engine, now), view_of_model(&model, now));
            }
        }
    }
}

/// Runs a command by calling its method.
fn by_method(
    engine: &mut Engine,
    command: Command<UserId, GroupId>,
    now: Timestamp,
) -> EngineResult {
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
        Command::Dissolve { owner, group, note, successor } => {
            let farewell = Farewell { note, successor };
            engine.dissolve(owner, group, farewell, now)?.map(Reply::Dissolved)
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
        Command::Add { by, group, user } => engine.add(by, group, user, now)?.map(Reply::Added),
        Command::Mute { by, group, user, until } => {
            engine.mute(by, group, user, until, now)?.map(|()| Reply::Muted)
        }
        Command::Unmute { by, group, user } => {
            engine.unmute(by, group, user, now)?.map(|()| Reply::Unmuted)
        }
        Command::Edit { author, group, seq, message } => {
            engine.edit(author, group, seq, message, now)?.map(|()| Reply::Edited)
        }
        Command::Erase { by, group, seq } => {
            engine.erase(by, group, seq, now)?.map(|()| Reply::Erased)
        }
        other => panic!("{other:?}"),
    })
}
