// Every command, every signal and every refusal, with both types of ids.

import assert from "node:assert/strict";
import test from "node:test";

import { KINDS, UNLIMITED, events, refused } from "./support.mjs";

for (const { ids, make, id } of KINDS) {
  const [alice, bob, carol, dave, group, other] = [1, 2, 3, 4, 7, 8].map(id);

  /** A group of Alice, who owns it, Bob and Carol. */
  function three(config) {
    const engine = make({ quotas: UNLIMITED, ...config });
    engine.create(alice, group, 10);
    engine.join(bob, group, 20);
    engine.join(carol, group, 30);
    return engine;
  }

  test(`${ids}: create, join, add`, () => {
    const engine = make();
    assert.equal(engine.ids, ids);
    const created = engine.create(alice, group, 10);
    assert.deepEqual([created.value, events(created)], [1, []]);
    assert.equal(created.reply(), '{"ok":true,"code":200,"msg":"OK","data":{"stint":1}}');

    const joined = engine.join(bob, group, 20);
    assert.equal(joined.value, 2);
    assert.deepEqual(events(joined), [{ type: "memberjoin", from: bob, by: null, to: [alice] }]);
    const [signal] = joined.signals;
    assert.deepEqual([signal.group, signal.actor, signal.version], [group, bob, 2]);
    const frame = { key: signal.key, from: `${bob}`, type: "memberjoin", groupid: `${group}` };
    assert.deepEqual(JSON.parse(signal.frame()), frame);
    assert.deepEqual(JSON.parse(signal.frame(true)), { ...frame, version: 2 });

    const added = engine.add(alice, group, carol, 30);
    assert.equal(added.value, 3);
    assert.deepEqual(events(added), [{ type: "memberjoin", from: carol, by: alice, to: [bob, carol] }]);
    assert.deepEqual(
      engine.members(group),
      [[alice, 1, "owner"], [bob, 2, "member"], [carol, 3, "member"]].map(([user, stint, rank]) => ({ user, stint, rank })),
    );
  });

  test(`${ids}: post, edit, erase, history`, () => {
    const engine = three();
    const posted = engine.post(bob, group, "hello", 40);
    assert.equal(posted.value, 0);
    assert.deepEqual(events(posted), [
      { type: "message", from: bob, seq: 0, at: 40, message: "hello", to: [alice, carol] },
    ]);
    engine.post(carol, group, "¿qué? 🦀", 50);
    const edited = engine.edit(bob, group, 0, "good morning", 60);
    assert.equal(edited.value, undefined);
    assert.deepEqual(events(edited), [
      { type: "messageedit", from: bob, seq: 0, at: 60, message: "good morning", to: [alice, carol] },
    ]);
    const erased = engine.erase(alice, group, 1n, 70);
    assert.deepEqual(events(erased), [{ type: "messageerase", from: alice, seq: 1, to: [bob, carol] }]);

    const first = { seq: 0, at: 40, author: bob, message: "good morning", edited: 60, erasedBy: null };
    const second = { seq: 1, at: 50, author: carol, message: "", edited: null, erasedBy: alice };
    assert.deepEqual(engine.history(bob, group, 80), [second, first]);
    assert.deepEqual(engine.history(bob, group, 80, { before: 1 }), [first]);
    assert.deepEqual(engine.history(bob, group, 80, { limit: 1 }), [second]);
    assert.deepEqual(engine.history(bob, group, 80, { limit: 0 }), []);
    refused(() => engine.history(dave, group, 80), { code: 400, reason: "not_member", absence: "no_record" });
    refused(() => engine.history(dave, other, 80), { code: 404, reason: "no_such_group" });
  });

  test(`${ids}: kick, ban, unban`, () => {
    const engine = three();
    const kicked = engine.kick(alice, group, bob, 40);
    assert.equal(kicked.value, 2);
    assert.deepEqual(events(kicked), [
      { type: "memberkick", from: bob, by: alice, to: [alice, bob, carol] },
    ]);
    assert.deepEqual(engine.departures(group), [{ user: bob, at: 40, kickedBy: alice }]);

    assert.equal(engine.ban(alice, group, carol, 50, 60).value, 3);
    assert.equal(engine.ban(alice, group, dave, 50).value, null);
    assert.deepEqual(engine.bans(group, 55), [
      { user: carol, by: alice, until: 60 },
      { user: dave, by: alice, until: null },
    ]);
    assert.deepEqual(engine.bans(group, 60), [{ user: dave, by: alice, until: null }]);
    assert.deepEqual(engine.standing(group, carol, 55), {
      stint: null,
      rank: null,
      ban: { by: alice, until: 60 },
      mute: null,
    });
    const unbanned = engine.unban(alice, group, dave, 60);
    assert.deepEqual([unbanned.value, events(unbanned)], [undefined, []]);
    assert.deepEqual(engine.bans(group, 60), []);
  });

  test(`${ids}: mute, unmute`, () => {
    const engine = three();
    assert.deepEqual(events(engine.mute(alice, group, bob, 40, 50)), [
      { type: "mute", from: bob, by: alice, until: 50, to: [alice, bob, carol] },
    ]);
    assert.deepEqual(engine.mutes(group, 45), [{ user: bob, by: alice, until: 50 }]);
    assert.deepEqual(engine.standing(group, bob, 45).mute, { by: alice, until: 50 });
    assert.deepEqual(events(engine.unmute(alice, group, bob, 45)), [
      { type: "unmute", from: bob, by: alice, to: [alice, bob, carol] },
    ]);
    assert.deepEqual(events(engine.mute(alice, group, dave, 45)), []);
  });

  test(`${ids}: ranks, options, transfer`, () => {
    const engine = three();
    assert.deepEqual(events(engine.setRank(alice, group, bob, "admin", 40)), [
      { type: "rankchange", from: bob, rank: "admin", to: [alice, bob, carol] },
    ]);
    assert.deepEqual(engine.admins(group), [{ user: bob, stint: 2, rank: "admin" }]);

    assert.deepEqual(events(engine.setOptions(alice, group, { post: "admin", keepMs: 5n }, 50)), []);
    assert.deepEqual(engine.group(group).options, {
      ownerExit: "dissolve",
      history: "from_join",
      keepEntries: null,
      keepMs: 5,
      admission: "open",
      add: "admin",
      post: "admin",
      announce: "everyone",
    });

    assert.deepEqual(events(engine.transfer(alice, group, carol, 60)), [
      { type: "ownerchange", from: carol, previous: alice, to: [alice, bob, carol] },
    ]);
    assert.deepEqual([engine.group(group).owner, engine.group(group).admins], [carol, 2]);
    assert.deepEqual([engine.ownedBy(carol), engine.ownedBy(alice)], [[group], []]);
  });

  test(`${ids}: leave`, () => {
    const engine = three();
    const left = engine.leave(bob, group, 40, 2);
    assert.deepEqual({ ...left.value }, { kind: "left", stint: 2 });
    assert.equal(left.value.dissolved, undefined);
    assert.deepEqual(events(left), [{ type: "memberleave", from: bob, to: [alice, carol] }]);
    assert.deepEqual(engine.groupsOf(bob), []);

    engine.setRank(alice, group, carol, "admin", 50);
    engine.setOptions(alice, group, { ownerExit: "succeed" }, 50);
    const succeeded = engine.leave(alice, group, 60);
    assert.deepEqual({ ...succeeded.value }, { kind: "succeeded", stint: 1, owner: carol });
    assert.deepEqual(events(succeeded), [
      { type: "memberleave", from: alice, to: [carol] },
      { type: "ownerchange", from: carol, previous: alice, to: [carol] },
    ]);

    const last = engine.leave(carol, group, 70);
    assert.deepEqual({ ...last.value }, { kind: "dissolved" });
    assert.equal(last.value.dissolved.members, 1);
    assert.deepEqual(
      events(last).map(({ type, to }) => [type, to]),
      [["memberkick", []], ["historypurge", []]],
    );
    assert.equal(engine.group(group), undefined);
  });

  test(`${ids}: dissolve`, () => {
    const engine = three();
    engine.post(bob, group, "hello", 40);
    const outcome = engine.dissolve(alice, group, 50, { note: "moved", successor: other });
    const dissolved = outcome.value;
    assert.deepEqual([dissolved.members, dissolved.entries], [3, 1]);
    assert.equal(dissolved.group().owner, alice);
    assert.deepEqual(dissolved.membersPage(alice, 1), [{ user: bob, stint: 2, rank: "member" }]);
    assert.deepEqual(dissolved.membersPage().length, 3);
    const entry = { seq: 0, at: 40, author: bob, message: "hello", edited: null, erasedBy: null };
    assert.deepEqual(dissolved.history(), [entry]);
    assert.deepEqual(dissolved.history({ before: 0 }), []);
    assert.deepEqual(dissolved.history({ limit: 0n }), []);
    assert.deepEqual(events(outcome), [
      { type: "memberkick", from: alice, by: alice, to: [bob, carol] },
      { type: "historypurge", from: alice, before: 1, note: "moved", successor: other, to: [bob, carol] },
    ]);
    refused(() => engine.join(dave, group, 60), {
      code: 404,
      reason: "dissolved",
      by: alice,
      at: 50,
      note: "moved",
      successor: other,
    });
  });

  test(`${ids}: leaveAll`, () => {
    const engine = three();
    engine.create(bob, other, 40);
    engine.join(alice, other, 50);
    const outcome = engine.leaveAll(alice, 60);
    assert.deepEqual(
      outcome.value.map(({ group, kind, stint }) => [group, kind, stint]),
      [[group, "dissolved", undefined], [other, "left", 5]],
    );
    assert.deepEqual(outcome.value[0].dissolved.membersPage().map(({ user }) => user), [alice, bob, carol]);
    assert.deepEqual(JSON.parse(outcome.reply()).data.groups.length, 2);
    assert.deepEqual(
      events(outcome).map(({ type, to }) => [type, to]),
      [["memberkick", [bob, carol]], ["historypurge", [bob, carol]], ["memberleave", [bob]]],
    );
    assert.deepEqual(engine.leaveAll(dave, 60).value, []);
  });

  test(`${ids}: every refusal`, () => {
    const engine = three({ limits: { messageBytes: 9, noteBytes: 0 } });
    const post = (user) => () => engine.post(user, group, "hi", 100);
    refused(() => engine.join(alice, other, 40), { code: 404, reason: "no_such_group" });
    refused(() => engine.join(bob, group, 40), { code: 409, reason: "already_member" });
    refused(() => engine.create(bob, group, 40), { code: 409, reason: "group_exists" });
    refused(() => engine.kick(bob, group, carol, 40), { code: 403, reason: "not_admin" });
    refused(() => engine.kick(alice, group, alice, 40), { code: 403, reason: "outranked" });
    refused(() => engine.kick(alice, group, dave, 40), {
      code: 400,
      reason: "target_not_member",
      absence: "no_record",
    });
    refused(() => engine.transfer(bob, group, carol, 40), { code: 403, reason: "not_owner" });
    refused(() => engine.transfer(alice, group, alice, 40), { code: 409, reason: "already_owner" });
    refused(() => engine.setRank(alice, group, bob, "member", 40), { code: 409, reason: "already_ranked" });
    refused(() => engine.unban(alice, group, bob, 40), { code: 409, reason: "not_banned" });
    refused(() => engine.unmute(alice, group, bob, 40), { code: 409, reason: "not_muted" });
    refused(() => engine.ban(alice, group, bob, 40, 40), { code: 409, reason: "already_expired" });
    refused(() => engine.leave(bob, group, 40, 1), { code: 400, reason: "not_member", absence: "stint_over" });
    refused(() => engine.post(bob, group, "much too long", 40), {
      code: 413,
      reason: "over_limit",
      limit: "message_bytes",
      max: 9,
    });
    refused(() => engine.dissolve(alice, group, 40, { note: "x" }), {
      code: 413,
      reason: "over_limit",
      limit: "note_bytes",
      max: 0,
    });

    engine.leave(bob, group, 50);
    refused(post(bob), { code: 400, reason: "not_member", absence: "left", at: 50 });
    engine.join(bob, group, 60);
    engine.kick(alice, group, bob, 70);
    refused(post(bob), { code: 400, reason: "not_member", absence: "kicked", by: alice, at: 70 });
    engine.ban(alice, group, bob, 80, 200);
    refused(() => engine.join(bob, group, 100), { code: 403, reason: "banned", by: alice, until: 200 });
    refused(() => engine.add(alice, group, bob, 100), {
      code: 409,
      reason: "target_banned",
      by: alice,
      until: 200,
    });
    engine.mute(alice, group, carol, 90);
    refused(post(carol), { code: 403, reason: "muted", by: alice, until: null });
    refused(() => engine.erase(alice, group, 0, 100), { code: 404, reason: "no_such_entry" });
    engine.post(alice, group, "hello", 100);
    refused(() => engine.erase(carol, group, 0, 100), { code: 403, reason: "not_author" });
    engine.unmute(alice, group, carol, 100);
    refused(() => engine.edit(carol, group, 0, "x", 100), { code: 403, reason: "not_author" });
    engine.erase(alice, group, 0, 100);
    refused(() => engine.erase(alice, group, 0, 100), { code: 409, reason: "already_erased" });
    engine.setOptions(alice, group, { admission: "closed", ownerExit: "refuse" }, 100);
    refused(() => engine.join(dave, group, 100), { code: 403, reason: "closed" });
    refused(() => engine.leave(alice, group, 100), { code: 409, reason: "owner_must_stay" });
    engine.dissolve(alice, group, 100);
    const until = 100 + 31 * 24 * 60 * 60 * 1000;
    refused(() => engine.create(dave, group, 110), { code: 409, reason: "id_reserved", until });
    refused(() => engine.join(dave, group, 110), {
      code: 404,
      reason: "dissolved",
      by: alice,
      at: 100,
      note: null,
      successor: null,
    });
    engine.setConfig({ quotas: { join: { cells: 1, perMs: 1_000, burst: 1 } } });
    engine.create(alice, other, 200);
    engine.join(bob, other, 200);
    const refusal = refused(() => engine.join(bob, other, 201), {
      code: 429,
      reason: "too_fast",
      retryAt: 1_200,
    });
    assert.deepEqual(JSON.parse(refusal.reply()).data, { retry_at: 1_200, retry_after_ms: 999 });
    engine.check();
  });

  test(`${ids}: commands as data do the same as methods`, () => {
    const [one, two] = [make(), make()];
    const now = 1_000;
    const pairs = [
      [(engine) => engine.create(alice, group, now), { type: "create", owner: alice, group }],
      [(engine) => engine.join(bob, group, now), { type: "join", user: bob, group }],
      [(engine) => engine.add(alice, group, carol, now), { type: "add", by: alice, group, user: carol }],
      [(engine) => engine.setRank(alice, group, bob, "admin", now), { type: "setRank", by: alice, group, user: bob, rank: "admin" }],
      [(engine) => engine.setOptions(alice, group, { history: "full" }, now), { type: "setOptions", by: alice, group, options: { history: "full" } }],
      [(engine) => engine.post(bob, group, "hello", now), { type: "post", author: bob, group, message: "hello" }],
      [(engine) => engine.edit(bob, group, 0, "hi", now), { type: "edit", author: bob, group, seq: 0, message: "hi" }],
      [(engine) => engine.erase(bob, group, 0, now), { type: "erase", by: bob, group, seq: 0 }],
      [(engine) => engine.mute(alice, group, carol, now, now + 5), { type: "mute", by: alice, group, user: carol, until: now + 5 }],
      [(engine) => engine.unmute(alice, group, carol, now), { type: "unmute", by: alice, group, user: carol }],
      [(engine) => engine.ban(alice, group, carol, now), { type: "ban", by: alice, group, user: carol }],
      [(engine) => engine.unban(alice, group, carol, now), { type: "unban", by: alice, group, user: carol }],
      [(engine) => engine.kick(alice, group, bob, now), { type: "kick", by: alice, group, user: bob }],
      [(engine) => engine.join(bob, group, now), { type: "join", user: bob, group }],
      [(engine) => engine.transfer(alice, group, bob, now), { type: "transfer", owner: alice, group, user: bob }],
      [(engine) => engine.leave(alice, group, now), { type: "leave", user: alice, group }],
      [(engine) => engine.dissolve(bob, group, now, { note: "x" }), { type: "dissolve", owner: bob, group, note: "x" }],
      [(engine) => engine.create(bob, other, now), { type: "create", owner: bob, group: other, options: null }],
      [(engine) => engine.leaveAll(bob, now), { type: "leaveAll", user: bob }],
    ];
    for (const [method, command] of pairs) {
      const preview = two.preview(command, now);
      const [did, applied] = [method(one), two.apply(command, now)];
      assert.equal(did.reply(), applied.reply());
      assert.equal(did.reply(), preview.reply());
      assert.deepEqual(events(did), events(applied));
      assert.deepEqual(events(did), events(preview));
      assert.ok(one.equals(two), command.type);
    }
  });

  test(`${ids}: charge takes from the rate limit and does nothing else`, () => {
    const engine = make({ quotas: { post: { cells: 1, perMs: 100, burst: 2 } } });
    engine.create(alice, group, 10);
    const post = { type: "post", author: alice, group, message: "hello" };
    assert.equal(engine.charge(post, 10), undefined);
    engine.charge(post, 10);
    refused(() => engine.charge(post, 10), { code: 429, reason: "too_fast", retryAt: 110 });
    refused(() => engine.apply(post, 10), { code: 429, reason: "too_fast", retryAt: 110 });
    assert.equal(engine.stats().entries, 0);
  });

  test(`${ids}: batches are carried out completely or not at all`, () => {
    const engine = make();
    const joins = Array.from({ length: 1_000 }, (_, index) => ({ type: "join", user: id(100 + index), group }));
    const outcome = engine.applyAll([{ type: "create", owner: alice, group }, ...joins], 10);
    assert.deepEqual(outcome.value, Array.from({ length: 1_001 }, (_, index) => index + 1));
    assert.equal(outcome.signals.length, 1_000);
    assert.deepEqual([...outcome.signals[999].audience], [alice, ...joins.slice(0, -1).map(({ user }) => user)]);
    assert.throws(() => outcome.reply(), TypeError);

    const before = engine.clone();
    const failing = [...joins.map((join) => ({ ...join, type: "leave" })), { type: "join", user: alice, group }];
    const refusal = refused(() => engine.applyAll(failing, 20), { code: 409, reason: "already_member", index: 1_000 });
    assert.match(refusal.reply(), /already_member/);
    assert.ok(engine.equals(before));
    engine.applyAll((function* () {
      yield { type: "transfer", owner: alice, group, user: id(100) };
      // A generator may use the engine.
      assert.equal(engine.group(group).owner, alice);
      yield { type: "leave", user: alice, group };
    })(), 20);
    assert.equal(engine.group(group).owner, id(100));
    assert.deepEqual(engine.applyAll([], 20).value, []);
    engine.check();
  });

  test(`${ids}: reads of a group that does not exist are undefined`, () => {
    const engine = make();
    for (const name of ["group", "members", "admins", "departures"]) assert.equal(engine[name](group), undefined);
    for (const name of ["bans", "mutes"]) assert.equal(engine[name](group, 10), undefined);
    assert.equal(engine.standing(group, alice, 10), undefined);
    assert.deepEqual([engine.groups(), engine.groupsOf(alice), engine.ownedBy(alice)], [[], [], []]);
  });

  test(`${ids}: pages`, () => {
    const engine = make({ quotas: UNLIMITED });
    for (let group = 0; group < 5; group++) engine.create(alice, id(group), 10);
    assert.deepEqual(engine.groups(), [0, 1, 2, 3, 4].map(id));
    assert.deepEqual(engine.groups(id(1), 2), [2, 3].map(id));
    assert.deepEqual(engine.groups(id(4)), []);
    assert.deepEqual(engine.groupsOf(alice)[1], { group: id(1), stint: 2 });

    const users = Array.from({ length: 2_000 }, (_, index) => id(1_000 + index));
    engine.applyAll(users.map((user) => ({ type: "join", user, group: id(0) })), 20);
    assert.equal(engine.members(id(0)).length, 1_000);
    assert.deepEqual(engine.members(id(0), users[5], 1), [{ user: users[6], stint: 12, rank: "member" }]);

    const { audience } = engine.post(alice, id(0), "hello", 30).signals[0];
    assert.equal(audience.size, 2_000);
    assert.deepEqual([...audience], users);
    assert.deepEqual(audience.page(), users.slice(0, 1_000));
    assert.deepEqual(audience.page(users[1_500]), users.slice(1_501));
    assert.deepEqual(audience.page(null, 3n), users.slice(0, 3));
    assert.deepEqual([audience.has(users[3]), audience.has(alice)], [true, false]);

    const small = engine.join(bob, id(1), 40).signals[0].audience;
    assert.deepEqual([small.size, small.has(alice), small.has(bob)], [1, true, false]);
    assert.deepEqual([small.page(), small.page(id(0)), small.page(alice), small.page(null, 0)], [[alice], [alice], [], []]);
  });

  test(`${ids}: config`, () => {
    const engine = make();
    const config = engine.config();
    assert.deepEqual(config.quotas.create, { cells: 1, perMs: 10_000, burst: 5 });
    assert.deepEqual([config.departures, config.limits.messageBytes], [16, 65_536]);
    engine.setConfig({ ...config, quotas: { ...config.quotas, post: "unlimited" }, limits: { noteBytes: null } });
    assert.deepEqual(engine.config().quotas.post, "unlimited");
    assert.deepEqual(engine.config().limits, { ...config.limits, noteBytes: null });
    for (const departures of [0, 127, 128n, 255]) {
      engine.setConfig({ departures, tombstoneMs: 2n ** 64n - 1n, limits: { noteBytes: 2 ** 53 - 1, bansPerGroup: 2n ** 53n } });
      const { tombstoneMs, limits, ...set } = engine.config();
      assert.deepEqual([set.departures, tombstoneMs], [Number(departures), 2n ** 64n - 1n]);
      assert.deepEqual([limits.noteBytes, limits.bansPerGroup], [2 ** 53 - 1, 2n ** 53n]);
    }
    engine.setConfig({});
    assert.deepEqual(engine.config(), config);
    assert.ok(engine.equals(make()));
  });

  test(`${ids}: stats and sweep`, () => {
    const engine = three();
    engine.dissolve(alice, group, 40);
    const { unswept, tombstones } = engine.stats();
    assert.deepEqual([unswept, tombstones], [3, 1]);
    engine.sweep(1_000_000);
    assert.equal(engine.stats().unswept, 0);
    engine.sweep(2n ** 64n - 1n);
  });
}
