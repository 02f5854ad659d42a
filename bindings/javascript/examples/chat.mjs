// Two users in a group: what each of them is told.

import { Engine, Refusal } from "disband";

const engine = Engine.withText();

/** Prints what goes to each user, and frees the outcome. */
function deliver(outcome) {
  for (const signal of outcome.signals) {
    for (const user of signal.audience) console.log(`to ${user}: ${describe(signal)}`);
  }
  outcome.free();
}

function describe(signal) {
  switch (signal.type) {
    case "message":
      return `${signal.from} says ${signal.message}`;
    case "memberjoin":
      return `${signal.from} joined`;
    case "memberkick":
      return signal.from === signal.by ? `${signal.by} dissolved ${signal.group}` : `${signal.from} was kicked`;
    default:
      return signal.type;
  }
}

let now = 1_000;
deliver(engine.create("alice", "rust", now));
deliver(engine.join("bob", "rust", (now += 1_000)));
deliver(engine.post("bob", "rust", "hello", (now += 1_000)));

// The owner leaves, so the group is dissolved.
deliver(engine.leave("alice", "rust", (now += 1_000)));

try {
  deliver(engine.post("bob", "rust", "alice?", (now += 1_000)));
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  console.log(`refused: ${error.code} ${error.reason}: ${error.message}`);
}
engine.free();
