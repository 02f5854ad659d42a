// The WebAssembly module: its functions, its memory, and what becomes of it if it fails.

import { EngineLostError, OutOfMemoryError } from "./errors.js";

let exports;
let bytes = new Uint8Array();
let lost = false;

/** Makes the error that says why the module may not be called now; undefined if it may. */
let obstacle;

/** Takes the exports of the module that was instantiated. */
export function start(instance) {
  exports = instance;
  for (const name of Object.keys(wasm)) wasm[name] = guarded(exports[name]);
}

/** The functions of the module. `lib.rs` documents them. */
export const wasm = {
  output: undefined,
  output_length: undefined,
  numbers: undefined,
  defaults: undefined,
  engine_new: undefined,
  engine_load: undefined,
  engine_save: undefined,
  engine_clone: undefined,
  engine_free: undefined,
  engine_equals: undefined,
  engine_apply: undefined,
  engine_preview: undefined,
  engine_apply_all: undefined,
  engine_charge: undefined,
  engine_read: undefined,
  engine_set_config: undefined,
  engine_sweep: undefined,
  engine_check: undefined,
  outcome_read: undefined,
  outcome_reply: undefined,
  outcome_frame: undefined,
  outcome_audience: undefined,
  outcome_dissolved: undefined,
  outcome_free: undefined,
  audience_numbers: undefined,
  audience_page: undefined,
  audience_has: undefined,
  audience_free: undefined,
  dissolved_group: undefined,
  dissolved_members: undefined,
  dissolved_history: undefined,
  dissolved_free: undefined,
  refusal_reply: undefined,
};

function guarded(call) {
  return (a, b, c, d, e) => {
    if (obstacle !== undefined) throw obstacle();
    try {
      return call(a, b, c, d, e);
    } catch (cause) {
      // Whatever it is, the call was left in the middle.
      lost = true;
      obstacle = () => new EngineLostError(cause);
      throw obstacle();
    }
  };
}

/** Whether the module has failed. */
export function isLost() {
  return lost;
}

/** All of the module's memory. It may be replaced by every call. */
export function memory() {
  if (bytes.length === 0) bytes = new Uint8Array(exports.memory.buffer);
  return bytes;
}

/** The address of an input of `length` bytes that begins with the `keep` bytes of the last one. */
export function input(length, keep) {
  // 2^31 bytes are more than an input can have.
  const address = length < 2 ** 31 ? exports.input(length, keep) >>> 0 : 0;
  if (address === 0) throw new OutOfMemoryError();
  return address;
}

/**
 * Does something during which no function of the module may be called: while the input is written, a
 * call would replace it. Getters of an argument could try.
 */
export function alone(work) {
  if (obstacle !== undefined) throw obstacle();
  obstacle = () => new TypeError("an argument has a getter that uses an engine");
  try {
    return work();
  } finally {
    obstacle = undefined;
  }
}

const OUT_OF_MEMORY = -1;
const REFUSED = -2;
const INVALID = -3;

/**
 * The result of a call, or the error it stands for: `refused()` of a refusal, and an error of the class
 * `Invalid` of an invalid argument.
 */
export function result(status, Invalid = Error, refused) {
  if (status >= 0) return status;
  if (status === OUT_OF_MEMORY) throw new OutOfMemoryError();
  if (status === REFUSED) throw refused();
  if (status === INVALID) throw new Invalid(text(wasm.output_length()));
  throw new Error("a value is missing: this is a defect of disband");
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The first `length` bytes of the output as text. */
export function text(length) {
  const at = wasm.output() >>> 0;
  return decoder.decode(memory().subarray(at, at + length));
}
