// The dialog in which a user creates or joins a group.

import { button, dialog, field, h } from "./dom.js";
import { optionFields } from "./options.js";
import { visible } from "./words.js";

/** How many groups it offers. */
const OFFERED = 20;

/** Opens the dialog for `user`. */
export function openGroups(world, user) {
  const run = (command) => {
    shown.close();
    world.run(command);
  };
  const mine = new Set(world.engine.groupsOf(user).map(({ group }) => group));
  const others = world.engine.groups(undefined, OFFERED + mine.size).filter((group) => !mine.has(group));
  const join = (group) => button(visible(group), () => run({ type: "join", user, group }));

  const created = h("input", { required: true, autocomplete: "off", maxlength: "100" });
  const options = optionFields();
  const create = (event) => {
    event.preventDefault();
    run({ type: "create", owner: user, group: created.value, options: options.read() });
  };
  const joined = h("input", { required: true, autocomplete: "off", maxlength: "100" });
  const other = (event) => {
    event.preventDefault();
    run({ type: "join", user, group: joined.value });
  };

  const shown = dialog(
    `Groups for ${visible(user)}`,
    h(
      "form",
      { on: { submit: create } },
      h("h3", {}, "Create a group"),
      h("div", { class: "line" }, field("Name of the group", created), h("button", { class: "primary" }, "Create")),
      h("details", {}, h("summary", {}, "Options"), options.element),
    ),
    h(
      "section",
      {},
      h("h3", {}, "Join a group"),
      others.length > 0 && h("div", { class: "offers" }, ...others.slice(0, OFFERED).map(join)),
      h(
        "form",
        { class: "line", on: { submit: other } },
        field("Any id, also of a group that ended or never was", joined),
        h("button", {}, "Join"),
      ),
    ),
  );
  created.focus();
}
