// Bad arguments get an error that names them, and change nothing.

import assert from "node:assert/strict";
import test from "node:test";

import { Engine } from "disband";

import { KINDS, UNLIMITED, thrown } from "./support.mjs";

const LONE = ["\ud800", "\udfff", "a\udc00b", `${"long ".repeat(20)}\ud83d`];

/** Each call throws an error of that class whose text has that part, and changes nothing. */
function rejected(engine, Class, part, ...calls) {
  const before = engine.save();
  for (const call of calls) {
    const error = thrown(call);
    assert.ok(error instanceof Class, `${call}: ${error}`);
    assert.ok(error.message.includes(part), `${call}: ${error.message}`);
    assert.deepEqual(engine.save(), before);
  }
}

for (const { ids, make, id } of KINDS) {
  const [alice, bob, group] = [1, 2, 7].map(id);

  test(`${ids}: times and other integers`, () => {
    const engine = make();
    engine.create(alice, group, 10);
    engine.join(bob, group, 10);
    for (const bad of [NaN, Infinity, 0.5, -1, -1n, 2 ** 53, 2n ** 64n]) {
      rejected(engine, RangeError, "now: ", () => engine.post(alice, group, "hi", bad));
      rejected(engine, RangeError, "seq: ", () => engine.erase(alice, group, bad, 10));
      rejected(engine, RangeError, "until: ", () => engine.ban(alice, group, bob, 10, bad));
      rejected(engine, RangeError, "stint: ", () => engine.leave(bob, group, 10, bad));
      rejected(engine, RangeError, "limit: ", () => engine.members(group, null, bad));
      rejected(engine, RangeError, "before: ", () => engine.history(alice, group, 10, { before: bad }));
      rejected(engine, RangeError, "keepMs: ", () => engine.setOptions(alice, group, { keepMs: bad }, 10));
      rejected(engine, RangeError, "budget: ", () => engine.sweep(bad));
    }
    for (const bad of ["10", undefined, null, {}, true, new Date(10)]) {
      rejected(engine, TypeError, "now: ", () => engine.post(alice, group, "hi", bad));
      rejected(engine, TypeError, "seq: ", () => engine.erase(alice, group, bad, 10));
    }
    for (const good of [0, -0, 2 ** 53 - 1, 0n, 2n ** 64n - 1n]) engine.preview({ type: "leave", user: bob, group }, good);
  });

  test(`${ids}: texts`, () => {
    const engine = make({ quotas: UNLIMITED });
    engine.create(alice, group, 10);
    for (const bad of LONE) {
      rejected(engine, TypeError, "message: the text has a lone surrogate", () => engine.post(alice, group, bad, 10));
      rejected(engine, TypeError, "note: ", () => engine.dissolve(alice, group, 10, { note: bad }));
    }
    for (const bad of [undefined, null, 5, {}]) {
      rejected(engine, TypeError, "message: expected a string", () => engine.post(alice, group, bad, 10));
    }
    const texts = ["", "\0", "a".repeat(40), "a".repeat(41), "é".repeat(40), "🦀".repeat(20), "ß🦀a".repeat(5_000), "\ufffd"];
    for (const text of texts) {
      const outcome = engine.post(alice, group, text, 10);
      assert.equal(engine.history(alice, group, 10, { limit: 1 })[0].message, text);
      outcome.free();
    }
  });

  test(`${ids}: names and objects`, () => {
    const engine = make();
    engine.create(alice, group, 10);
    engine.join(bob, group, 10);
    rejected(
      engine,
      TypeError,
      "rank: expected one of member, admin, owner",
      () => engine.setRank(alice, group, bob, "boss", 10),
      () => engine.setRank(alice, group, bob, 1, 10),
    );
    rejected(engine, TypeError, "options.post: ", () => engine.create(alice, id(8), 10, { post: "all" }));
    rejected(engine, TypeError, "options: unknown field colour", () => engine.create(alice, id(8), 10, { colour: 1 }));
    rejected(engine, TypeError, "options: expected an object", () => engine.setOptions(alice, group, 5, 10));
    rejected(engine, TypeError, "expected an object", () => engine.apply(null, 10), () => engine.apply([], 10));
    rejected(engine, TypeError, "type: ", () => engine.apply({}, 10), () => engine.apply({ type: "toString" }, 10));
    rejected(engine, TypeError, "unknown field now", () => engine.apply({ type: "join", user: alice, group, now: 10 }, 10));
    rejected(engine, TypeError, "group: ", () => engine.charge({ type: "join", user: alice }, 10));
    rejected(engine, TypeError, "commands[1].user: ", () =>
      engine.applyAll([{ type: "join", user: id(3), group }, { type: "join", user: 3, group }], 10),
    );
    rejected(engine, TypeError, "commands: expected an iterable", () => engine.applyAll(5, 10), () => engine.applyAll(null, 10));
    rejected(engine, TypeError, "format: ", () => engine.save("xml"));
    rejected(engine, TypeError, "other: ", () => engine.equals({}));
  });

  test(`${ids}: a getter of an argument cannot use an engine`, () => {
    const engine = make();
    engine.create(alice, group, 10);
    rejected(
      engine,
      TypeError,
      "getter",
      () => engine.apply({ type: "join", user: bob, get group() { return engine.groups()[0]; } }, 10),
      () => engine.apply({ type: "join", user: bob, get group() { engine.stats(); return group; } }, 10),
      () => engine.apply({ type: "join", user: bob, get group() { engine.free(); return group; } }, 10),
    );
    assert.equal(engine.join(bob, group, 10).value, 2);
  });

  test(`${ids}: configurations`, () => {
    const engine = make();
    const quota = (rate) => ({ quotas: { post: rate } });
    rejected(engine, RangeError, "quotas.post.cells: ", () => make(quota({ cells: 0, perMs: 1, burst: 1 })));
    rejected(engine, RangeError, "quotas.post.burst: ", () => make(quota({ cells: 1, perMs: 1, burst: 2 ** 32 })));
    rejected(engine, RangeError, "quotas.post.perMs: ", () => make(quota({ cells: 1, perMs: 0n, burst: 1 })));
    rejected(engine, TypeError, "quotas.post.burst: ", () => make(quota({ cells: 1, perMs: 1 })));
    rejected(engine, TypeError, "quotas.post: ", () => engine.setConfig(quota("none")), () => engine.setConfig(quota(null)));
    rejected(engine, RangeError, "departures: ", () => engine.setConfig({ departures: 256 }));
    rejected(engine, TypeError, "limits: unknown field users", () => engine.setConfig({ limits: { users: 5 } }));
    rejected(engine, TypeError, "unknown field limit", () => engine.setConfig({ limit: {} }), () => make({ limit: {} }));
    rejected(engine, Error, "the instance number cannot change: it is 0", () => engine.setConfig({ instance: 1n }));
    assert.equal(thrown(() => engine.setConfig({ instance: 1 })).name, "ConfigError");
  });
}

test("ids of engines with numbers are bigints", () => {
  const engine = Engine.withNumbers();
  engine.create(0n, 2n ** 64n - 1n, 10);
  const group = 2n ** 64n - 1n;
  for (const bad of [-1n, 2n ** 64n, 2n ** 100n]) {
    rejected(engine, RangeError, "user: ", () => engine.join(bad, group, 10), () => engine.groupsOf(bad));
    rejected(engine, RangeError, "after: ", () => engine.members(group, bad));
  }
  for (const bad of [1, "1", undefined, null, {}, NaN]) {
    rejected(engine, TypeError, "user: ids of this engine are bigints", () => engine.join(bad, group, 10));
    rejected(engine, TypeError, "group: ids of this engine are bigints", () => engine.join(1n, bad, 10), () => engine.group(bad));
  }
  for (const power of [0n, 6n, 7n, 14n, 20n, 21n, 27n, 28n, 31n, 32n, 35n, 48n, 52n, 53n, 56n, 62n, 63n]) {
    for (const user of [2n ** power, 2n ** power + 1n, 2n ** power * 2n - 1n]) {
      const one = Engine.withNumbers();
      one.create(user, user, user);
      assert.deepEqual([one.group(user).owner, one.groups()], [user, [user]]);
      one.post(user, user, "hi", user);
      const { at } = one.history(user, user, user)[0];
      assert.equal(typeof at, user < 2n ** 53n ? "number" : "bigint");
      assert.equal(BigInt(at), user);
      one.free();
    }
  }
});

test("ids of engines with text are strings", () => {
  const engine = Engine.withText();
  engine.create("", "🦀", 10);
  assert.deepEqual([engine.groups(), engine.group("🦀").owner], [["🦀"], ""]);
  for (const bad of LONE) {
    rejected(engine, TypeError, "user: the text has a lone surrogate", () => engine.join(bad, "🦀", 10));
    rejected(engine, TypeError, "group: the text has a lone surrogate", () => engine.group(bad));
  }
  for (const bad of [1, 1n, undefined, null, {}]) {
    rejected(engine, TypeError, "user: ids of this engine are strings", () => engine.join(bad, "🦀", 10));
  }
});

test("audiences and dissolved groups check their arguments", () => {
  const engine = Engine.withNumbers();
  engine.create(1n, 7n, 10);
  engine.applyAll(Array.from({ length: 40 }, (_, index) => ({ type: "join", user: BigInt(index + 2), group: 7n })), 10);
  const small = Engine.withNumbers();
  small.create(1n, 7n, 10);
  const audiences = [engine.post(1n, 7n, "hi", 10), small.join(2n, 7n, 10)].map(({ signals }) => signals[0].audience);
  for (const audience of audiences) {
    assert.throws(() => audience.has(1), TypeError);
    assert.throws(() => audience.has(-1n), RangeError);
    assert.throws(() => audience.page("a"), TypeError);
    assert.throws(() => audience.page(null, -1), RangeError);
    assert.throws(() => audience.page(null, 2 ** 32), RangeError);
  }
  const dissolved = engine.dissolve(1n, 7n, 20).value;
  assert.throws(() => dissolved.membersPage(1), TypeError);
  assert.throws(() => dissolved.membersPage(null, 1.5), RangeError);
  assert.throws(() => dissolved.history({ before: NaN }), RangeError);
  assert.throws(() => dissolved.history({ limit: "1" }), TypeError);
});

test("engines are not made with new", () => {
  assert.throws(() => new Engine(), TypeError);
  assert.throws(() => Engine.load("words", new Uint8Array()), TypeError);
  for (const bad of [undefined, [1], "bytes", new ArrayBuffer(8)]) {
    assert.throws(() => Engine.load("numbers", bad), TypeError);
  }
});

test("a text may begin with a byte order mark", () => {
  const engine = Engine.withText({ quotas: UNLIMITED });
  const [alice, group] = ["\uFEFFalice", "\uFEFFgroup"];
  engine.create(alice, group, 1).free();
  assert.equal(engine.group(group).owner, alice);
  const long = `\uFEFF${"x".repeat(100)}`;
  engine.post(alice, group, long, 2).free();
  assert.equal(engine.history(alice, group, 3)[0].message, long);
  const users = Array.from({ length: 600 }, (_, index) => `\uFEFF${String(index).padStart(4, "0")}`);
  engine.applyAll(users.map((user) => ({ type: "join", user, group })), 4).free();
  const [signal] = engine.post(alice, group, "hi", 5).signals;
  assert.deepEqual([...signal.audience], users);
  assert.equal(JSON.parse(signal.frame()).groupid, group);
});

test("unknown fields of a farewell and of a page are errors", () => {
  const engine = Engine.withText();
  engine.create("alice", "music", 1).free();
  for (const farewell of ["bye", null, { sucessor: "art" }]) {
    assert.throws(() => engine.dissolve("alice", "music", 2, farewell), TypeError);
  }
  for (const page of [5, null, { size: 5 }]) {
    assert.throws(() => engine.history("alice", "music", 2, page), TypeError);
  }
  assert.throws(() => engine.apply({ type: 1n }, 2), TypeError);
  assert.equal(engine.group("music").members, 1);
});
