// Snapshots: clones of the engine that are kept in the page, and files.

import { Engine } from "./engine.js";
import { button, freshId, h, replace } from "./dom.js";
import { best } from "./measure.js";
import { readState } from "./state.js";
import { counted, measured, time } from "./words.js";

/** How many snapshots are kept. The oldest is forgotten first. */
const KEPT = 10;

/** The largest file that is read, in bytes. */
const FILE = 256 * 1024 * 1024;

/** Shows in `place` the snapshots of `world`, and says each result in `status`. */
export function showSnapshots(place, world, status) {
  const kept = [];
  let number = 0;
  const list = h("ol", { class: "kept" });
  const result = h("p", { class: "result", id: freshId() });
  const tell = (text, bad = false) => {
    result.textContent = text;
    result.classList.toggle("error", bad);
    status(text);
  };

  const take = () => {
    const { us, clone } = timedClone(world.engine);
    const { groups, memberships } = clone.stats();
    number += 1;
    kept.unshift({ number, clone, at: world.now, groups, memberships, us });
    for (const old of kept.splice(KEPT)) old.clone.free();
    show();
    tell(`Snapshot ${number} taken in ${measured(us)}.`);
  };
  const back = ({ number, clone, at }) => {
    world.clock.now = at;
    world.replace(clone.clone());
    tell(`Back at snapshot ${number}, also the clock.`);
  };
  const forget = (one) => {
    kept.splice(kept.indexOf(one), 1);
    one.clone.free();
    show();
    tell(`Snapshot ${one.number} is forgotten.`);
  };
  const line = (one) =>
    h(
      "li",
      {},
      h(
        "p",
        {},
        h("b", {}, `Snapshot ${one.number}`),
        h("span", { class: "muted" }, facts(one)),
      ),
      button("Go back", () => back(one), { "aria-label": `Go back to snapshot ${one.number}`, "data-key": `back ${one.number}` }),
      button("Forget", () => forget(one), { class: "quiet", "aria-label": `Forget snapshot ${one.number}`, "data-key": `forget ${one.number}` }),
    );
  const show = () => {
    const none = h("li", { class: "muted" }, "None yet. A snapshot is a clone of the engine, and takes O(1).");
    replace(list, ...(kept.length ? kept.map(line) : [none]));
  };

  const save = (format) => {
    const bytes = world.engine.save(format);
    const url = URL.createObjectURL(new Blob([bytes]));
    h("a", { href: url, download: `playground.${format}` }).click();
    // The browser has begun to read it by then.
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
    tell(`Saved ${counted(bytes.length, "byte")} as playground.${format}.`);
  };
  const choose = h("input", { type: "file", accept: ".json,.postcard", id: freshId() });
  choose.addEventListener("change", async () => {
    const [file] = choose.files;
    choose.value = "";
    if (!file) return;
    try {
      tell(await load(file, world));
    } catch (error) {
      tell(`${file.name} was not loaded, and nothing is changed: ${error.message}`, true);
    }
  });

  place.append(
    h("header", {}, h("h2", { id: "snapshots-title" }, "Snapshots"), button("Take a snapshot", take, { class: "primary" })),
    list,
    h(
      "div",
      { class: "files" },
      button("Save as JSON", () => save("json")),
      button("Save as postcard", () => save("postcard")),
      h("p", { class: "file" }, h("label", { for: choose.id }, "Load a file"), choose),
    ),
    result,
  );
  show();
}

function facts({ at, groups, memberships, us }) {
  return `${time(at)} · ${counted(groups, "group")}, ${counted(memberships, "membership")} · ${measured(us)}`;
}

/** A clone, and the mean time that one takes. */
function timedClone(engine) {
  const { us } = best(() => engine.clone().free(), 1);
  return { us, clone: engine.clone() };
}

/** Replaces the engine by the one in `file`. Returns what to tell; throws if the file is no snapshot. */
async function load(file, world) {
  if (file.size > FILE) throw new Error("it is larger than 256 MiB.");
  const bytes = new Uint8Array(await file.arrayBuffer());
  // The name may be lost, but every JSON snapshot begins with a brace, and no postcard snapshot does.
  const json = file.name.endsWith(".json") || bytes[0] === 0x7b;
  const engine = Engine.load("text", bytes, json ? "json" : "postcard");
  const state = readState(engine);
  const latest = state?.latest ?? 0;
  if (latest > world.now) world.clock.now = latest;
  world.replace(engine, state?.users ?? []);
  const { groups, memberships } = engine.stats();
  return `Loaded ${counted(groups, "group")} and ${counted(memberships, "membership")} from ${file.name}.`;
}
