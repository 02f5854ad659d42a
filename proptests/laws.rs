//! The laws of groups, memberships and signals.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use disband::{
    Absence, Admission, Announce, Command, Config, Departure, Engine, Event, Farewell, GroupId,
    GroupOptions, HistoryAccess, Limits, Mute, OwnerExit, Page, Rank, Refusal, Reply, Seq, Signal,
    Stint, Timestamp, UserId,
};
use proptest::prelude::*;

use crate::model::{Model, Said};
use crate::sight::{
    Done, Step, answer, assert_stats, groups, is_of_message, is_of_plain_member, said, sight,
    sight_of_model, told, users, value,
};
use crate::world::{
    Turn, change_of_limits, command, config, options, run, steps, stints, take, turns, unlimited,
    user,
};

proptest! {
    #[test]
    fn the_engine_does_what_the_model_does(config in config(), turns in turns(60)) {
        assert_same(config, &turns);
    }

    #[test]
    fn a_charge_alone_leaves_what_a_refused_command_leaves(config in config(), steps in steps(60)) {
        run(config, &steps, |before, (command, now), result, after| {
            let mut charged = before.clone();
            let (kind, actor, group) = (command.kind(), command.actor(), command.group());
            let done = charged.charge(kind, actor, group, *now);
            match result {
                Err(Refusal::TooFast { retry_at }) => {
                    assert_eq!(done, Err(Refusal::TooFast { retry_at: *retry_at }));
                    assert_eq!((&charged, charged.stats()), (before, before.stats()));
                }
                Err(_) => {
                    assert_eq!(done, Ok(()));
                    assert_eq!(&charged, after, "{command}");
                    assert_eq!(charged.stats().tombstones, after.stats().tombstones);
                    // The limit on groups per user sweeps what it counts.
                    let swept = charged.stats().unswept == after.stats().unswept;
                    assert!(swept || config.limits.groups_per_user.is_some());
                }
                Ok(_) => assert_eq!(done, Ok(())),
            }
            assert_eq!(charged.check(), Ok(()));
        });
    }

    #[test]
    fn nothing_grows_past_its_limit(config in config(), turns in turns(60)) {
        let mut engine: Engine = Engine::new(config);
        for turn in turns {
            let before = engine.clone();
            take(&mut engine, &turn);
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
                let counts = !is_of_message(&signal.event) && !is_for_staff(before, signal);
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
            let (Command::Join { user, group } | Command::Add { user, group, .. }) = command else {
                return;
            };
            if result.is_ok() {
                assert_eq!(before.group(group).unwrap().ban(user, *now), None);
            }
        });
    }

    #[test]
    fn in_a_closed_group_nobody_becomes_a_member_but_by_create_and_add(
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
                    _ => panic!("{user} is in {id} by {command}"),
                }
            }
        });
    }

    #[test]
    fn nobody_adds_or_posts_below_the_rank_that_the_options_name(
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
    fn whoever_is_muted_posts_and_edits_nothing_until_it_ends(
        config in unlimited(), steps in steps(80)
    ) {
        let mut muted: BTreeMap<(GroupId, UserId), Mute<UserId>> = BTreeMap::new();
        let engine = run(config, &steps, |_, (command, now), result, after| {
            // A mute that is over may be cleaned, and then it does not hold when the clock goes back.
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
            let _ = engine.set_options(owner, id, GroupOptions::default(), now).unwrap();
            if user != owner {
                let _ = engine.leave(user, id, now);
                let _ = engine.unban(owner, id, user, now);
                let _ = engine.add(owner, id, user, now).unwrap();
            }
            let refusal = Refusal::Muted { by, until };
            prop_assert_eq!(engine.post(user, id, "m", now).map(drop), Err(refusal));
        }
    }

    #[test]
    fn nobody_edits_another_s_words_or_erases_those_of_an_equal_or_a_higher_rank(
        config in unlimited(), steps in steps(80)
    ) {
        run(config, &steps, |before, (command, now), result, after| {
            let taken_back = match command {
                Command::Edit { group, seq, .. } | Command::Erase { group, seq, .. } => {
                    result.is_ok().then_some((*group, *seq))
                }
                _ => None,
            };
            let read = |engine: &Engine, reader: &UserId, id: &GroupId| {
                let history = engine.history(reader, id, Page::newest(u64::MAX), *now).map(said);
                let by_seq = |said: Said| (said.seq, said);
                history.unwrap_or_default().into_iter().map(by_seq).collect::<BTreeMap<_, _>>()
            };
            if let Some((id, seq)) = taken_back {
                let (by, group) = (command.actor(), before.group(&id).unwrap());
                let author = read(before, by, &id)[&seq].author;
                let outranks = group.rank(by) > group.rank(&author).max(Some(Rank::Member));
                let may_erase = matches!(command, Command::Erase { .. }) && outranks;
                assert!(author == *by || may_erase, "{command}");
            }
            // No other command changes an entry, and these change no other entry.
            for (id, group) in before.groups() {
                for (reader, _) in group.members() {
                    let new = read(after, reader, id);
                    for (seq, old) in read(before, reader, id) {
                        let Some(new) = new.get(&seq) else { continue };
                        assert_eq!((new.at, new.author), (old.at, old.author));
                        assert!(*new == old || taken_back == Some((*id, seq)), "{command}");
                    }
                }
            }
        });
    }

    #[test]
    fn an_erased_text_is_in_no_page_no_snapshot_and_no_later_signal(
        config in unlimited(), steps in steps(80)
    ) {
        // No text is part of another one.
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
            let mut written = serde_json::to_string(after).unwrap();
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
                written += &serde_json::to_string(&outcome.signals).unwrap();
                written += &format!("{:?}", value(&outcome.value));
            }
            written += &format!("{:?}", sight(after, *now));
            for text in &gone {
                assert!(!written.contains(&**text), "{text}");
            }
        });
    }

    #[test]
    fn in_a_quiet_group_the_staff_alone_hears_of_a_plain_member_who_comes_or_goes(
        config in unlimited(), steps in steps(80)
    ) {
        run(config, &steps, |before, _, result, after| {
            for signal in result.iter().flat_map(|outcome| &outcome.signals) {
                let old = before.group(&signal.group).unwrap();
                if old.options().announce != Announce::Staff {
                    continue;
                }
                let heard = |user: &UserId| signal.audience.contains(user);
                let actor = signal.actor();
                let Some(new) = after.group(&signal.group) else {
                    // Every member but the owner hears of a dissolution.
                    assert!(users().all(|user| heard(&user) == (old.contains(&user) && user != *actor)));
                    continue;
                };
                if !is_for_staff(before, signal) {
                    continue;
                }
                assert_eq!((signal.version, new.version()), (old.version(), old.version()));
                for user in users() {
                    let is_staff = new.rank(&user) >= Some(Rank::Admin);
                    let adds = matches!(signal.event, Event::MemberJoin { .. }) && user == *actor;
                    let is_added_or_kicked = user == signal.from && user != *actor;
                    assert_eq!(heard(&user), is_staff && !adds || is_added_or_kicked);
                }
            }
        });
    }

    #[test]
    fn a_signal_s_actor_is_who_sent_the_command(config in unlimited(), steps in steps(80)) {
        run(config, &steps, |before, (command, _), result, after| {
            for signal in result.iter().flat_map(|outcome| &outcome.signals) {
                assert_eq!(signal.actor(), command.actor());
                if is_for_staff(before, signal) {
                    continue;
                }
                // A signal to everybody leaves out nobody but the one who acted.
                let group = after.group(&signal.group).or(before.group(&signal.group)).unwrap();
                for (user, _) in group.members() {
                    assert!(signal.audience.contains(user) || user == signal.actor());
                }
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

/// Takes the turns with an engine and with a model, and compares all that a host sees of them.
fn assert_same(config: Config, turns: &[Turn]) {
    let mut engine: Engine = Engine::new(config);
    let mut model = Model::new(config);
    let mut now = Timestamp(0);
    for turn in turns {
        match turn {
            Turn::Command(command, at) => {
                now = *at;
                let ours = answer(&engine.apply(command.clone(), now));
                assert_eq!(ours, model.apply(command.clone(), now), "{command}");
            }
            Turn::Charge(command, at) => {
                now = *at;
                let (kind, actor, group) = (command.kind(), command.actor(), command.group());
                let ours = engine.charge(kind, actor, group, now);
                assert_eq!(ours, model.charge(kind, *actor, group.copied(), now));
            }
            Turn::Change(change) => {
                let (before, new) = (engine.clone(), change.of(model.config));
                let ours = engine.set_config(new).map(drop);
                assert_eq!(ours, model.set_config(new));
                assert!(ours.is_ok() || before == engine, "a refused change changes nothing");
            }
        }
        assert_eq!(sight(&engine, now), sight_of_model(&model, now), "{turn:?}");
        assert_stats(engine.stats(), &model);
        assert_eq!(engine.check(), Ok(()));
    }
}

/// A number above its limit may stay and shrink.
fn assert_growth(max: Option<u64>, before: u64, after: u64) {
    assert!(after <= before || max.is_none_or(|max| after <= max), "{before} to {after}");
}

/// Whether a signal is about a plain member who comes or goes in a quiet group.
fn is_for_staff(before: &Engine, signal: &Signal<UserId, GroupId>) -> bool {
    let group = before.group(&signal.group).unwrap();
    is_of_plain_member(signal, group.rank(&signal.from))
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

/// One group that all users are in from the start and that lasts. So most commands succeed, and
/// there are many bans, mutes and entries that end, and hold again when the clock goes back.
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
        // Some of these users are never members, so there may be more bans than members.
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

    fn speech() -> impl Strategy<Value = Command<UserId, GroupId>> {
        let (user, group) = (|| (0..3u64).prop_map(UserId), GROUP);
        let text = || "[a-c]{0,3}".prop_map(Arc::from);
        let seq = || {
            // The first entries are the first to expire.
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
            2 => kept().prop_map(move |options| {
                Command::SetOptions { by: OWNER, group, options }
            }),
            1 => user().prop_map(move |user| Command::Leave { user, group, stint: None }),
            1 => user().prop_map(move |user| Command::Join { user, group }),
            1 => (user(), until()).prop_map(move |(user, until)| {
                Command::Mute { by: OWNER, group, user, until }
            }),
        ]
    }

    /// Options with several retentions.
    fn kept() -> impl Strategy<Value = GroupOptions> {
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

    /// The group is founded. Then come these commands and a few changes of the limits, while the
    /// clock goes on and back.
    fn turns(
        command: impl Strategy<Value = Command<UserId, GroupId>>,
    ) -> impl Strategy<Value = Vec<Turn>> {
        let step = (command, prop::option::weighted(0.05, change_of_limits()), 10_000..10_400u64);
        prop::collection::vec(step, 1..80).prop_map(|steps| {
            let group = GROUP;
            let create = Command::Create { owner: OWNER, group, options: None };
            let user = UserId(1);
            let founding = [create]
                .into_iter()
                .chain((1..5).map(|id| Command::Join { user: UserId(id), group }))
                .chain([Command::SetRank { by: OWNER, group, user, rank: Rank::Admin }]);
            let mut turns: Vec<Turn> =
                founding.map(|command| Turn::Command(command, Timestamp(10_000))).collect();
            for (command, change, now) in steps {
                turns.extend(change.map(|change| Turn::Change(Box::new(change))));
                turns.push(Turn::Command(command, Timestamp(now)));
            }
            turns
        })
    }

    proptest! {
        #[test]
        fn bans_and_mutes_are_those_of_the_model(config in unlimited(), turns in turns(sanctions())) {
            assert_same(config, &turns);
        }

        #[test]
        fn what_is_said_is_what_the_model_says(config in unlimited(), turns in turns(speech())) {
            assert_same(config, &turns);
        }
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

    /// Retentions of several blocks.
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
        fn the_engine_does_what_the_model_does(
            config in unlimited(), commands in prop::collection::vec(crowded(), 700),
            message_bytes_total in prop::option::of(100..600u64),
        ) {
            let limits = Limits { message_bytes_total, ..config.limits };
            let config = Config { limits, ..config };
            let mut engine: Engine = Engine::new(config);
            let mut model = Model::new(config);
            let mut snapshots = Vec::new();
            for (now, command) in (1..).zip(commands) {
                let now = Timestamp(now);
                let ours = answer(&engine.apply(command.clone(), now));
                prop_assert_eq!(ours, model.apply(command.clone(), now), "{}", command);
                assert_stats(engine.stats(), &model);
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
