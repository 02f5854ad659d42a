// The state as a tree that one can fold. What changed since the last command is marked.

import { button, h, replace, theirs } from "./dom.js";
import { readState, size } from "./state.js";
import { count, counted } from "./words.js";

/** How many children of a node are shown. */
const SHOWN = 100;

/** Shows in `place` the state of `world`. */
export function showTree(place, world) {
  const tree = new Tree();
  const facts = h("p", { class: "muted" });
  place.append(h("header", {}, h("h2", { id: "tree-title" }, "The whole state"), facts), tree.element);

  let waiting = false;
  const show = (forced) => {
    waiting = false;
    const { groups, memberships, entries } = world.engine.stats();
    const sizes = [counted(groups, "group"), counted(memberships, "membership"), counted(entries, "message")];
    facts.textContent = sizes.join(" · ");
    const state = readState(world.engine, forced);
    if (state === null) tree.refuse(size(world.engine), () => show(true));
    else tree.show(state.nodes);
  };
  // Many commands in one turn, such as those of the first scene, are shown once.
  world.addEventListener("change", () => {
    if (!waiting) queueMicrotask(() => show(false));
    waiting = true;
  });
  show(false);
}

class Tree {
  /** The paths of the nodes that are unfolded. A path is the keys from the root, as JSON. */
  #open = new Set([JSON.stringify(["groups"])]);
  /** The content of each node that is shown, by path; and of each list that is shown, `true`. */
  #seen = new Map();
  element = h("div", { class: "nodes" });

  show(nodes) {
    const before = this.#seen;
    this.#seen = new Map();
    replace(this.element, this.#list(nodes, [], before));
  }

  /** Says that the state is large, and offers to read it. */
  refuse(parts, read) {
    this.#seen = new Map();
    const why = `The state has ${count(parts)} parts, so it is not read after each command.`;
    replace(this.element, h("p", {}, why), button("Read it now", read, { "data-key": "read" }));
  }

  #list(nodes, above, before) {
    const items = nodes.slice(0, SHOWN).map((node) => this.#item(node, above, before));
    // Set after the items, so that none of a list that was just unfolded is marked.
    this.#seen.set(`list ${JSON.stringify(above)}`, true);
    const rest = nodes.length - SHOWN;
    return h("ul", {}, items, rest > 0 && h("li", { class: "muted" }, `… and ${count(rest)} more`));
  }

  #item(node, above, before) {
    const here = [...above, node.key];
    const path = JSON.stringify(here);
    const content = JSON.stringify(node);
    const isNew = !before.has(path) && before.has(`list ${JSON.stringify(above)}`);
    const changed = isNew || (before.has(path) && before.get(path) !== content);
    this.#seen.set(path, content);
    const props = { class: changed ? "node changed" : "node" };
    const name = h("span", { class: "name" }, text(node.name));
    const label = [name, " ", h("span", { class: "value" }, text(node.value))];
    if (!node.children?.length) return h("li", props, h("p", {}, label));

    const details = h("details", { open: this.#open.has(path) }, h("summary", { "data-key": path }, label));
    if (details.open) details.append(this.#list(node.children, here, before));
    details.addEventListener("toggle", () => {
      if (details.open === this.#open.has(path)) return;
      if (details.open) {
        this.#open.add(path);
        details.append(this.#list(node.children, here, this.#seen));
      } else {
        this.#open.delete(path);
        details.lastChild.remove();
      }
    });
    return h("li", props, details);
  }
}

/** Text or a list of texts, as nodes. */
function text(content) {
  const parts = Array.isArray(content) ? content : [content];
  return parts.map((part) => (typeof part === "string" ? part : theirs(part.theirs)));
}
