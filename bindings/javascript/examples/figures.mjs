// Prints measurements, one a line: name, value and unit, separated by tabs. With --quick it does all of
// it at a hundredth of the sizes.

import { Engine } from "disband";

const SHARE = process.argv.includes("--quick") ? 100 : 1;
const NOW = 1_000_000;
const OPERATIONS =
  "create join leave kick post dissolve transfer setRank setOptions ban unban leaveAll add mute unmute edit erase".split(" ");
const CONFIG = {
  quotas: Object.fromEntries(OPERATIONS.map((operation) => [operation, "unlimited"])),
  departures: 0,
};

/** Nanoseconds that the work takes. */
function time(work) {
  const start = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - start);
}

function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
}

function print(name, value, unit) {
  console.log(`${name}\t${value < 100 ? value.toPrecision(3) : Math.round(value)}\t${unit}`);
}

/** Makes a group with `size` members, whose ids begin with `first`; the first is the owner. */
function fill(engine, group, first, size, options) {
  engine.create(first, group, NOW, options).free();
  const batch = 10_000n;
  for (let done = 1n; done < size; done += batch) {
    const end = done + batch < size ? done + batch : size;
    const joins = [];
    for (let k = done; k < end; k++) joins.push({ type: "join", user: first + k, group });
    engine.applyAll(joins, NOW).free();
  }
}

function posts() {
  const engine = Engine.withNumbers(CONFIG);
  fill(engine, 1n, 1n, 8n, { keepEntries: 1000 });
  const count = 200_000 / SHARE;
  const post = () => engine.post(3n, 1n, "hello, world", NOW).free();
  for (let i = 0; i < count / 10; i++) post();
  const plain = time(() => {
    for (let i = 0; i < count; i++) post();
  });
  print("post", plain / count, "ns");

  let seen = 0;
  const postAndDecode = () => {
    const outcome = engine.post(3n, 1n, "hello, world", NOW);
    if (outcome.value < 0) throw new Error("a sequence number is not negative");
    for (const signal of outcome.signals) {
      if (signal.type === "message" && signal.message.length !== 12) throw new Error("another text");
      for (const user of signal.audience) if (user !== 3n) seen++;
    }
    outcome.free();
  };
  for (let i = 0; i < count / 10; i++) postAndDecode();
  const decoded = time(() => {
    for (let i = 0; i < count; i++) postAndDecode();
  });
  print("post_decoded", decoded / count, "ns");
  if (seen !== (count + count / 10) * 7) throw new Error("an audience was not walked");
  engine.free();
}

function dissolutions() {
  const size = BigInt(200_000 / SHARE);
  const calls = [];
  const frees = [];
  for (let run = 0; run < 9; run++) {
    const engine = Engine.withNumbers(CONFIG);
    fill(engine, 1n, 1n, size);
    let outcome;
    calls.push(time(() => (outcome = engine.leave(1n, 1n, NOW))));
    if (outcome.value.kind !== "dissolved") throw new Error("the group was not dissolved");
    frees.push(time(() => outcome.free()));
    engine.free();
  }
  print("dissolve", median(calls) / 1e3, "µs");
  print("dissolve_free", median(frees) / 1e6, "ms");
}

function audience() {
  const size = BigInt(200_000 / SHARE);
  const engine = Engine.withNumbers(CONFIG);
  fill(engine, 1n, 1n, size);
  const outcome = engine.post(1n, 1n, "hello, world", NOW);
  const [signal] = outcome.signals;
  const runs = 5;
  let users = 0;
  const took = time(() => {
    for (let run = 0; run < runs; run++) for (const user of signal.audience) if (user > 1n) users++;
  });
  if (users !== runs * (Number(size) - 1)) throw new Error("an audience was not walked");
  print("audience", took / users, "ns");
  outcome.free();
  engine.free();
}

function snapshots() {
  const engine = Engine.withNumbers(CONFIG);
  const members = 1_000n;
  for (let group = 0n; group < 1_000 / SHARE; group++) fill(engine, group, group * members, members);
  const writes = [];
  const reads = [];
  let bytes;
  for (let run = 0; run < 3; run++) {
    writes.push(time(() => (bytes = engine.save())));
    let loaded;
    reads.push(time(() => (loaded = Engine.load("numbers", bytes))));
    if (loaded.stats().memberships !== 1_000_000 / SHARE) throw new Error("memberships are missing");
    loaded.free();
  }
  print("snapshot_write", median(writes) / 1e6, "ms");
  print("snapshot_read", median(reads) / 1e6, "ms");
  print("snapshot_bytes", bytes.length, "bytes");

  const count = 100_000 / SHARE;
  const cloned = time(() => {
    for (let i = 0; i < count; i++) engine.clone().free();
  });
  print("clone", cloned / count, "ns");
  engine.free();
}

posts();
dissolutions();
audience();
snapshots();
