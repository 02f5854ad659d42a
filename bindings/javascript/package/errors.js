/** The engine, outcome, audience or dissolved group was freed. */
export class FreedError extends Error {
  constructor(what) {
    super(`the ${what} was freed`);
    this.name = "FreedError";
  }
}

export class EngineFreedError extends FreedError {
  constructor() {
    super("engine");
    this.name = "EngineFreedError";
  }
}

export class OutOfMemoryError extends Error {
  constructor() {
    super("there may not be enough memory for this; nothing was changed");
    this.name = "OutOfMemoryError";
  }
}

export class EngineLostError extends Error {
  constructor(cause) {
    super("the WebAssembly module has failed, and all its engines are lost: load a snapshot in a new process or page", { cause });
    this.name = "EngineLostError";
  }
}

export class SnapshotError extends Error {
  constructor(reason) {
    super(`not a snapshot with ids of this type: ${reason}`);
    this.name = "SnapshotError";
  }
}

export class ConfigError extends Error {
  constructor(reason) {
    super(reason);
    this.name = "ConfigError";
  }
}

export class InvariantError extends Error {
  constructor(reason) {
    super(reason);
    this.name = "InvariantError";
  }
}

/** What a value is, for the text of a TypeError. */
export function kind(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object") return "an object";
  return value === undefined ? "nothing" : `a ${typeof value}`;
}
