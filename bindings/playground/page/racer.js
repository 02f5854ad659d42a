// A worker that builds a group, dissolves it and measures. Its memory ends with it.
//
// It sends `{ ready }` when it can get `{ members, naive }`, then `{ part, share }` as it goes, and at
// the end `{ result }` or `{ problem }`. Times in results are in microseconds.

import { Engine } from "./engine.js";
import { best, mean, once } from "./measure.js";
import { Naive } from "./naive.js";

const OWNER = 1;
const GROUP = 1;
const NOW = 0;

/** How many members join between two reports. */
const BATCH = 5000;

/** How many entries of the index are removed at once. */
const SWEPT = 1000;

/** How long dissolving is repeated before it is measured and for each mean, in milliseconds. */
const [WARM, ENOUGH] = [250, 10];

/** The naive version of a small group is measured on several groups with this many members together. */
const TOGETHER = 50_000;

onmessage = ({ data: { members, naive } }) => {
  try {
    const result = { members, ...disband(members), ...(naive ? byHand(members) : {}) };
    postMessage({ result });
  } catch (error) {
    postMessage({ problem: { name: error.name, message: error.message } });
  }
};

function disband(members) {
  const operations = Object.keys(Engine.withNumbers().config().quotas);
  const quotas = Object.fromEntries(operations.map((operation) => [operation, "unlimited"]));
  const engine = Engine.withNumbers({ quotas });
  const built = once(() => {
    engine.create(BigInt(OWNER), BigInt(GROUP), NOW).free();
    for (let joined = 1; joined < members; joined += BATCH) {
      const end = Math.min(members, joined + BATCH);
      for (let user = joined + 1; user <= end; user += 1) engine.join(BigInt(user), BigInt(GROUP), NOW).free();
      report("build", end / members);
    }
  });
  report("dissolve", null);
  const leave = { type: "leave", user: BigInt(OWNER), group: BigInt(GROUP) };
  // The browser optimises the module while it runs, which is no part of what is measured.
  mean(() => engine.preview(leave, NOW).free(), WARM);
  const { us: dissolved, runs } = best(() => engine.preview(leave, NOW).free(), ENOUGH);
  let left;
  const command = once(() => (left = engine.apply(leave, NOW)));
  report("free", null);
  const group = left.value.dissolved;
  const audiences = left.signals.map((signal) => signal.audience);
  const recipients = audiences.map((audience) => audience.size);
  const freed = once(() => {
    for (const part of [left, group, ...audiences]) part.free();
    // The entries of the members in the index from users to groups.
    while (engine.stats().unswept > 0) engine.sweep(SWEPT);
  });
  return { built, dissolved, runs, command, freed, recipients };
}

function byHand(members) {
  const groups = Math.max(1, Math.floor(TOGETHER / members));
  const naive = new Naive();
  for (let group = 1; group <= groups; group += 1) {
    for (let user = 1; user <= members; user += 1) {
      naive.join(user, group);
      if (user % BATCH === 0) report("naive", ((group - 1) * members + user) / (groups * members));
    }
  }
  report("naive", null);
  // The signals are kept, as a server would until they are sent.
  const kept = [];
  const dissolved = once(() => {
    for (let group = 1; group <= groups; group += 1) kept.push(naive.dissolve(OWNER, group));
  });
  return { naive: dissolved / groups };
}

function report(part, share) {
  postMessage({ part, share });
}

// A message that comes while a module is still loading would be lost.
postMessage({ ready: true });
