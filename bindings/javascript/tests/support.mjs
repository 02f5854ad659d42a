// What several tests use.

import assert from "node:assert/strict";

import { Engine, Refusal } from "disband";

export const OPERATIONS =
  "create join leave kick post dissolve transfer setRank setOptions ban unban leaveAll add mute unmute edit erase".split(" ");

/** Quotas without limits. */
export const UNLIMITED = Object.fromEntries(OPERATIONS.map((operation) => [operation, "unlimited"]));

/** For each type of ids: engines, and ids made of small numbers, in the same order. */
export const KINDS = [
  { ids: "numbers", make: (config) => Engine.withNumbers(config), id: (number) => BigInt(number) },
  { ids: "text", make: (config) => Engine.withText(config), id: (number) => `é${String(number).padStart(8, "0")}` },
];

/** Checks that `command` is refused with exactly these fields, and returns the refusal. */
export function refused(command, fields) {
  const refusal = thrown(command);
  assert.ok(refusal instanceof Refusal, `not refused, but ${refusal}`);
  const { name, ...data } = refusal;
  assert.equal(name, "Refusal");
  assert.deepEqual(data, fields);
  assert.ok(refusal.message.length > 0);
  const reply = JSON.parse(refusal.reply());
  assert.deepEqual([reply.ok, reply.code], [false, fields.code]);
  return refusal;
}

/** What `work` throws. */
export function thrown(work) {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: "nothing was thrown" });
}

/** The signals as data: the type, who it is from, the fields of the event, and the users. */
export function events({ signals }) {
  return signals.map((signal) => {
    const { key, group, actor, version, ...event } = signal;
    assert.match(key, /^[0-9a-f]{32}$/);
    assert.equal(signal.audience.size, [...signal.audience].length);
    return { ...event, to: [...signal.audience] };
  });
}
