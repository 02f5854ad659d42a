// What the package exports. `node.js` and `browser.js` load the module first.

export { Engine } from "./engine.js";
export {
  ConfigError,
  EngineFreedError,
  EngineLostError,
  FreedError,
  InvariantError,
  OutOfMemoryError,
  SnapshotError,
} from "./errors.js";
export { Refusal } from "./refusal.js";
