// The entry for Node: the module is read from its file at once.

import { readFileSync } from "node:fs";

import { initSync } from "./disband.js";
import { begin } from "./start.js";

begin(initSync({ module: readFileSync(new URL("./disband_bg.wasm", import.meta.url)) }));

export * from "./index.js";
