// The dialog with everything that a user can do in a group.

import { button, dialog, field, h, replace, select, theirs } from "./dom.js";
import { optionFields } from "./options.js";
import { counted, duration, visible } from "./words.js";

/** How many members of the group are listed beside the users with a column. */
const LISTED = 20;

/** How many guests join at once. */
const CROWD = 1000;

const LENGTHS = [
  ["60000", "1 minute"],
  ["3600000", "1 hour"],
  ["", "until it is lifted"],
];

/** The actions on another user: label, whether they are possible, and the command. */
const PERSONAL = [
  ["Add", (me, them) => !them.rank && !them.ban && me.level >= me.add, (by, group, user) => ({ type: "add", by, group, user })],
  ["Make admin", (me, them) => me.owner && them.rank === "member", (by, group, user) => ({ type: "setRank", by, group, user, rank: "admin" })],
  ["Make member", (me, them) => me.owner && them.rank === "admin", (by, group, user) => ({ type: "setRank", by, group, user, rank: "member" })],
  ["Make owner", (me, them) => me.owner && them.rank, (owner, group, user) => ({ type: "transfer", owner, group, user })],
  ["Kick", (me, them) => me.above(them) && them.rank, (by, group, user) => ({ type: "kick", by, group, user })],
  ["Mute", (me, them) => me.above(them) && !them.mute, (by, group, user, until) => ({ type: "mute", by, group, user, until })],
  ["Unmute", (me, them) => me.level > 0 && them.mute, (by, group, user) => ({ type: "unmute", by, group, user })],
  ["Ban", (me, them) => me.above(them) && !them.ban, (by, group, user, until) => ({ type: "ban", by, group, user, until })],
  ["Unban", (me, them) => me.level > 0 && them.ban, (by, group, user) => ({ type: "unban", by, group, user })],
];

const RANKS = ["member", "admin", "owner"];
const RANKS_IN_WORDS = ["a member of", "an admin of", "the owner of"];

/** Opens the dialog for `user` in `group`, of which they are a member. */
export function openActions(world, user, group) {
  const view = world.engine.group(group);
  const me = rights(world.standing(group, user), view);
  const run = (command) => {
    shown.close();
    world.run(command);
  };

  const length = select(LENGTHS, LENGTHS[0][0]);
  const all = h("input", { type: "checkbox" });
  const list = h("ul", { class: "people" });
  const person = (other) => {
    const them = world.standing(group, other);
    const act = ([label, may, command]) => {
      if (!all.checked && !may(me, them)) return null;
      const until = () => (length.value === "" ? null : world.now + Number(length.value));
      const props = { "aria-label": `${label} ${visible(other)}`, "data-key": `${label} ${other}` };
      return button(label, () => run(command(user, group, other, until())), props);
    };
    return h(
      "li",
      {},
      h("p", {}, theirs(other), " ", h("span", { class: "muted" }, position(them, world.now))),
      h("div", { class: "offers" }, PERSONAL.map(act)),
    );
  };
  const ofOwner = [
    optionsForm(view.options, (options) => run({ type: "setOptions", by: user, group, options })),
    endForm(world, group, (note, successor) => run({ type: "dissolve", owner: user, group, note, successor })),
  ];
  const show = () => {
    replace(list, people(world, group, user).map(person));
    for (const form of ofOwner) form.hidden = !me.owner && !all.checked;
  };
  all.addEventListener("change", show);
  show();

  const shown = dialog(
    `${visible(user)}, ${RANKS_IN_WORDS[me.level]} ${visible(group)}`,
    h(
      "section",
      {},
      h("h3", {}, "People"),
      h(
        "div",
        { class: "line" },
        field("Bans and mutes last", length),
        h("label", { class: "check" }, all, "Also offer what will be refused"),
      ),
      list,
      button(`Let ${counted(CROWD, "guest")} join`, () => {
        shown.close();
        crowd(world, group);
      }),
    ),
    ofOwner,
    h(
      "section",
      {},
      h("h3", {}, "Everywhere"),
      button(`Leave all groups of ${visible(user)}`, () => run({ type: "leaveAll", user }), { class: "danger" }),
    ),
  );
}

function rights(standing, view) {
  const level = RANKS.indexOf(standing.rank);
  return {
    level,
    owner: standing.rank === "owner",
    add: RANKS.indexOf(view.options.add),
    above: (them) => level > 0 && level > RANKS.indexOf(them.rank),
  };
}

/** The users with a column, and a few others that the group knows; without `user`. */
function people(world, group, user) {
  const { engine, now, users } = world;
  const members = engine.members(group, undefined, LISTED);
  const others = [...members, ...engine.bans(group, now), ...engine.mutes(group, now)];
  const all = new Set([...users, ...others.map((other) => other.user)]);
  all.delete(user);
  return [...all].slice(0, users.length + 2 * LISTED);
}

function position({ rank, ban, mute }, now) {
  const end = (sanction) => (sanction.until ? ` for ${duration(Number(sanction.until) - now)}` : "");
  const facts = [rank ?? "not a member", ban && `banned${end(ban)}`, mute && `muted${end(mute)}`];
  return facts.filter(Boolean).join(", ");
}

function optionsForm(options, set) {
  const fields = optionFields(options);
  const submit = (event) => {
    event.preventDefault();
    set(fields.read());
  };
  return h("form", { on: { submit } }, h("h3", {}, "Options of the group"), fields.element, h("button", {}, "Set options"));
}

function endForm(world, group, dissolve) {
  const note = h("input", { autocomplete: "off" });
  const groups = world.engine.groups(undefined, LISTED).filter((other) => other !== group);
  const successor = select([["", "none"], ...groups.map((other) => [other, visible(other)])], "");
  const submit = (event) => {
    event.preventDefault();
    dissolve(note.value || null, successor.value || null);
  };
  return h(
    "form",
    { on: { submit } },
    h("h3", {}, "End of the group"),
    h("div", { class: "fields" }, field("Note to the members", note), field("Successor", successor)),
    h("button", { class: "danger" }, "Dissolve"),
  );
}

/** Lets guests join who are not in the group, all at once. */
function crowd(world, group) {
  const joins = [];
  for (let guest = 1; joins.length < CROWD; guest += 1) {
    const user = `guest ${String(guest).padStart(6, "0")}`;
    if (!world.standing(group, user).rank) joins.push({ type: "join", user, group });
  }
  world.runAll(joins, `${counted(CROWD, "guest")} join`);
}
