// Values of the module that must be freed.

import { EngineFreedError, FreedError } from "./errors.js";
import { isLost, wasm } from "./wasm.js";

const FREED = -1;

/** What a handle is for, and how it is freed. */
class Kind {
  constructor(free, error) {
    this.free = free;
    this.error = error;
    this.registry = new FinalizationRegistry((number) => {
      if (!isLost()) free(number);
    });
  }
}

export const ENGINE = new Kind((number) => wasm.engine_free(number), () => new EngineFreedError());
export const OUTCOME = new Kind((number) => wasm.outcome_free(number), () => new FreedError("outcome"));
export const AUDIENCE = new Kind((number) => wasm.audience_free(number), () => new FreedError("audience"));
export const DISSOLVED = new Kind(
  (number) => wasm.dissolved_free(number),
  () => new FreedError("dissolved group"),
);

/**
 * The number of a value in the module. The value is freed by `free`, or some time after the handle has
 * become unreachable.
 */
export class Handle {
  #kind;
  #number;

  constructor(kind, number) {
    this.#kind = kind;
    this.#number = number;
    kind.registry.register(this, number, this);
  }

  /** The number, or an error if it was freed. */
  get number() {
    if (this.#number === FREED) throw this.#kind.error();
    return this.#number;
  }

  get isFreed() {
    return this.#number === FREED;
  }

  /** Does nothing if it was freed, or if the module is lost. */
  free() {
    if (this.#number === FREED) return;
    if (!isLost()) this.#kind.free(this.#number);
    this.#number = FREED;
    this.#kind.registry.unregister(this);
  }
}

/** Lets `using` free values of the class, where the language has it. */
export function disposable(Class) {
  if (typeof Symbol.dispose === "symbol") {
    Object.defineProperty(Class.prototype, Symbol.dispose, {
      value: Class.prototype.free,
      writable: true,
      configurable: true,
    });
  }
}
