// The engine that the page shows: it carries out commands, and keeps a record of each.

import { Refusal } from "./engine.js";
import { best, once } from "./measure.js";
import { counted, outcomeWords, refusalWords } from "./words.js";

/** How many users of an audience a record names, and how many signals it has. */
const NAMED = 6;
const SIGNALS = 50;

/** How many records are kept. */
const RECORDS = 60;

/** How many users can have a column. */
const COLUMNS = 12;

/**
 * An engine with text ids, the users that have a column, and the clock. It emits:
 * - `record`, with a record in `detail`, after each command;
 * - `change`, after the state or the users changed in any way.
 */
export class World extends EventTarget {
  #engine;
  #users = [];
  #records = [];

  constructor(engine, clock) {
    super();
    this.#engine = engine;
    this.clock = clock;
  }

  get engine() {
    return this.#engine;
  }

  get users() {
    return this.#users;
  }

  /** The newest records, the oldest of them first. */
  get records() {
    return this.#records;
  }

  get now() {
    return this.clock.now;
  }

  /** Gives a user a column. Returns why not, or null. */
  addUser(user) {
    if (user === "") return "A user needs a name.";
    if (!user.isWellFormed()) return "This name is no valid text.";
    if (this.#users.includes(user)) return "This user has a column already.";
    if (this.#users.length >= COLUMNS) return `There is room for ${COLUMNS} users.`;
    this.#users = [...this.#users, user];
    this.#changed();
    return null;
  }

  /** Carries out a command at the present time. Returns its record. */
  run(command) {
    const cost = this.#cost(command);
    return this.#recorded(command, { cost }, (now) => this.#engine.apply(command, now));
  }

  /** Carries out all of the commands or none. `title` says what they are. */
  runAll(commands, title) {
    const about = { cost: { us: 0, runs: 1 }, title, more: commands.length - 1 };
    return this.#recorded(commands[0], about, (now) => {
      let outcome;
      about.cost.us = once(() => (outcome = this.#engine.applyAll(commands, now)));
      return outcome;
    });
  }

  /** Goes on with another engine, and frees the present one. `users` get columns, if there is room. */
  replace(engine, users = []) {
    this.#engine.free();
    this.#engine = engine;
    const fresh = users.filter((user) => !this.#users.includes(user));
    this.#users = [...this.#users, ...fresh].slice(0, COLUMNS);
    this.#changed();
  }

  /** The rank of a user in a group, and their ban and mute; null if there is no such group. */
  standing(group, user) {
    return this.#engine.standing(group, user, this.now) ?? null;
  }

  #recorded(command, about, act) {
    const now = this.now;
    const name = command.type;
    const actor = command.by ?? command.owner ?? command.author ?? command.user;
    const record = { at: now, name, actor, command, signals: [], moreSignals: 0, retryAt: null, ...about };
    try {
      const outcome = act(now);
      const batch = record.title !== undefined;
      const text = batch ? counted(outcome.value.length, "command") : outcomeWords(name, outcome.value);
      Object.assign(record, { ok: true, code: 200, text, ...done(outcome, this.#users, batch) });
      release(outcome);
    } catch (error) {
      Object.assign(record, { ok: false, ...failed(error, now) });
    }
    this.#records = [...this.#records, record].slice(-RECORDS);
    this.dispatchEvent(new CustomEvent("record", { detail: record }));
    this.#changed();
    return record;
  }

  /**
   * What the command costs: the mean of many previews. A preview does on a copy what the command does,
   * and the copy takes O(1).
   */
  #cost(command) {
    try {
      return best(() => this.#preview(command), 1);
    } catch {
      // The command itself fails in the same way.
      return null;
    }
  }

  #preview(command) {
    try {
      this.#engine.preview(command, this.now).free();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** What a record keeps of an outcome. Audiences may be huge, so it names only a few of their users. */
function done(outcome, users, batch) {
  const signals = outcome.signals.slice(0, SIGNALS).map((signal) => ({
    ...signal,
    audience: undefined,
    frame: signal.frame(),
    size: signal.audience.size,
    first: signal.audience.page(undefined, NAMED),
    reached: users.filter((user) => signal.audience.has(user)),
  }));
  const reply = batch ? null : outcome.reply();
  return { signals, moreSignals: outcome.signals.length - signals.length, reply };
}

/** Frees an outcome, and what was taken out of it: those parts would outlive it. */
function release(outcome) {
  const { value, signals } = outcome;
  for (const signal of signals.slice(0, SIGNALS)) signal.audience.free();
  for (const one of [value].flat()) (one?.dissolved ?? one)?.free?.();
  outcome.free();
}

function failed(error, now) {
  if (!(error instanceof Refusal)) return { code: error.name, text: error.message };
  const retryAt = error.retryAt === undefined ? null : Number(error.retryAt);
  const reply = error.index === undefined ? error.reply() : null;
  return { code: error.code, text: refusalWords(error, now), retryAt, reply };
}
