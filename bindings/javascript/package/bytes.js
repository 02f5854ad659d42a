// Writes the input of the module and reads its output, in postcard: integers of variable length, and
// texts and lists with their length before them.

import { kind } from "./errors.js";
import { alone, input, memory, wasm } from "./wasm.js";

const encoder = new TextEncoder();
// A text may begin with U+FEFF, which a decoder removes by default.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

// Splits a bigint into two halves, and makes one of them.
const whole = new BigUint64Array(1);
const halves = new Uint32Array(whole.buffer);
const [LOW, HIGH] = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? [0, 1] : [1, 0];

/** Up to this length a loop is faster than a TextEncoder or a TextDecoder. */
const SHORT = 40;

const isWellFormed =
  typeof String.prototype.isWellFormed === "function"
    ? (text) => text.isWellFormed()
    : (text) => !/\p{Surrogate}/u.test(text);

/** Whether a bigint is from 0 to 2^64 - 1. */
export function isWide(value) {
  whole[0] = value;
  return whole[0] === value;
}

/** The halves of a number or bigint that is from 0 to 2^64 - 1, the lower one first. */
export function split(value) {
  if (typeof value === "number") return [value >>> 0, Math.floor(value / 2 ** 32)];
  whole[0] = value;
  return [halves[LOW], halves[HIGH]];
}

/** The writer of the input. There is one, since there is one input. */
class Writer {
  /** Whether ids are text. */
  text = false;
  #address = 0;
  #size = 0;
  #at = 0;

  begin(text) {
    this.text = text;
    this.#at = 0;
    this.#size = 0;
    this.#room(256);
  }

  /** How many bytes were written. */
  get length() {
    return this.#at;
  }

  #room(more) {
    const least = this.#at + more;
    if (least > this.#size) {
      const size = Math.max(least, Math.min(2 * this.#size, 2 ** 31 - 1));
      this.#address = input(size, this.#at);
      this.#size = size;
    }
  }

  /** An integer below 2^53. */
  number(value) {
    this.#room(10);
    const bytes = memory();
    let at = this.#address + this.#at;
    while (value > 0x7f_ffff) {
      bytes[at++] = (value % 128) | 128;
      value = Math.floor(value / 128);
    }
    while (value > 127) {
      bytes[at++] = (value & 127) | 128;
      value >>>= 7;
    }
    bytes[at++] = value;
    this.#at = at - this.#address;
  }

  /** A bigint from 0 to 2^64 - 1. */
  wide(value) {
    whole[0] = value;
    const high = halves[HIGH];
    const low = halves[LOW];
    if (high < 2 ** 21) return this.number(high * 2 ** 32 + low);
    this.#room(10);
    const bytes = memory();
    let at = this.#address + this.#at;
    // Four groups of seven bits of the lower half, one of both halves, and the rest of the upper half.
    for (let shift = 0; shift < 28; shift += 7) bytes[at++] = (low >>> shift) | 128;
    bytes[at++] = (low >>> 28) | ((high & 7) << 4) | 128;
    let rest = high >>> 3;
    while (rest > 127) {
      bytes[at++] = rest | 128;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.#at = at - this.#address;
  }

  /** A text, which must not have a lone surrogate: `path` is its name in the TypeError. */
  string(text, path) {
    const { length } = text;
    if (length <= SHORT) {
      this.#room(length + 1);
      const bytes = memory();
      let at = this.#address + this.#at;
      bytes[at++] = length;
      let i = 0;
      for (; i < length; i++) {
        const code = text.charCodeAt(i);
        if (code > 127) break;
        bytes[at++] = code;
      }
      if (i === length) {
        this.#at = at - this.#address;
        return;
      }
    }
    if (!isWellFormed(text)) throw new TypeError(`${path}: the text has a lone surrogate`);
    // The length is known only afterwards. It takes up to five bytes.
    this.#room(5 + 3 * length);
    const bytes = memory();
    const start = this.#address + this.#at;
    const { written } = encoder.encodeInto(text, bytes.subarray(start + 5, start + 5 + 3 * length));
    this.number(written);
    const begin = this.#address + this.#at;
    bytes.copyWithin(begin, start + 5, start + 5 + written);
    this.#at += written;
  }

  /** Bytes, as they are. */
  raw(bytes) {
    this.#room(bytes.length);
    memory().set(bytes, this.#address + this.#at);
    this.#at += bytes.length;
  }
}

const writer = new Writer();

/** Writes the input with `write(writer)`, and returns its length. Ids are text if `text`. */
export function encode(text, write) {
  return alone(() => {
    writer.begin(text);
    write(writer);
    return writer.length;
  });
}

/** The reader of the output. There is one: a value is read to its end before the next call. */
class Reader {
  /** Whether ids are text. */
  text = false;
  #bytes;
  #at = 0;

  begin(text) {
    this.text = text;
    this.#at = wasm.output() >>> 0;
    this.#bytes = memory();
  }

  get at() {
    return this.#at;
  }

  /** The bytes from `start` to here, copied. */
  since(start) {
    return this.#bytes.slice(start, this.#at);
  }

  byte() {
    return this.#bytes[this.#at++];
  }

  /** An integer: a number up to 2^53 - 1, and a bigint above. */
  integer() {
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    let value = bytes[at++];
    if (value > 127) {
      value &= 127;
      let scale = 128;
      let byte;
      do {
        byte = bytes[at++];
        value += (byte & 127) * scale;
        scale *= 128;
      } while (byte > 127);
    }
    this.#at = at;
    return value <= Number.MAX_SAFE_INTEGER ? value : this.#exact(start);
  }

  /** The integer that begins at `start`, as a bigint. */
  #exact(start) {
    let value = 0n;
    for (let at = this.#at - 1; at >= start; at--) {
      value = (value << 7n) | BigInt(this.#bytes[at] & 127);
    }
    return value;
  }

  string() {
    const length = this.integer();
    const bytes = this.#bytes;
    const start = this.#at;
    const end = start + length;
    this.#at = end;
    if (length <= SHORT) {
      let text = "";
      let at = start;
      for (; at < end && bytes[at] < 128; at++) text += String.fromCharCode(bytes[at]);
      if (at === end) return text;
    }
    return decoder.decode(bytes.subarray(start, end));
  }

  id() {
    return this.text ? this.string() : BigInt(this.integer());
  }
}

const reader = new Reader();

/** What `read(reader)` makes of the output. Ids are text if `text`. */
export function decode(text, read) {
  reader.begin(text);
  return read(reader);
}

/** The value as an integer from `least` to `most`, of which `path` is the name in an error. */
export function integer(value, path, least = 0, most = 2n ** 64n - 1n) {
  if (typeof value === "number") {
    if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  } else if (typeof value === "bigint") {
    if (value >= least && value <= most) return value;
  } else {
    throw new TypeError(`${path}: expected an integer, as a number or a bigint, got ${kind(value)}`);
  }
  const unsafe = typeof value === "number" && value > Number.MAX_SAFE_INTEGER && value <= most;
  const why = unsafe ? ", and numbers above 2^53 - 1 as bigints" : "";
  throw new RangeError(`${path}: expected an integer from ${least} to ${most}${why}, got ${value}`);
}
