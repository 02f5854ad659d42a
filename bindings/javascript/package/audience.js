import { decode, encode, integer, split } from "./bytes.js";
import { AUDIENCE, disposable } from "./handle.js";
import { Part } from "./part.js";
import { id, list } from "./schema.js";
import { memory, result, wasm } from "./wasm.js";

const IDS = list(id);

/** How many users of a large audience are read at once. */
const PAGE = 512;

/** The users that a signal is for. */
export class Audience {
  #text;
  #size;
  /** All users, if they are few. Then there is no part. */
  #few;
  #part;
  #isFreed = false;

  constructor(text, size, few, outcome, index) {
    this.#text = text;
    this.#size = size;
    if (few.length === size) this.#few = few;
    else this.#part = new Part(AUDIENCE, wasm.outcome_audience, outcome, index);
  }

  get size() {
    this.#check();
    return this.#size;
  }

  has(user) {
    this.#check();
    const length = encode(this.#text, (writer) => id.write(writer, user, "user"));
    if (this.#few !== undefined) return this.#few.includes(user);
    return result(wasm.audience_has(this.#part.number, length)) === 1;
  }

  page(after, limit = 1000) {
    this.#check();
    const most = Number(integer(limit, "limit", 0, 2 ** 32 - 1));
    if (this.#few !== undefined) return this.#fewAfter(after).slice(0, most);
    return this.#text ? this.#strings(after, most) : Array.from(this.#numbers(after, most));
  }

  [Symbol.iterator]() {
    this.#check();
    return this.#few === undefined ? this.#walk() : this.#few[Symbol.iterator]();
  }

  free() {
    this.#isFreed = true;
    this.#part?.free();
  }

  /** The part of the outcome that this is; undefined if it needs nothing of the outcome. */
  get part() {
    return this.#part;
  }

  #check() {
    if (this.#isFreed) throw AUDIENCE.error();
  }

  *#walk() {
    let after;
    for (;;) {
      const users = this.#text ? this.#strings(after, PAGE) : this.#numbers(after, PAGE);
      yield* users;
      if (users.length < PAGE) return;
      after = users[users.length - 1];
    }
  }

  #fewAfter(after) {
    if (!isGiven(after)) return this.#few;
    encode(this.#text, (writer) => id.write(writer, after, "after"));
    return this.#few.filter((user) => compare(user, after) > 0);
  }

  #strings(after, limit) {
    const given = isGiven(after);
    const length = given ? encode(true, (writer) => id.write(writer, after, "after")) : 0;
    result(wasm.audience_page(this.#part.number, limit, length));
    return decode(true, (reader) => IDS.read(reader));
  }

  /** The users after that user, as a BigUint64Array. */
  #numbers(after, limit) {
    const given = isGiven(after);
    if (given) encode(false, (writer) => id.write(writer, after, "after"));
    const [low, high] = given ? split(after) : [0, 0];
    const count = result(wasm.audience_numbers(this.#part.number, limit, given, low, high));
    return new BigUint64Array(memory().buffer, wasm.numbers() >>> 0, count).slice();
  }
}

disposable(Audience);

function isGiven(after) {
  return after !== undefined && after !== null;
}

/** The order of the engine: numbers by value, texts by their bytes in UTF-8, which is by code points. */
function compare(one, other) {
  if (typeof one === "bigint") return one < other ? -1 : one > other ? 1 : 0;
  const [a, b] = [[...one], [...other]];
  const at = a.findIndex((character, index) => character !== b[index]);
  if (at < 0) return a.length - b.length;
  return at < b.length ? a[at].codePointAt(0) - b[at].codePointAt(0) : 1;
}
