// Compiled by tsc --strict, and not run: the types are as exact as they should be.

import {
  type Audience,
  type BatchOutcome,
  type Command,
  type ConfigInput,
  type Departure,
  type Dissolved,
  Engine,
  EngineFreedError,
  type Entry,
  FreedError,
  type GroupView,
  type Id,
  type LeftGroup,
  type Member,
  type Outcome,
  Refusal,
  type Signal,
} from "disband";

/** Fails to compile unless A and B are the same type. */
function same<A, B>(_: (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false): void {}

const numbers = Engine.withNumbers({
  quotas: { post: "unlimited", join: { cells: 1, perMs: 2_000n, burst: 3 } },
  limits: { noteBytes: null, messageBytes: 5n },
});
const text = Engine.withText();

const disposable: Disposable = text;
disposable[Symbol.dispose]();
// @ts-expect-error: an engine of bigints is no engine of bigints and strings
const mixed: Engine = numbers;
same<typeof numbers, Engine<bigint>>(true);
same<typeof text, Engine<string>>(true);
same<typeof numbers.ids, "numbers">(true);
same<typeof text.ids, "text">(true);

const bytes = new Uint8Array();
const loaded = Engine.load("text", bytes, "json");
same<typeof loaded, Engine<string>>(true);
const either = Engine.load(Math.random() < 0.5 ? "text" : "numbers", bytes);
same<typeof either, Engine<bigint> | Engine<string>>(true);

const created = text.create("alice", "rust", 1_000, { post: "admin", keepMs: 5n });
same<typeof created, Outcome<number, string>>(true);
const left = numbers.leave(1n, 7n, 1_000n, 5);
same<typeof left.value, Departure<bigint>>(true);
const dissolution = text.dissolve("alice", "rust", 1_000, { note: "moved", successor: null });
same<typeof dissolution.value, Dissolved<string>>(true);
const banned = text.ban("alice", "rust", "bob", 1_000, 2_000);
same<typeof banned.value, number | null>(true);
const edited = text.edit("alice", "rust", 0, "hello", 1_000);
same<typeof edited.value, undefined>(true);
const all = text.leaveAll("alice", 1_000);
same<typeof all.value, readonly LeftGroup<string>[]>(true);

// Commands as data have the type of value of their method.
const applied = numbers.apply({ type: "leave", user: 1n, group: 7n }, 1_000);
same<typeof applied.value, Departure<bigint>>(true);
const batch = text.applyAll(
  [
    { type: "create", owner: "alice", group: "rust" },
    { type: "ban", by: "alice", group: "rust", user: "bob" },
    { type: "dissolve", owner: "alice", group: "rust" },
  ],
  1_000,
);
same<typeof batch.value, [number, number | null, Dissolved<string>]>(true);
// @ts-expect-error A batch has no reply.
batch.reply();
declare const commands: Iterable<Command<string>>;
const many = text.applyAll(commands, 1_000);
same<typeof many, BatchOutcome<(number | number | null | undefined | Departure<string> | Dissolved<string> | readonly LeftGroup<string>[])[], string>>(true);

// Each engine has its own type of ids.
// @ts-expect-error A number is no id.
numbers.join(1, 7n, 1_000);
// @ts-expect-error Texts are no ids of this engine.
numbers.join("alice", "rust", 1_000);
// @ts-expect-error Bigints are no ids of this engine.
text.join(1n, 7n, 1_000);
// @ts-expect-error The time is missing.
text.join("alice", "rust");
// @ts-expect-error There is no such rank.
text.setRank("alice", "rust", "bob", "boss", 1_000);
// @ts-expect-error There is no such option.
text.create("alice", "rust", 1_000, { colour: "red" });
// @ts-expect-error There is no such command.
text.apply({ type: "destroy", group: "rust" }, 1_000);
// @ts-expect-error A field is missing.
text.apply({ type: "join", user: "alice" }, 1_000);
// @ts-expect-error There is no such quota.
const config: ConfigInput = { quotas: { shout: "unlimited" } };
// @ts-expect-error Engines are not made with new.
new Engine();
// @ts-expect-error Refusals are not made with new.
new Refusal();

// Signals tell their fields by their type.
function describe(signal: Signal<bigint>): string {
  same<typeof signal.audience, Audience<bigint>>(true);
  switch (signal.type) {
    case "memberjoin":
      same<typeof signal.by, bigint | null>(true);
      return "joined";
    case "memberkick":
      same<typeof signal.by, bigint>(true);
      return "kicked";
    case "message":
    case "messageedit":
      same<typeof signal.message, string>(true);
      return `${signal.seq} at ${signal.at}: ${signal.message}`;
    case "messageerase":
      return `${signal.seq}`;
    case "historypurge":
      same<typeof signal.successor, bigint | null>(true);
      return signal.note ?? "";
    case "mute":
      same<typeof signal.until, number | null>(true);
      return "muted";
    case "ownerchange":
      return `${signal.previous}`;
    case "rankchange":
      return signal.rank;
    case "memberleave":
    case "unmute":
      // @ts-expect-error No message here.
      signal.message;
      return signal.type;
    default:
      return signal satisfies never;
  }
}
describe(numbers.post(1n, 7n, "hello", 1_000).signals[0]!);

function departed(departure: Departure<string>): number {
  if (departure.kind === "dissolved") return departure.dissolved.members;
  if (departure.kind === "succeeded") same<typeof departure.owner, string>(true);
  return departure.stint;
}
departed(text.leave("alice", "rust", 1_000).value);
for (const one of all.value) if (one.kind === "left") one.group.length;

// Refusals tell their data by their reason.
try {
  created.free();
} catch (error) {
  if (error instanceof Refusal) {
    const refusal: Refusal<string> = error;
    switch (refusal.reason) {
      case "too_fast":
        same<typeof refusal.retryAt, number>(true);
        same<typeof refusal.code, 429>(true);
        break;
      case "dissolved":
        same<typeof refusal.by, string>(true);
        break;
      case "not_member":
        if (refusal.absence === "kicked") same<typeof refusal.by, string>(true);
        break;
      case "over_limit":
        same<typeof refusal.max, number>(true);
        break;
      case "banned":
        same<typeof refusal.until, number | null>(true);
        break;
      default:
        // @ts-expect-error Others have no such data.
        refusal.retryAt;
    }
    const index: number | undefined = refusal.index;
    refusal.reply().length + (index ?? 0) + refusal.message.length;
  } else if (error instanceof EngineFreedError || error instanceof FreedError) {
    error.message;
  }
}

const group = text.group("rust");
same<typeof group, GroupView<string> | undefined>(true);
const members = numbers.members(7n, 1n, 10);
same<typeof members, Member<bigint>[] | undefined>(true);
const entries = text.history("alice", "rust", 1_000, { before: 5n, limit: 1 });
same<typeof entries, Entry<string>[]>(true);
const users: string[] = [...text.post("alice", "rust", "hello", 1_000).signals[0]!.audience];
same<(typeof users)[number], string>(true);
text.setConfig({ ...text.config(), tombstoneMs: 5 });
text.setOptions("alice", "rust", { ...group!.options, add: "owner" }, 1_000);
const equal: boolean = text.equals(numbers);
const snapshot: Uint8Array = text.save("json");
const copy: Engine<string> = text.clone();
void [equal, snapshot, copy, config];

// A function for engines of both types of ids.
export function owners<I extends Id>(engine: Engine<I>): I[] {
  return engine.groups().flatMap((group) => engine.group(group)?.owner ?? []);
}
owners(numbers);
owners(text);
