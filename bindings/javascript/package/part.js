import { Handle } from "./handle.js";
import { result } from "./wasm.js";

/**
 * An audience or a dissolved group of an outcome. It gets a handle of its own when it is used, or when
 * its outcome is freed.
 */
export class Part {
  #kind;
  #claim;
  #outcome;
  #index;
  #handle;
  #isFreed = false;

  /** `claim(outcome, index)` gets the part out of the outcome. */
  constructor(kind, claim, outcome, index) {
    this.#kind = kind;
    this.#claim = claim;
    this.#outcome = outcome;
    this.#index = index;
  }

  /** Throws if the part was freed. */
  check() {
    if (this.#isFreed) throw this.#kind.error();
  }

  /** The number of the part in the module. */
  get number() {
    this.check();
    this.keep();
    return this.#handle.number;
  }

  /** Makes sure that the part outlives its outcome. */
  keep() {
    if (this.#isFreed || this.#handle !== undefined) return;
    const number = result(this.#claim(this.#outcome.number, this.#index));
    this.#handle = new Handle(this.#kind, number);
    this.#outcome = undefined;
  }

  free() {
    this.#handle?.free();
    this.#isFreed = true;
    this.#outcome = undefined;
  }
}
