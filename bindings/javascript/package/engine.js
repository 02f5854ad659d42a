import { decode, encode, integer, split } from "./bytes.js";
import { writeCommand, writeData, writeQuery } from "./commands.js";
import { ConfigError, InvariantError, SnapshotError, kind } from "./errors.js";
import { ENGINE, Handle, disposable } from "./handle.js";
import { Outcome } from "./outcome.js";
import { Refusal } from "./refusal.js";
import * as schema from "./schema.js";
import { FAREWELL, PAGE, known } from "./schema.js";
import { memory, result, wasm } from "./wasm.js";

const { list, option } = schema;

const GROUP = option(schema.group);
const STANDING = option(schema.standing);
const MEMBERS = option(list(schema.member));
const SANCTIONED = option(list(schema.sanctioned));
const DEPARTURES = option(list(schema.pastMember));
const ENTRIES = list(schema.entry);
const IDS = list(schema.id);
const MEMBERSHIPS = list(schema.membership);

/** Only this module makes engines out of handles. */
const INSIDE = Symbol("inside");

/** All groups with their members and logs, and the commands on them. */
export class Engine {
  #handle;
  #text;

  constructor(inside, isText, number) {
    if (inside !== INSIDE) {
      throw new TypeError("use Engine.withNumbers, Engine.withText or Engine.load");
    }
    this.#text = isText;
    this.#handle = new Handle(ENGINE, number);
  }

  static withNumbers(config = {}) {
    return Engine.#create(false, config);
  }

  static withText(config = {}) {
    return Engine.#create(true, config);
  }

  static #create(isText, config) {
    const length = encode(isText, (writer) => schema.config.write(writer, config, ""));
    return new Engine(INSIDE, isText, result(wasm.engine_new(isText, length)));
  }

  static load(ids, snapshot, format = "postcard") {
    if (ids !== "numbers" && ids !== "text") {
      throw new TypeError(`ids: expected "numbers" or "text", got ${String(ids)}`);
    }
    // An array of another realm, such as a frame, is one too.
    if (Object.prototype.toString.call(snapshot) !== "[object Uint8Array]") {
      throw new TypeError(`snapshot: expected a Uint8Array, got ${kind(snapshot)}`);
    }
    const isText = ids === "text";
    const json = isJson(format);
    const length = encode(isText, (writer) => writer.raw(snapshot));
    const number = result(wasm.engine_load(isText, json, length), SnapshotError);
    return new Engine(INSIDE, isText, number);
  }

  get ids() {
    return this.#text ? "text" : "numbers";
  }

  // Commands

  create(owner, group, now, options) {
    return this.#command("create", [owner, group, options], now);
  }

  join(user, group, now) {
    return this.#command("join", [user, group], now);
  }

  leave(user, group, now, stint) {
    return this.#command("leave", [user, group, stint], now);
  }

  leaveAll(user, now) {
    return this.#command("leaveAll", [user], now);
  }

  kick(by, group, user, now) {
    return this.#command("kick", [by, group, user], now);
  }

  ban(by, group, user, now, until) {
    return this.#command("ban", [by, group, user, until], now);
  }

  unban(by, group, user, now) {
    return this.#command("unban", [by, group, user], now);
  }

  mute(by, group, user, now, until) {
    return this.#command("mute", [by, group, user, until], now);
  }

  unmute(by, group, user, now) {
    return this.#command("unmute", [by, group, user], now);
  }

  add(by, group, user, now) {
    return this.#command("add", [by, group, user], now);
  }

  post(author, group, message, now) {
    return this.#command("post", [author, group, message], now);
  }

  edit(author, group, seq, message, now) {
    return this.#command("edit", [author, group, seq, message], now);
  }

  erase(by, group, seq, now) {
    return this.#command("erase", [by, group, seq], now);
  }

  setRank(by, group, user, rank, now) {
    return this.#command("setRank", [by, group, user, rank], now);
  }

  setOptions(by, group, options, now) {
    return this.#command("setOptions", [by, group, options], now);
  }

  transfer(owner, group, user, now) {
    return this.#command("transfer", [owner, group, user], now);
  }

  dissolve(owner, group, now, farewell = {}) {
    known(farewell, FAREWELL, "farewell");
    const { note, successor } = farewell;
    return this.#command("dissolve", [owner, group, note, successor], now);
  }

  #command(name, given, now) {
    const write = (writer) => writeCommand(writer, name, given);
    return this.#outcome(wasm.engine_apply, write, now);
  }

  // Commands as data

  apply(command, now) {
    return this.#outcome(wasm.engine_apply, (writer) => writeData(writer, command, ""), now);
  }

  preview(command, now) {
    return this.#outcome(wasm.engine_preview, (writer) => writeData(writer, command, ""), now);
  }

  applyAll(commands, now) {
    // A generator may use the engine, so it is run before the input is written.
    if (typeof commands?.[Symbol.iterator] !== "function") {
      throw new TypeError(`commands: expected an iterable, got ${kind(commands)}`);
    }
    const all = [...commands];
    const write = (writer) => {
      all.forEach((command, index) => writeData(writer, command, `commands[${index}]`));
    };
    return this.#outcome(wasm.engine_apply_all, write, now, all.length);
  }

  charge(command, now) {
    this.#run(wasm.engine_charge, (writer) => writeData(writer, command, ""), now, (reader) => {
      return new Refusal(reader, now);
    });
  }

  #outcome(call, write, now, count) {
    const number = this.#run(call, write, now, (reader) => {
      // The byte says that it was refused, which the status said before.
      reader.byte();
      return new Refusal(reader, now);
    }, count);
    return new Outcome(this.#text, number, count !== undefined);
  }

  /** Calls a function of the module with a command or commands and a time. */
  #run(call, write, now, refused, count) {
    const { number } = this.#handle;
    const [low, high] = split(integer(now, "now"));
    const length = encode(this.#text, write);
    const status = call(number, length, low, high, count);
    return result(status, TypeError, () => decode(this.#text, refused));
  }

  // Reads

  group(group) {
    return this.#read("group", [group], GROUP) ?? undefined;
  }

  standing(group, user, now) {
    return this.#read("standing", [group, user, now], STANDING) ?? undefined;
  }

  members(group, after, limit = 1000) {
    return this.#read("members", [group, after, limit], MEMBERS) ?? undefined;
  }

  admins(group) {
    return this.#read("admins", [group], MEMBERS) ?? undefined;
  }

  bans(group, now) {
    return this.#read("bans", [group, now], SANCTIONED) ?? undefined;
  }

  mutes(group, now) {
    return this.#read("mutes", [group, now], SANCTIONED) ?? undefined;
  }

  departures(group) {
    return this.#read("departures", [group], DEPARTURES) ?? undefined;
  }

  history(reader, group, now, page = {}) {
    known(page, PAGE, "page");
    const { before, limit = 100 } = page;
    return this.#read("history", [reader, group, before, limit, now], {
      read: (answer) => {
        if (answer.byte() === 1) throw new Refusal(answer, now);
        return ENTRIES.read(answer);
      },
    });
  }

  groups(after, limit = 1000) {
    return this.#read("groups", [after, limit], IDS);
  }

  groupsOf(user) {
    return this.#read("groupsOf", [user], MEMBERSHIPS);
  }

  ownedBy(user) {
    return this.#read("ownedBy", [user], IDS);
  }

  config() {
    return this.#read("config", [], schema.config);
  }

  stats() {
    return this.#read("stats", [], schema.stats);
  }

  #read(name, given, answer) {
    const { number } = this.#handle;
    const length = encode(this.#text, (writer) => writeQuery(writer, name, given));
    result(wasm.engine_read(number, length), TypeError);
    return decode(this.#text, (reader) => answer.read(reader));
  }

  // For the host

  setConfig(config) {
    const { number } = this.#handle;
    const length = encode(this.#text, (writer) => schema.config.write(writer, config, ""));
    result(wasm.engine_set_config(number, length), ConfigError);
  }

  sweep(budget) {
    const { number } = this.#handle;
    const most = Number(integer(budget, "budget"));
    result(wasm.engine_sweep(number, Math.min(most, 2 ** 32 - 1)));
  }

  check() {
    result(wasm.engine_check(this.#handle.number), InvariantError);
  }

  clone() {
    return new Engine(INSIDE, this.#text, result(wasm.engine_clone(this.#handle.number)));
  }

  equals(other) {
    if (!(other instanceof Engine)) {
      throw new TypeError(`other: expected an Engine, got ${kind(other)}`);
    }
    return result(wasm.engine_equals(this.#handle.number, other.#handle.number)) === 1;
  }

  save(format = "postcard") {
    const { number } = this.#handle;
    const length = result(wasm.engine_save(number, isJson(format)));
    const at = wasm.output() >>> 0;
    return memory().slice(at, at + length);
  }

  free() {
    this.#handle.free();
  }
}

disposable(Engine);

function isJson(format) {
  if (format === "json") return true;
  if (format === "postcard") return false;
  throw new TypeError(`format: expected "postcard" or "json", got ${String(format)}`);
}
