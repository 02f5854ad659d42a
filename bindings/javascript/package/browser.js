// The entry for browsers: the module is fetched while this file is imported. It is compiled as it
// arrives, or, if the server sends another type than application/wasm, afterwards.

import init from "./disband.js";
import { begin } from "./start.js";

begin(await init({ module_or_path: new URL("./disband_bg.wasm", import.meta.url) }));

export * from "./index.js";
