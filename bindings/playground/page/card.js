// The column of one user: their groups, the chat of one of them, and the signals that they got.

import { openActions } from "./actions.js";
import { Chat } from "./chat.js";
import { button, freshId, h, replace, theirs } from "./dom.js";
import { openGroups } from "./groups.js";
import { signalWords } from "./signals.js";
import { count, counted, json, time, visible } from "./words.js";

/** How many signals a column shows. */
const SIGNALS = 4;

/** How many members of a group it names. */
const NAMED = 5;

/** How many groups it offers to a user who is in none. */
const OFFERED = 5;

/** How many groups of the user can be chosen. */
const TABS = 20;

/** How long a new signal is highlighted, in milliseconds. */
const FRESH = 1600;

/** One user, who acts in `world`. */
export class Card {
  #world;
  #user;
  #chosen = null;
  #shown = "";
  #chat;
  #heading = h("p", { class: "muted" });
  #groups;
  #about = h("div", { class: "about" });
  #inbox = h("ol", { class: "inbox" });

  constructor(world, user) {
    this.#world = world;
    this.#user = user;
    this.#chat = new Chat(world, user);
    this.#groups = h("div", { class: "groups", role: "group", "aria-label": `Groups of ${visible(user)}` });
    const title = freshId();
    const signals = freshId();
    this.element = h(
      "article",
      { class: "card", "aria-labelledby": title },
      h(
        "header",
        {},
        h("span", { class: "face", "aria-hidden": "true" }, [...user][0].toUpperCase()),
        h("h3", { id: title }, theirs(user)),
        this.#heading,
      ),
      this.#groups,
      this.#about,
      this.#chat.element,
      h("h4", { id: signals }, "Signals received"),
      h("div", { class: "letters" }, this.#inbox),
    );
    this.#inbox.setAttribute("aria-labelledby", signals);
    this.#inbox.append(h("li", { class: "muted" }, "none yet"));
  }

  /** Shows the present state, unless it is shown already. */
  show() {
    const { engine } = this.#world;
    const groups = engine.groupsOf(this.#user).map(({ group }) => group);
    // The chosen group may be gone, and come back with a snapshot.
    const group = groups.includes(this.#chosen) ? this.#chosen : (groups[0] ?? null);
    const about = group === null ? { offers: engine.groups(undefined, OFFERED) } : this.#read(group);
    const shown = json([groups, about]);
    if (shown !== this.#shown) {
      this.#shown = shown;
      this.#heading.textContent = counted(groups.length, "group");
      replace(this.#groups, this.#tabs(groups, group), this.#more());
      replace(this.#about, group === null ? this.#outside(about) : this.#facts(about));
    }
    this.#chat.show(group);
  }

  /** Takes in what a record says to this user, and highlights it if it is `fresh`. */
  receive({ at, ok, name, actor, command, signals }, fresh) {
    const begins = fresh && ok && ["create", "join", "add"].includes(name);
    if (begins && this.#user === (name === "add" ? command.user : actor)) this.#chosen = command.group;
    const mine = signals.filter((signal) => signal.reached.includes(this.#user));
    if (mine.length === 0) return;
    if (this.#inbox.firstChild?.className === "muted") this.#inbox.replaceChildren();
    for (const signal of mine.slice(-SIGNALS)) {
      const props = { class: fresh ? "fresh" : "past", title: `${time(at)} ${visible(String(signal.group))}` };
      this.#inbox.prepend(h("li", props, signalWords(signal)));
    }
    while (this.#inbox.children.length > SIGNALS) this.#inbox.lastChild.remove();
    if (!fresh) return;
    this.element.classList.add("reached");
    setTimeout(() => this.element.classList.remove("reached"), FRESH);
  }

  #read(group) {
    const { engine, now } = this.#world;
    const { options, members } = engine.group(group);
    const page = engine.members(group, undefined, NAMED);
    const { rank, mute } = this.#world.standing(group, this.#user);
    const muted = mute && (mute.until === null ? "muted" : `muted until ${time(mute.until, now)}`);
    return { group, options, members, page, rank, muted };
  }

  #facts({ group, options, members, page, rank, muted }) {
    const flags = [
      options.admission === "closed" && "closed",
      options.announce === "staff" && "quiet",
      options.post !== "member" && `${options.post}s post`,
    ].filter(Boolean);
    const role = (member) => (member.rank === "member" ? "" : ` (${member.rank})`);
    const shown = page.map((member) => [theirs(member.user), role(member)]);
    const rest = members - page.length;
    return [
      h(
        "p",
        { class: "standing" },
        h("span", { class: `rank ${rank}` }, rank),
        flags.map((flag) => h("span", { class: "flag" }, flag)),
        muted && h("span", { class: "flag bad" }, muted),
        this.#buttons(group),
      ),
      h(
        "p",
        { class: "members" },
        `${counted(members, "member")}: `,
        ...shown.flatMap((parts, at) => [at > 0 && ", ", ...parts]).filter(Boolean),
        rest > 0 && ` and ${counted(rest, "other")}`,
      ),
    ];
  }

  #outside({ offers }) {
    const join = (group) =>
      button(["Join ", theirs(group)], () => this.#world.run({ type: "join", user: this.#user, group }), { "data-key": `join ${group}` });
    return [
      h("p", { class: "muted" }, theirs(this.#user), " is in no group."),
      h("div", { class: "offers" }, offers.map(join)),
    ];
  }

  #tabs(groups, shown) {
    const few = groups.filter((group, at) => at < TABS || group === shown);
    const rest = groups.length - few.length;
    return [...few.map((group) => this.#tab(group, shown)), rest > 0 && `and ${count(rest)} more`];
  }

  #tab(group, shown) {
    const choose = () => {
      this.#chosen = group;
      this.show();
    };
    return button(theirs(group), choose, {
      class: "tab",
      "aria-pressed": String(group === shown),
      "data-key": `tab ${group}`,
    });
  }

  #more() {
    const label = `Create or join a group as ${visible(this.#user)}`;
    return button("+ Group", () => openGroups(this.#world, this.#user), {
      class: "tab add",
      "aria-label": label,
      title: label,
      "data-key": "more",
    });
  }

  #buttons(group) {
    const user = visible(this.#user);
    const leave = () => this.#world.run({ type: "leave", user: this.#user, group });
    const more = () => openActions(this.#world, this.#user, group);
    return h(
      "span",
      { class: "acts" },
      button("Leave", leave, { "aria-label": `Leave ${visible(group)} as ${user}`, "data-key": "leave" }),
      button("More…", more, { "aria-label": `More actions of ${user} in ${visible(group)}`, "data-key": "actions" }),
    );
  }
}
