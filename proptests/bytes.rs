//! Reads any bytes as a snapshot or as commands, and checks what must hold for every input. The
//! fuzzer runs this on new inputs. The tests run it again on the inputs that the fuzzer kept.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use disband::{
    Admission, Announce, Command, Config, Engine, GroupId, GroupOptions, HistoryAccess, Limits,
    OwnerExit, Page, Quota, Quotas, Rank, Rate, Seq, Snapshot, SnapshotError, Stint, Timestamp,
    UserId, wire,
};
use serde_json::json;

use crate::model::Model;
use crate::sight::{
    EngineResult, GROUPS, Step, USERS, answer, assert_stats, model_signal, value, view,
    view_of_model,
};

/// How far bytes get when they are read as a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub enum Depth {
    /// They do not deserialise.
    Unread,
    /// They deserialise, but break a rule.
    Broken(SnapshotError<UserId, GroupId>),
    /// They are a valid engine, and commands were run on it.
    Engine,
}

/// Reads bytes as a snapshot. The first byte says what the others are: JSON, postcard, or numbers
/// from which [`Script`] makes a snapshot. If the snapshot is a valid engine, checks that it can be
/// written and read back, and that every invariant still holds after further commands.
pub fn snapshot(bytes: &[u8]) -> Depth {
    let Some((form, bytes)) = bytes.split_first() else { return Depth::Unread };
    let read: Option<Snapshot<UserId, GroupId>> = match form % 4 {
        0 => serde_json::from_slice(bytes).ok(),
        1 => postcard::from_bytes(bytes).ok(),
        _ => Script::new(bytes).snapshot().map(|value| serde_json::from_value(value).unwrap()),
    };
    let Some(read) = read else { return Depth::Unread };
    let mut engine = match Engine::try_from(read) {
        Ok(engine) => engine,
        Err(broken) => return Depth::Broken(broken),
    };
    assert_round_trips(&engine);
    exercise(&mut engine);
    Depth::Engine
}

/// Writes the engine as JSON and as postcard, and reads both back. Checks that both copies equal
/// the engine, also as bytes. Returns one of the copies.
fn assert_round_trips(engine: &Engine) -> Engine {
    assert_eq!(engine.check(), Ok(()));
    let (json, bytes) =
        (serde_json::to_string(engine).unwrap(), postcard::to_stdvec(engine).unwrap());
    let from_json: Engine = serde_json::from_str(&json).unwrap();
    let from_postcard: Engine = postcard::from_bytes(&bytes).unwrap();
    assert_eq!((&from_json, &from_postcard), (engine, engine));
    assert_eq!(serde_json::to_string(&from_postcard).unwrap(), json);
    assert_eq!(postcard::to_stdvec(&from_json).unwrap(), bytes);
    from_json
}

/// Runs commands of every kind on clones of the engine, at four times from 0 to `u64::MAX`. In up
/// to four groups, the owner and one other member send them (a stranger, if there is no other
/// member). In a group that does not exist, a stranger sends them.
fn exercise(engine: &mut Engine) {
    let (stranger, nowhere) = (UserId(u64::MAX), GroupId(u64::MAX));
    let mut groups: Vec<(GroupId, UserId, UserId)> = Vec::new();
    for (id, group) in engine.groups().take(4) {
        let member = group.members().map(|(user, _)| *user).find(|user| user != group.owner());
        groups.push((*id, *group.owner(), member.unwrap_or(stranger)));
    }
    groups.push((nowhere, stranger, stranger));
    let before = engine.clone();
    for now in [0, 1_000, 1 << 62, u64::MAX].map(Timestamp) {
        let mut engine = before.clone();
        for (group, owner, user) in groups.clone() {
            let next = engine.group(&group).map_or(Seq(0), |group| group.next_seq());
            for command in one_of_each(owner, group, user, next) {
                let result = engine.apply(command, now);
                assert_eq!(
                    serde_json::to_value(wire::reply(&result, now)).unwrap()["ok"],
                    result.is_ok()
                );
            }
            for reader in [owner, user, stranger] {
                let _ = engine.history(&reader, &group, Page::newest(99), now).map(Iterator::count);
                assert_eq!(
                    engine.groups_of(&reader).count(),
                    engine.groups_of(&reader).rev().count()
                );
            }
            assert_eq!(engine.check(), Ok(()));
        }
        engine.sweep(9);
        assert_eq!(engine.check(), Ok(()));
        let config = Config { instance: before.config().instance, ..Config::default() };
        let _ = engine.set_config(config).unwrap();
        assert_eq!(engine.check(), Ok(()));
    }
    assert_eq!(&before, engine, "commands on a clone do not change the original");
}

/// At least one command of each kind. `next` is the number of the next log entry.
fn one_of_each(
    owner: UserId,
    group: GroupId,
    user: UserId,
    next: Seq,
) -> [Command<UserId, GroupId>; 23] {
    let other = UserId(u64::MAX - 1);
    let options =
        GroupOptions { keep_entries: Some(2), keep_ms: Some(1_000), ..GroupOptions::default() };
    [
        Command::Join { user: other, group },
        Command::Post { author: owner, group, message: "a".into() },
        Command::SetRank { by: owner, group, user, rank: Rank::Admin },
        Command::SetRank { by: owner, group, user, rank: Rank::Member },
        Command::SetOptions { by: owner, group, options },
        Command::Post { author: user, group, message: "".into() },
        Command::Kick { by: owner, group, user: other },
        Command::Ban { by: owner, group, user: other, until: Some(Timestamp(1_001)) },
        Command::Unban { by: owner, group, user: other },
        Command::Add { by: owner, group, user: other },
        Command::Mute { by: owner, group, user, until: Some(Timestamp(1_001)) },
        Command::Edit { author: owner, group, seq: next, message: "b".into() },
        Command::Edit { author: user, group, seq: next, message: "bb".into() },
        Command::Unmute { by: owner, group, user },
        Command::Erase { by: owner, group, seq: next },
        Command::Erase { by: owner, group, seq: Seq(0) },
        Command::Transfer { owner, group, user },
        Command::Leave { user: owner, group, stint: Some(Stint(1)) },
        Command::Leave { user: owner, group, stint: None },
        Command::Create { owner, group: GroupId(u64::MAX - 1), options: None },
        Command::LeaveAll { user: owner },
        Command::Dissolve { owner: user, group, note: Some("c".into()), successor: Some(group) },
        Command::Create { owner: user, group, options: None },
    ]
}

/// Reads bytes as a configuration and commands with times, and runs them on the engine and on the
/// model. Between the commands come restarts from a snapshot, sweeps of the index, batches,
/// previews, charges of the rate limit alone, and changes of the configuration. All bytes are valid
/// input. Calls `on_result` with the result of each single command after the setup.
pub fn commands(bytes: &[u8], mut on_result: impl FnMut(&EngineResult)) {
    let mut script = Script::new(bytes);
    let Some(config) = script.config() else { return };
    let mut engine = Engine::new(config);
    let mut model = Model::new(config);
    for command in script.setup().unwrap_or_default() {
        let result = engine.apply(command.clone(), script.now);
        assert_eq!(answer(&result), model.apply(command, script.now));
    }
    while let Some(kind) = script.byte() {
        match kind % 24 {
            0 => engine = assert_round_trips(&engine),
            1 => engine.sweep(usize::from(kind / 24)),
            2 => {
                let batch: Vec<Step> = (0..1 + kind / 24).map_while(|_| script.step()).collect();
                let commands: Vec<_> = batch.into_iter().map(|(command, _)| command).collect();
                let before = engine.clone();
                let result = engine.apply_all(commands.clone(), script.now);
                if result.is_err() {
                    assert_eq!((&before, before.stats()), (&engine, engine.stats()));
                }
                let result = result.map(|all| {
                    let values: Vec<_> = all.value.iter().map(value).collect();
                    (values, all.signals.iter().map(model_signal).collect())
                });
                assert_eq!(result, model.apply_all(commands, script.now));
            }
            4 => {
                let Some(new) = script.config() else { break };
                // In three of four cases the instance number stays. Otherwise it comes from the
                // script, and the engine refuses it if it differs.
                let keeps_instance = kind / 24 % 4 != 3;
                let instance = if keeps_instance { model.config.instance } else { new.instance };
                let new = Config { instance, ..new };
                assert_eq!(engine.set_config(new).map(drop), model.set_config(new));
            }
            5 => {
                let Some((command, now)) = script.step() else { break };
                let (kind, actor, group) = (command.operation(), command.actor(), command.group());
                let result = engine.charge(kind, actor, group, now);
                assert_eq!(result, model.charge(kind, *actor, group.copied(), now));
            }
            _ => {
                let Some((command, now)) = script.step() else { break };
                let preview = (kind % 24 == 3).then(|| engine.preview(command.clone(), now));
                let result = engine.apply(command.clone(), now);
                assert!(preview.is_none_or(|preview| preview == result));
                assert_eq!(answer(&result), model.apply(command, now));
                on_result(&result);
            }
        }
        assert_eq!(view(&engine, script.now), view_of_model(&model, script.now));
        assert_stats(engine.stats(), &model);
        assert_eq!(engine.check(), Ok(()));
    }
}

/// Makes a configuration, commands, times and snapshots from bytes. There are few users, few groups
/// and small numbers, so that the commands affect one another.
///
/// The methods return `None` at the end of the bytes.
struct Script<'a> {
    bytes: &'a [u8],
    now: Timestamp,
}

impl<'a> Script<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Script { bytes, now: Timestamp(1_000_000) }
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*byte)
    }

    /// A number below `most`.
    fn below(&mut self, most: u64) -> Option<u64> {
        Some(u64::from(self.byte()?) % most)
    }

    /// Nothing or a number below `most`, each in about half of the cases.
    fn maybe(&mut self, most: u64) -> Option<Option<u64>> {
        let number = self.below(2 * most)?;
        Some(number.checked_sub(most))
    }

    fn config(&mut self) -> Option<Config> {
        let limits = if self.below(2)? == 0 {
            Limits::NONE
        } else {
            Limits {
                members_per_group: self.maybe(5)?,
                groups_per_user: self.maybe(3)?,
                message_bytes: self.maybe(3)?,
                entries_per_group: self.maybe(8)?,
                bans_per_group: self.maybe(3)?,
                mutes_per_group: self.maybe(3)?,
                note_bytes: self.maybe(3)?,
                message_bytes_total: self.maybe(12)?,
                memberships_total: self.maybe(12)?,
            }
        };
        Some(Config {
            instance: self.below(256)?,
            quotas: Quotas { leave: self.quota()?, ..Quotas::all(self.quota()?) },
            tombstone_ms: match self.below(4)? {
                0 => 0,
                1 => u64::MAX,
                _ => 1 + self.below(256)? * 8,
            },
            departures: self.byte()? % 4,
            limits,
        })
    }

    fn quota(&mut self) -> Option<Quota> {
        if self.below(2)? == 0 {
            return Some(Quota::Unlimited);
        }
        let cells = NonZeroU32::MIN.saturating_add(self.below(3)?.try_into().ok()?);
        let per_ms = NonZeroU64::MIN.saturating_add(self.below(256)? * 8);
        let burst = NonZeroU32::MIN.saturating_add(self.below(4)?.try_into().ok()?);
        Some(Quota::Limited(Rate { cells, per_ms, burst }))
    }

    /// Commands that create most of the groups at the start. Each group gets options, an owner, two
    /// plain members and an admin. Random commands alone would seldom make such groups.
    fn setup(&mut self) -> Option<Vec<Command<UserId, GroupId>>> {
        let mut commands = Vec::new();
        for id in 0..GROUPS {
            if self.below(4)? == 0 {
                continue;
            }
            let (owner, group, options) = (UserId(id), GroupId(id), Some(self.options()?));
            let user = |n| UserId((id + n) % USERS);
            commands.push(Command::Create { owner, group, options });
            commands.extend((1..4).map(|n| Command::Add { by: owner, group, user: user(n) }));
            commands.push(Command::SetRank { by: owner, group, user: user(2), rank: Rank::Admin });
        }
        Some(commands)
    }

    fn user(&mut self) -> Option<UserId> {
        self.below(USERS).map(UserId)
    }

    fn group(&mut self) -> Option<GroupId> {
        self.below(GROUPS).map(GroupId)
    }

    fn options(&mut self) -> Option<GroupOptions> {
        Some(GroupOptions {
            owner_exit: [OwnerExit::Dissolve, OwnerExit::Succeed, OwnerExit::Refuse]
                [usize::from(self.byte()? % 3)],
            history: [HistoryAccess::FromJoin, HistoryAccess::Full][usize::from(self.byte()? % 2)],
            keep_entries: self.maybe(6)?,
            keep_ms: self.maybe(100)?.map(|ms| ms * 16),
            admission: [Admission::Open, Admission::Closed][usize::from(self.byte()? % 4 / 3)],
            add: self.rank()?,
            // In most groups every member may post.
            post: if self.below(2)? == 0 { Rank::Member } else { self.rank()? },
            announce: [Announce::Everyone, Announce::Staff][usize::from(self.byte()? % 2)],
        })
    }

    fn rank(&mut self) -> Option<Rank> {
        Some([Rank::Admin, Rank::Member, Rank::Owner][usize::from(self.byte()? % 3)])
    }

    fn message(&mut self) -> Option<Arc<str>> {
        Some(["", "a", "bb", "ccc"][usize::from(self.byte()? % 4)].into())
    }

    fn until(&mut self, now: Timestamp) -> Option<Option<Timestamp>> {
        Some(self.maybe(128)?.map(|ms| Timestamp(now.0.saturating_add(ms * 8))))
    }

    fn seq(&mut self) -> Option<Seq> {
        self.below(6).map(Seq)
    }

    /// The clock goes on in about half of the cases. Otherwise it stands still, jumps or goes back.
    fn tick(&mut self) -> Option<Timestamp> {
        let byte = self.byte()?;
        let now = self.now.0;
        self.now = Timestamp(match byte {
            0..=63 => now,
            64..=199 => now.saturating_add(u64::from(byte - 63) * 4),
            200..=219 => now.saturating_add(u64::from(byte - 199) * 1_000),
            220..=247 => now.saturating_sub(u64::from(byte - 219) * 300),
            248..=250 => now.saturating_sub(1_000_000),
            251..=253 => now.saturating_add(1_000_000),
            254 => u64::MAX - 2_000,
            255 => 1_000_000,
        });
        Some(self.now)
    }

    fn step(&mut self) -> Option<Step> {
        let now = self.tick()?;
        let kind = self.byte()?;
        let (by, group) = (self.user()?, self.group()?);
        let command = match kind % 24 {
            0 => Command::Create { owner: by, group, options: Some(self.options()?) },
            1 => Command::Create { owner: by, group, options: None },
            2..=4 => Command::Join { user: by, group },
            5 => Command::Leave { user: by, group, stint: None },
            6 => Command::Leave { user: by, group, stint: Some(Stint(self.below(64)?)) },
            7 => Command::Kick { by, group, user: self.user()? },
            8 | 9 => Command::Post { author: by, group, message: self.message()? },
            10 => {
                let note = if self.below(2)? == 0 { None } else { Some(self.message()?) };
                let successor = self.maybe(GROUPS)?.map(GroupId);
                Command::Dissolve { owner: by, group, note, successor }
            }
            11 => Command::Transfer { owner: by, group, user: self.user()? },
            12 => {
                let rank = self.rank()?;
                Command::SetRank { by, group, user: self.user()?, rank }
            }
            13 => Command::SetOptions { by, group, options: self.options()? },
            14 => {
                let until = self.until(now)?;
                Command::Ban { by, group, user: self.user()?, until }
            }
            15 => Command::Unban { by, group, user: self.user()? },
            16 => Command::LeaveAll { user: by },
            17 | 18 => Command::Add { by, group, user: self.user()? },
            19 => {
                let until = self.until(now)?;
                Command::Mute { by, group, user: self.user()?, until }
            }
            20 => Command::Unmute { by, group, user: self.user()? },
            21 | 22 => {
                let seq = self.seq()?;
                Command::Edit { author: by, group, seq, message: self.message()? }
            }
            _ => Command::Erase { by, group, seq: self.seq()? },
        };
        Some((command, now))
    }

    /// Mostly a small number. Seldom 2^63 (the largest counter in a snapshot), one more, or one of
    /// the two largest numbers.
    fn number(&mut self) -> Option<u64> {
        Some(match self.byte()? {
            255 => u64::MAX,
            254 => (1 << 63) + 1,
            253 => 1 << 63,
            252 => u64::MAX - 1,
            small => small.into(),
        })
    }

    /// Up to `most` ascending numbers above `start`. One number in 64 is not larger than the one
    /// before it: a list that is not ascending breaks a rule of snapshots.
    fn ascending(&mut self, start: u64, most: u64) -> Option<Vec<u64>> {
        let mut last = start;
        (0..self.below(most + 1)?)
            .map(|_| {
                let gap = self.byte()?;
                last = if gap % 64 == 63 {
                    last.saturating_sub(1)
                } else {
                    last + 1 + u64::from(gap % 3)
                };
                Some(last)
            })
            .collect()
    }

    /// Mostly `valid`. One time in 64 another number, which may break a rule.
    fn or_any(&mut self, valid: u64) -> Option<u64> {
        if self.below(64)? == 63 { self.number() } else { Some(valid) }
    }

    /// JSON that deserialises as a snapshot. Its numbers may break the rules for snapshots.
    fn snapshot(&mut self) -> Option<serde_json::Value> {
        let config = self.config()?;
        let mut stint = 1;
        let mut groups = Vec::new();
        for id in self.ascending(0, 3)? {
            groups.push(json!([id.to_string(), self.group_value(&mut stint)?]));
        }
        let mut tombstones = Vec::new();
        for id in self.ascending(20, 4)? {
            let id = self.or_any(id)?.to_string();
            let (by, at) = (self.number()?.to_string(), self.number()?);
            let farewell = match self.below(3)? {
                0 => json!(null),
                1 => json!({"note": self.message()?, "successor": null}),
                _ => json!({"note": null, "successor": self.number()?.to_string()}),
            };
            tombstones.push(json!([id, {"by": by, "at": at, "farewell": farewell}]));
        }
        let mut cells = Vec::new();
        // A cell is the stored state of one rate limit. A snapshot lists the cells by operation and
        // then by user.
        for operation in ["create", "join", "leave", "post", "leave_all", "add", "erase"] {
            let quotas = &config.quotas;
            let quota = if operation == "leave" { quotas.leave } else { quotas.join };
            // An operation without a limit has no cells. A few snapshots break that rule.
            if quota == Quota::Unlimited && self.below(32)? != 31 {
                continue;
            }
            for user in self.ascending(0, 2)? {
                let group = self.maybe(4)?.map(|id| id.to_string());
                let key = json!({"user": user.to_string(), "group": group, "operation": operation});
                let cell = u128::from(self.number()?) << (self.byte()? % 64);
                // A `Value` cannot hold a larger number than `u64::MAX`.
                cells.push(json!([key, u64::try_from(cell).unwrap_or(u64::MAX)]));
            }
        }
        Some(json!({
            "format": 2, "config": config, "next_stint": self.or_any(stint)?,
            "next_key": self.number()?, "groups": groups, "tombstones": tombstones, "cells": cells,
        }))
    }

    /// The JSON of a group. `stint` is the next free stint (the id of one unbroken membership).
    fn group_value(&mut self, stint: &mut u64) -> Option<serde_json::Value> {
        let options = self.options()?;
        let mut users = self.ascending(0, 5)?;
        users.insert(0, 0);
        // Stints need not ascend with the users: the mask changes their order.
        let mask = self.below(8)?;
        let members: Vec<(u64, u64)> =
            (0..).zip(&users).map(|(at, user)| (*user, *stint + (at ^ mask))).collect();
        *stint += 8;
        let (owner, _) = members[usize::from(self.byte()?) % members.len()];
        let mut admins = Vec::new();
        for (user, stint) in &members {
            if self.below(4)? == 3 && *user != owner {
                admins.push((self.or_any(*stint)?, user.to_string()));
            }
        }
        admins.sort();
        let bans = self.sanctions(30)?;
        // A member can be muted but not banned. So the muted users may be members, and the banned
        // users (from 30 on) are not.
        let mutes = self.sanctions(0)?;
        let mut departures = Vec::new();
        for user in self.ascending(0, 2)? {
            let by = self.maybe(9)?.map(|user| user.to_string());
            let (user, at) = (user.to_string(), self.number()?);
            departures.push(json!({"user": user, "at": at, "kicked_by": by}));
        }
        let (mut entries, mut last) = (Vec::new(), 0);
        let repeat = if self.below(8)? == 0 { 20 } else { 1 };
        for at in self.ascending(0, 4)? {
            let (author, before) = (self.number()?.to_string(), self.or_any(1)?);
            // An edit is not earlier than its entry, and an erased entry has no text. A few entries
            // break these rules.
            let (message, change) = match self.below(8)? {
                0 => ("", json!({"erased": self.number()?.to_string()})),
                1 => ("e", json!({"edited": self.or_any(at + 1)?})),
                2 => (["", "m"][usize::from(self.byte()? / 255)], json!({"erased": "1"})),
                _ => ("m", json!(null)),
            };
            let entry = json!({
                "at": at, "author": author, "message": message, "before": before, "change": change,
            });
            entries.extend(std::iter::repeat_n(entry, repeat));
            last = at;
        }
        let members: Vec<_> = members.iter().map(|(user, at)| (user.to_string(), at)).collect();
        Some(json!({
            "owner": self.or_any(owner)?.to_string(), "options": options,
            "version": self.number()?, "members": members, "admins": admins, "bans": bans,
            "mutes": mutes, "departures": departures, "first": self.number()?,
            "last_at": self.or_any(last)?, "entries": entries,
        }))
    }

    /// The JSON of bans or mutes of a few users above `start`.
    fn sanctions(&mut self, start: u64) -> Option<Vec<serde_json::Value>> {
        let mut sanctions = Vec::new();
        for user in self.ascending(start, 3)? {
            let user = self.or_any(user)?.to_string();
            let until = if self.below(2)? == 0 { None } else { Some(self.number()?) };
            sanctions.push(json!([user, {"by": "1", "until": until}]));
        }
        Some(sanctions)
    }
}
