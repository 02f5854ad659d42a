import { decode, encode, integer, split } from "./bytes.js";
import { DISSOLVED, disposable } from "./handle.js";
import { Part } from "./part.js";
import { PAGE, entry, group, id, known, list, member } from "./schema.js";
import { result, wasm } from "./wasm.js";

const MEMBERS = list(member);
const ENTRIES = list(entry);

/** A dissolved group with its members and its log, which the engine no longer holds. */
export class Dissolved {
  #text;
  #members;
  #entries;
  #part;

  constructor(reader, outcome, index) {
    this.#text = reader.text;
    this.#members = reader.integer();
    this.#entries = reader.integer();
    this.#part = new Part(DISSOLVED, wasm.outcome_dissolved, outcome, index);
  }

  get members() {
    this.#part.check();
    return this.#members;
  }

  get entries() {
    this.#part.check();
    return this.#entries;
  }

  group() {
    result(wasm.dissolved_group(this.#part.number));
    return decode(this.#text, (reader) => group.read(reader));
  }

  membersPage(after, limit = 1000) {
    const most = Number(integer(limit, "limit", 0, 2 ** 32 - 1));
    const given = after !== undefined && after !== null;
    const length = given ? encode(this.#text, (writer) => id.write(writer, after, "after")) : 0;
    result(wasm.dissolved_members(this.#part.number, most, length));
    return decode(this.#text, (reader) => MEMBERS.read(reader));
  }

  history(page = {}) {
    known(page, PAGE, "page");
    const { before, limit = 100 } = page;
    const most = Number(integer(limit, "limit", 0, 2 ** 32 - 1));
    const given = before !== undefined && before !== null;
    const [low, high] = given ? split(integer(before, "before")) : [0, 0];
    result(wasm.dissolved_history(this.#part.number, most, given, low, high));
    return decode(this.#text, (reader) => ENTRIES.read(reader));
  }

  free() {
    this.#part.free();
  }

  /** The part of the outcome that this is. */
  get part() {
    return this.#part;
  }
}

disposable(Dissolved);
