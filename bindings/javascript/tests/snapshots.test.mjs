// Snapshots that are written, read, damaged, or of another kind.

import assert from "node:assert/strict";
import test from "node:test";

import { Engine, SnapshotError } from "disband";

import { KINDS, UNLIMITED, thrown } from "./support.mjs";

for (const { ids, make, id } of KINDS) {
  function busy() {
    const engine = make({ quotas: { ...UNLIMITED, post: { cells: 1, perMs: 100, burst: 2 } } });
    const [alice, bob, carol, group, other, gone] = [1, 2, 3, 7, 8, 9].map(id);
    engine.create(alice, group, 10, { keepEntries: 2, history: "full" });
    engine.join(bob, group, 20);
    engine.create(bob, other, 30);
    engine.setRank(alice, group, bob, "admin", 30);
    engine.post(bob, group, "¿qué? 🦀", 40);
    engine.edit(bob, group, 0, "hello", 50);
    engine.ban(bob, group, carol, 60, 2n ** 64n - 1n);
    engine.mute(bob, group, carol, 60);
    engine.create(carol, gone, 70);
    engine.dissolve(carol, gone, 80, { note: "moved", successor: other });
    return engine;
  }

  for (const format of ["postcard", "json"]) {
    test(`${ids}: a ${format} snapshot gives the same engine`, () => {
      const engine = busy();
      const bytes = engine.save(format);
      const loaded = Engine.load(ids, bytes, format);
      assert.ok(loaded.equals(engine));
      assert.equal(loaded.ids, ids);
      assert.deepEqual(loaded.save(format), bytes);
      assert.deepEqual(loaded.bans(id(7), 100), [{ user: id(3), by: id(2), until: 2n ** 64n - 1n }]);
      loaded.check();
    });

    test(`${ids}: no prefix of a ${format} snapshot is a snapshot`, () => {
      const engine = busy();
      const bytes = engine.save(format);
      for (let length = 0; length < bytes.length; length++) {
        assert.throws(() => Engine.load(ids, bytes.subarray(0, length), format), SnapshotError, `${length}`);
      }
      assert.throws(() => Engine.load(ids, Uint8Array.of(...bytes, 1), format), SnapshotError);
    });
  }

  test(`${ids}: a snapshot of the other type of ids is an error`, () => {
    const [other] = KINDS.filter((kind) => kind.ids !== ids);
    // In JSON numbers are strings too, so there a text engine may take them.
    for (const format of ids === "text" ? ["postcard", "json"] : ["postcard"]) {
      const error = thrown(() => Engine.load(other.ids, busy().save(format), format));
      assert.ok(error instanceof SnapshotError, `${error}`);
    }
  });

  test(`${ids}: damaged snapshots are errors or other valid engines`, () => {
    const bytes = busy().save();
    for (let at = 0; at < bytes.length; at++) {
      for (const flip of [1, 128, 255]) {
        const damaged = bytes.slice();
        damaged[at] ^= flip;
        try {
          Engine.load(ids, damaged).check();
        } catch (error) {
          assert.ok(error instanceof SnapshotError, `${at}: ${error}`);
        }
      }
    }
  });
}

test("a snapshot in JSON is the text that all bindings write", () => {
  const engine = Engine.withNumbers();
  engine.create(1n, 7n, 10);
  const json = JSON.parse(new TextDecoder().decode(engine.save("json")));
  assert.deepEqual([json.format, json.groups[0][0], json.groups[0][1].owner], [2, "7", "1"]);
});
