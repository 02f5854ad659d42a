// Values that are freed, and values that outlive others.

import assert from "node:assert/strict";
import test from "node:test";

import { Engine, EngineFreedError, FreedError } from "disband";

import { KINDS, UNLIMITED } from "./support.mjs";

for (const { ids, make, id } of KINDS) {
  const [alice, bob, group] = [1, 2, 7].map(id);
  const users = Array.from({ length: 1_500 }, (_, index) => id(100 + index));

  function large() {
    const engine = make({ quotas: UNLIMITED });
    engine.create(alice, group, 10);
    engine.applyAll(users.map((user) => ({ type: "join", user, group })), 10).free();
    return engine;
  }

  test(`${ids}: every use of a freed engine is an error`, () => {
    const engine = make();
    engine.free();
    engine.free();
    const other = make();
    const methods = Object.getOwnPropertyNames(Engine.prototype).filter((name) => !["constructor", "free", "ids"].includes(name));
    assert.ok(methods.length > 30, `${methods}`);
    for (const name of methods) {
      const given = { dissolve: [alice, group, 10], history: [alice, group, 10], equals: [other], save: [], sweep: [5], setConfig: [{}], applyAll: [[], 10] }[name] ?? [alice, group, 10, 10, 10];
      assert.throws(() => engine[name](...given), EngineFreedError, name);
    }
    assert.throws(() => other.equals(engine), EngineFreedError);
    assert.ok(new EngineFreedError() instanceof FreedError);
  });

  test(`${ids}: a dissolved group that was read of a batch outlives its outcome`, () => {
    const engine = make();
    engine.create(alice, group, 10).free();
    const outcome = engine.applyAll([{ type: "dissolve", owner: alice, group }], 10);
    const [dissolved] = outcome.value;
    outcome.free();
    assert.equal(dissolved.group().owner, alice);
    dissolved.free();
  });

  test(`${ids}: every use of a freed outcome is an error`, () => {
    const engine = make();
    const outcome = engine.create(alice, group, 10);
    const joined = engine.join(bob, group, 10);
    const [signal] = joined.signals;
    assert.equal(joined.value, 2);
    for (const freed of [outcome, joined]) {
      freed.free();
      freed.free();
      assert.throws(() => freed.value, FreedError);
      assert.throws(() => freed.signals, FreedError);
      assert.throws(() => freed.reply(), FreedError);
    }
    assert.throws(() => signal.frame(), FreedError);
    // A small audience came with the signal.
    assert.deepEqual([...signal.audience], [alice]);
    signal.audience.free();
    signal.audience.free();
    for (const use of [(one) => one.size, (one) => one.has(alice), (one) => one.page(), (one) => [...one]]) {
      assert.throws(() => use(signal.audience), FreedError);
    }
  });

  test(`${ids}: audiences outlive their outcome, their group and their engine`, () => {
    const engine = large();
    const outcome = engine.post(alice, group, "hello", 20);
    const [signal] = outcome.signals;
    const { audience } = signal;
    engine.applyAll(users.map((user) => ({ type: "leave", user, group })), 30).free();
    outcome.free();
    engine.free();
    assert.deepEqual([...audience], users);
    assert.deepEqual([audience.size, audience.has(users[0]), audience.has(alice)], [1_500, true, false]);
    audience.free();
    audience.free();
    for (const use of [(one) => one.size, (one) => one.has(alice), (one) => one.page(), (one) => [...one]]) {
      assert.throws(() => use(audience), FreedError);
    }
  });

  test(`${ids}: an audience that was never looked at is freed with its outcome`, () => {
    const engine = large();
    const outcome = engine.post(alice, group, "hello", 20);
    const [signal] = outcome.signals;
    outcome.free();
    assert.throws(() => [...signal.audience], FreedError);
  });

  test(`${ids}: an audience can be walked while the group changes, until it is freed`, () => {
    const engine = large();
    const { audience } = engine.post(alice, group, "hello", 20).signals[0];
    const seen = [];
    for (const user of audience) {
      seen.push(user);
      engine.leave(user, group, 30).free();
    }
    assert.deepEqual(seen, users);
    assert.equal(engine.group(group).members, 1);

    const walked = [];
    assert.throws(() => {
      for (const user of audience) {
        if (walked.push(user) === 100) audience.free();
      }
    }, FreedError);
    assert.ok(walked.length < users.length);
  });

  test(`${ids}: dissolved groups outlive their outcome`, () => {
    const engine = large();
    engine.post(alice, group, "hello", 20);
    const outcome = engine.leave(alice, group, 30);
    const { dissolved } = outcome.value;
    outcome.free();
    engine.free();
    assert.deepEqual([dissolved.members, dissolved.entries, dissolved.group().owner], [1_501, 1, alice]);
    assert.deepEqual(dissolved.membersPage(users[1_498]), [{ user: users[1_499], stint: 1_501, rank: "member" }]);
    assert.equal(dissolved.history()[0].message, "hello");
    dissolved.free();
    dissolved.free();
    const uses = [(one) => one.members, (one) => one.entries, (one) => one.group(), (one) => one.membersPage(), (one) => one.history()];
    for (const use of uses) assert.throws(() => use(dissolved), FreedError);
  });

  test(`${ids}: a clone is independent`, () => {
    const engine = large();
    const clone = engine.clone();
    assert.ok(engine.equals(clone) && clone.equals(engine));
    engine.leave(alice, group, 20);
    assert.ok(!engine.equals(clone));
    engine.free();
    assert.deepEqual([clone.ids, clone.group(group).members], [ids, 1_501]);
    clone.check();
  });
}

test("engines of different ids are not equal", () => {
  assert.equal(Engine.withNumbers().equals(Engine.withText()), false);
});

test("where the language has it, values are disposable", () => {
  const engine = Engine.withNumbers();
  if (typeof Symbol.dispose !== "symbol") return;
  const outcome = engine.create(1n, 7n, 10);
  outcome[Symbol.dispose]();
  assert.throws(() => outcome.value, FreedError);
  engine[Symbol.dispose]();
  assert.throws(() => engine.stats(), EngineFreedError);
});
