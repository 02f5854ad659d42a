// The users side by side: a column for each, and a form to add one.

import { Card } from "./card.js";
import { freshId, h } from "./dom.js";

/** Shows the users of `world` in `place`. */
export function showUsers(place, world) {
  const cards = new Map();
  const row = h("div", { class: "cards" });
  place.append(
    h("h2", { id: "users-title", tabindex: "-1" }, "Users"),
    h("p", { class: "hint" }, "Each column acts as one user."),
    newUser(world, () => row.lastChild),
    row,
  );

  const show = () => {
    for (const user of world.users.filter((user) => !cards.has(user))) {
      const card = new Card(world, user);
      for (const record of world.records) card.receive(record, false);
      cards.set(user, card);
      row.append(card.element);
    }
    for (const card of cards.values()) card.show();
  };
  world.addEventListener("change", show);
  world.clock.addEventListener("move", show);
  world.addEventListener("record", ({ detail }) => {
    for (const card of cards.values()) card.receive(detail, true);
  });
  show();
}

function newUser(world, column) {
  const id = freshId();
  const input = h("input", { id, autocomplete: "off", maxlength: "40", spellcheck: "false", placeholder: "erin" });
  const error = h("p", { class: "error", id: freshId(), role: "alert" });
  input.setAttribute("aria-describedby", error.id);
  const add = (event) => {
    event.preventDefault();
    const why = world.addUser(input.value.trim());
    error.textContent = why ?? "";
    if (why !== null) return;
    input.value = "";
    column().scrollIntoView({ block: "nearest", inline: "end" });
  };
  return h(
    "form",
    { class: "new", on: { submit: add } },
    h("label", { class: "unseen", for: id }, "Name of another user"),
    input,
    h("button", {}, "Add user"),
    error,
  );
}
