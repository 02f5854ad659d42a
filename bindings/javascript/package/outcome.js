import { Audience } from "./audience.js";
import { decode } from "./bytes.js";
import { Dissolved } from "./dissolved.js";
import { Handle, OUTCOME, disposable } from "./handle.js";
import { id, list, option, rank, string, whole } from "./schema.js";
import { isLost, result, text, wasm } from "./wasm.js";

const IDS = list(id);
const TEXT = { seq: whole, at: whole, message: string };

/** The events and their fields, in the order of the Rust type. */
const EVENTS = Object.entries({
  memberjoin: { by: option(id) },
  memberleave: {},
  memberkick: { by: id },
  historypurge: { before: whole, note: option(string), successor: option(id) },
  message: TEXT,
  ownerchange: { previous: id },
  rankchange: { rank },
  messageedit: TEXT,
  messageerase: { seq: whole },
  mute: { by: id, until: option(whole) },
  unmute: { by: id },
}).map(([type, fields]) => ({ type, names: Object.keys(fields), types: Object.values(fields) }));

/** Something that happened in a group, and the users to deliver it to. */
class Signal {
  #outcome;
  #index;
  #audience;

  constructor(reader, outcome, index) {
    this.#outcome = outcome;
    this.#index = index;
    this.key = key(reader);
    this.group = reader.id();
    this.from = reader.id();
    this.actor = reader.id();
    this.version = reader.integer();
    const { type, names, types } = EVENTS[reader.byte()];
    this.type = type;
    for (let i = 0; i < names.length; i++) this[names[i]] = types[i].read(reader);
    this.#audience = reader.integer();
  }

  get audience() {
    return this.#outcome.take(this.#audience);
  }

  frame(versioned = false) {
    return text(result(wasm.outcome_frame(this.#outcome.number, this.#index, versioned)));
  }

  /** Reads the users of a small audience, which come after all signals. */
  readAudience(reader) {
    const few = IDS.read(reader);
    this.#audience = new Audience(reader.text, this.#audience, few, this.#outcome, this.#index);
  }
}

/** A key has 128 bits: 32 hexadecimal digits. */
function key(reader) {
  return reader.integer().toString(16).padStart(32, "0");
}

/** What happened to a group that a user left. */
class Departure {
  #outcome;
  #dissolved;

  constructor(reader, outcome, next) {
    const variant = reader.byte();
    if (variant === 1) {
      this.kind = "dissolved";
      this.#outcome = outcome;
      this.#dissolved = new Dissolved(reader, outcome, next());
      return;
    }
    this.kind = variant === 0 ? "left" : "succeeded";
    this.stint = reader.integer();
    if (variant === 2) this.owner = reader.id();
  }

  get dissolved() {
    return this.#dissolved && this.#outcome.take(this.#dissolved);
  }
}

const NUMBER = (reader) => reader.integer();
const NOTHING = () => undefined;
const DEPARTURE = (reader, outcome, next) => new Departure(reader, outcome, next);

/** How the value of each reply is read, in the order of the Rust type. */
const REPLIES = [
  NUMBER, // created
  NUMBER, // joined
  DEPARTURE,
  NUMBER, // kicked
  NUMBER, // posted
  (reader, outcome, next) => new Dissolved(reader, outcome, next()),
  NOTHING, // transferred
  NOTHING, // ranked
  NOTHING, // configured
  (reader) => option(whole).read(reader), // banned
  NOTHING, // unbanned
  (reader, outcome, next) => {
    const left = [];
    for (let length = reader.integer(); length > 0; length--) {
      const group = reader.id();
      left.push(Object.assign(new Departure(reader, outcome, next), { group }));
    }
    return left;
  },
  NUMBER, // added
  NOTHING, // muted
  NOTHING, // unmuted
  NOTHING, // edited
  NOTHING, // erased
];

/** What reads the output as an outcome. */
function readOutcome(reader, source, isBatch) {
  // The first byte says that the command was carried out: a refusal is no outcome.
  reader.byte();
  let dissolved = 0;
  const next = () => dissolved++;
  const reply = { read: () => REPLIES[reader.byte()](reader, source, next) };
  const value = isBatch ? list(reply).read(reader) : reply.read();
  const signals = [];
  for (let count = reader.integer(), index = 0; index < count; index++) {
    signals.push(new Signal(reader, source, index));
  }
  for (const signal of signals) signal.readAudience(reader);
  return { value, signals };
}

/** The outcome in the module, and the parts that were taken out of it. */
class Source extends Handle {
  #taken;

  constructor(number) {
    super(OUTCOME, number);
  }

  /** Returns an audience or a dissolved group, which then outlives the outcome. */
  take(value) {
    const { part } = value;
    if (part !== undefined && !this.isFreed) (this.#taken ??= new Set()).add(part);
    return value;
  }

  free() {
    if (this.isFreed) return;
    if (!isLost()) this.#taken?.forEach((part) => part.keep());
    this.#taken = undefined;
    super.free();
  }
}

/** What a command did. It is read from the module when it is looked at. */
export class Outcome {
  #text;
  #isBatch;
  #source;
  #contents;
  #isTaken = false;

  constructor(text, number, isBatch) {
    this.#text = text;
    this.#isBatch = isBatch;
    this.#source = new Source(number);
  }

  get value() {
    const { value } = this.#read();
    if (!this.#isTaken) {
      for (const one of [value].flat()) if (one instanceof Dissolved) this.#source.take(one);
      this.#isTaken = true;
    }
    return value;
  }

  get signals() {
    return this.#read().signals;
  }

  reply() {
    const { number } = this.#source;
    if (this.#isBatch) throw new TypeError("a batch has no reply: no client sent it");
    return text(result(wasm.outcome_reply(number)));
  }

  free() {
    this.#source.free();
  }

  #read() {
    const { number } = this.#source;
    if (this.#contents === undefined) {
      result(wasm.outcome_read(number));
      const read = (reader) => readOutcome(reader, this.#source, this.#isBatch);
      this.#contents = decode(this.#text, read);
    }
    return this.#contents;
  }
}

disposable(Outcome);
