// Memory that runs out. The module gets a small maximum: a copy of the package with another limit in the
// memory section of its WebAssembly file.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { setImmediate } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { UNLIMITED, thrown } from "./support.mjs";

const PACKAGE = new URL("../pkg/", import.meta.url);
const PAGE = 65_536;
const MiB = 1024 * 1024;

const folders = [];
after(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

/** The package, changed by `change(folder)`, as a module of its own. */
async function changed(change) {
  const folder = mkdtempSync(join(tmpdir(), "disband-"));
  folders.push(folder);
  cpSync(PACKAGE, folder, { recursive: true });
  change(folder);
  return import(pathToFileURL(join(folder, "node.js")));
}

/** The package with at most that much memory beyond what the module starts with. */
const limited = (bytes) =>
  changed((folder) => {
    const file = join(folder, "disband_bg.wasm");
    writeFileSync(file, withMaximum(readFileSync(file), bytes));
  });

/** The WebAssembly file with a maximum for its memory. */
function withMaximum(wasm, more) {
  let at = 8;
  const next = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = wasm[at++];
      value += (byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const integer = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...integer(value >> 7)]);
  for (;;) {
    const start = at;
    const section = wasm[at++];
    const end = next() + at;
    if (section === 5) {
      assert.equal(next(), 1, "one memory");
      next(); // whether there is a maximum
      const least = next();
      const limits = [1, 1, ...integer(least), ...integer(least + Math.ceil(more / PAGE))];
      return Buffer.concat([wasm.subarray(0, start), Buffer.of(5, limits.length, ...limits), wasm.subarray(end)]);
    }
    at = end;
  }
}

test("commands stop before the memory is full, and the engine can still be used", async () => {
  const { Engine, OutOfMemoryError } = await limited(4 * MiB);
  const engine = Engine.withNumbers({ quotas: UNLIMITED });
  engine.create(1n, 7n, 10).free();
  let members = 1n;
  const error = thrown(() => {
    for (;;) {
      engine.join(members + 1n, 7n, 10).free();
      members++;
    }
  });
  assert.ok(error instanceof OutOfMemoryError, `${error}`);
  assert.ok(members > 10_000n, `${members}`);

  const before = engine.stats();
  const commands = [
    () => engine.post(1n, 7n, "hello", 20),
    () => engine.leave(1n, 7n, 20),
    () => engine.apply({ type: "leaveAll", user: 1n }, 20),
    () => engine.applyAll([{ type: "leave", user: 1n, group: 7n }], 20),
    () => engine.charge({ type: "leave", user: 1n, group: 7n }, 20),
    () => engine.setConfig({}),
    () => Engine.load("numbers", new Uint8Array(100)),
    () => Engine.withNumbers(),
  ];
  for (const command of commands) assert.throws(command, OutOfMemoryError, `${command}`);
  assert.deepEqual(engine.stats(), before);
  assert.equal(BigInt(engine.group(7n).members), members);
  assert.equal(engine.members(7n, null, 10).length, 10);
  assert.throws(() => engine.members(7n, null, 1_000_000), OutOfMemoryError);
  assert.deepEqual(engine.groupsOf(members), [{ group: 7n, stint: Number(members) }]);
  engine.free();

  const second = Engine.withNumbers({ quotas: UNLIMITED });
  second.create(1n, 7n, 10).free();
  for (let user = 2n; user < members / 4n; user++) second.join(user, 7n, 10).free();
  second.check();
});

test("large arguments are refused, and change nothing", async () => {
  const { Engine, OutOfMemoryError } = await limited(4 * MiB);
  const engine = Engine.withNumbers({ quotas: UNLIMITED, limits: { messageBytes: null } });
  engine.create(1n, 7n, 10).free();
  const before = engine.save();
  const large = "x".repeat(8 * MiB);
  assert.throws(() => engine.post(1n, 7n, large, 10), OutOfMemoryError);
  assert.throws(() => engine.post(1n, 7n, large.slice(6 * MiB), 10), OutOfMemoryError);
  assert.throws(() => engine.post(1n, 7n, "é".repeat(MiB), 10), OutOfMemoryError);
  const joins = Array.from({ length: 1_000_000 }, (_, index) => ({ type: "join", user: BigInt(index + 2), group: 7n }));
  assert.throws(() => engine.applyAll(joins, 10), OutOfMemoryError);
  assert.throws(() => engine.applyAll(joins.slice(0, 30_000), 10), OutOfMemoryError, "in the middle of the batch");
  assert.throws(() => Engine.load("numbers", new Uint8Array(MiB)), OutOfMemoryError);
  assert.deepEqual(engine.save(), before);
  assert.equal(engine.post(1n, 7n, "x".repeat(100_000), 10).value, 0);
});

test("no mixture of commands, clones and outcomes that are kept ends the module", async () => {
  const { Engine, OutOfMemoryError, Refusal } = await limited(3 * MiB);
  let seed = 1;
  const random = (below) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const engine = Engine.withText({ quotas: UNLIMITED, limits: { messageBytes: null } });
  let kept = [];
  let refusals = 0;
  const id = () => `user ${random(300)}`;
  const group = () => `group ${random(12)}`;
  for (let step = 0; step < 20_000; step++) {
    const command = [
      () => engine.create(id(), group(), step, { ownerExit: "succeed" }),
      () => engine.join(id(), group(), step),
      () => engine.join(id(), group(), step),
      () => engine.leave(id(), group(), step),
      () => engine.leaveAll(id(), step),
      () => engine.post(id(), group(), "x".repeat(random(random(10) === 0 ? 60_000 : 500)), step),
      () => engine.applyAll(Array.from({ length: random(300) }, () => ({ type: "join", user: `user ${seed + random(1e6)}`, group: group() })), step),
      () => engine.clone(),
      () => Engine.load("text", engine.save()),
    ][random(9)];
    try {
      kept.push(command());
    } catch (error) {
      if (error instanceof OutOfMemoryError) {
        refusals++;
        kept.splice(0, 1 + random(kept.length)).forEach((value) => value.free());
        const [first] = engine.groups(null, 1);
        if (kept.length < 3 && first !== undefined) {
          const { owner } = engine.group(first);
          try {
            engine.dissolve(owner, first, step).free();
          } catch (again) {
            assert.ok(again instanceof OutOfMemoryError, `${again}`);
            kept.forEach((value) => value.free());
            kept = [];
          }
        }
      } else if (!(error instanceof Refusal)) {
        throw error;
      }
    }
  }
  assert.ok(refusals > 10, `${refusals}`);
  kept.forEach((value) => value.free());
  engine.check();
});

test("what was not freed is freed when it is unreachable", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  const { Engine } = await limited(48 * MiB);
  const engine = Engine.withNumbers({ quotas: UNLIMITED });
  for (let round = 0; round < 40; round++) {
    const group = BigInt(round);
    engine.create(1n, group, 10);
    engine.applyAll(Array.from({ length: 5_000 }, (_, index) => ({ type: "join", user: BigInt(index + 2), group })), 10);
    const { audience } = engine.post(1n, group, "hello", 10).signals[0];
    assert.equal(audience.page().length, 1_000);
    const { dissolved } = engine.leave(1n, group, 10).value;
    assert.equal(dissolved.group().members, 5_001);
    engine.clone();
    engine.sweep(100_000);
    collect();
    for (let turn = 0; turn < 5; turn++) await setImmediate();
  }
});

test("after the module has failed, every call says so", async () => {
  // A function that consists of `unreachable`, in place of the one that applies commands.
  const trap = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 5, 1, 3, 0, 0, 11];
  const { Engine, EngineLostError } = await changed((folder) => {
    const file = join(folder, "node.js");
    const failing = `new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.of(${trap}))).exports.f`;
    const entry = readFileSync(file, "utf8");
    const changed = entry.replace(/begin\((initSync\(.*\))\);/, `begin({ ...$1, engine_apply: ${failing} });`);
    assert.notEqual(changed, entry);
    writeFileSync(file, changed);
  });
  const engine = Engine.withNumbers();
  const other = Engine.withText();
  const { audience } = engine.applyAll([{ type: "create", owner: 1n, group: 7n }, { type: "join", user: 2n, group: 7n }], 10).signals[0];
  const error = thrown(() => engine.post(1n, 7n, "hello", 10));
  assert.ok(error instanceof EngineLostError, `${error}`);
  assert.ok(error.cause instanceof WebAssembly.RuntimeError);
  for (const call of [
    () => engine.stats(),
    () => engine.post(1n, 7n, "hello", 10),
    () => engine.save(),
    () => engine.clone(),
    () => other.join("a", "b", 10),
    () => Engine.withNumbers(),
    () => Engine.load("text", new Uint8Array()),
  ]) {
    assert.throws(call, EngineLostError, `${call}`);
  }
  assert.deepEqual([...audience], [1n]);
  engine.free();
  audience.free();
});
