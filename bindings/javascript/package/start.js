import { decode } from "./bytes.js";
import { config, groupOptions, setDefaults } from "./schema.js";
import { result, start, wasm } from "./wasm.js";

/** Takes the exports of the module that was instantiated. */
export function begin(exports) {
  start(exports);
  result(wasm.defaults());
  setDefaults(
    decode(false, (reader) => ({ config: config.read(reader), options: groupOptions.read(reader) })),
  );
}
