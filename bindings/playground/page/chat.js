// The chat of one group as one user reads it, and the field to post in it.

import { button, freshId, h, replace, theirs } from "./dom.js";
import { machineTime, shortTime, visible } from "./words.js";

/** How many of the newest messages are shown. */
const PAGE = 50;

const RANKS = ["member", "admin", "owner"];

/** The log and the message field of `user`. */
export class Chat {
  #world;
  #user;
  #group = null;
  #editing = null;
  #shown = "";
  #log = h("ol", { class: "log", tabindex: "0" });
  #input = h("input", { autocomplete: "off", dir: "auto" });
  #send = h("button", { class: "primary" }, "Post");
  #cancel = button("Cancel", () => this.#edit(null), { class: "quiet", hidden: true });
  #form;

  constructor(world, user) {
    this.#world = world;
    this.#user = user;
    this.#input.id = freshId();
    this.#form = h(
      "form",
      { class: "composer", on: { submit: (event) => this.#submit(event) } },
      h("label", { class: "unseen", for: this.#input.id }, `Message as ${visible(user)}`),
      this.#input,
      this.#send,
      this.#cancel,
    );
    this.element = h("div", { class: "chat" }, this.#log, this.#form);
  }

  /** Shows the chat of `group`, or nothing for null. */
  show(group) {
    if (group !== this.#group) {
      this.#group = group;
      this.#edit(null);
      this.#shown = "";
    }
    this.element.hidden = group === null;
    if (group === null) return;
    const entries = this.#read();
    const shown = JSON.stringify(entries);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#log.setAttribute("aria-label", `Messages in ${visible(group)} as ${visible(this.#user)} reads them`);
    if (this.#editing !== null && !entries.some((entry) => entry.seq === this.#editing && entry.mine)) this.#edit(null);
    const nothing = h("li", { class: "muted" }, "No messages that this user may read.");
    replace(this.#log, ...(entries.length ? entries.map((entry) => this.#message(entry)) : [nothing]));
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  /** The page of the log, the oldest first, with what this user may do to each entry. */
  #read() {
    const { engine, now } = this.#world;
    const group = this.#group;
    const page = engine.history(this.#user, group, now, { limit: PAGE });
    const ranks = new Map();
    const rank = (user) => {
      if (!ranks.has(user)) ranks.set(user, RANKS.indexOf(this.#world.standing(group, user).rank));
      return ranks.get(user);
    };
    return page.reverse().map(({ seq, at, author, message, edited, erasedBy }) => {
      const mine = author === this.#user;
      const erased = erasedBy ?? null;
      const may = erased === null && (mine || (rank(this.#user) > 0 && rank(this.#user) > rank(author)));
      const when = shortTime(at, now);
      return { seq: Number(seq), at: String(at), when, author, message, edited: Boolean(edited), erased, mine, may };
    });
  }

  #message({ seq, at, when, author, message, edited, erased, mine, may }) {
    const group = this.#group;
    const erase = () => this.#world.run({ type: "erase", by: this.#user, group, seq });
    const what = `message ${seq} of ${visible(author)}`;
    const text = erased === null ? theirs(message, { class: "text" }) : h("i", { class: "muted" }, "erased by ", theirs(erased));
    return h(
      "li",
      { class: mine ? "mine" : "" },
      h(
        "p",
        { class: "by" },
        theirs(author),
        h("time", { datetime: machineTime(at) }, when),
        edited && h("span", {}, "edited"),
      ),
      h("p", { class: "said" }, text),
      (mine || may) && erased === null && h(
        "p",
        { class: "tools" },
        mine && button("Edit", () => this.#edit(seq, message), { "aria-label": `Edit ${what}`, "data-key": `edit ${seq}` }),
        button("Erase", erase, { "aria-label": `Erase ${what}`, "data-key": `erase ${seq}` }),
      ),
    );
  }

  #submit(event) {
    event.preventDefault();
    const message = this.#input.value;
    if (message === "") return;
    const [author, group, seq] = [this.#user, this.#group, this.#editing];
    const command = seq === null ? { type: "post", author, group, message } : { type: "edit", author, group, seq, message };
    // A refused message stays in the field.
    if (this.#world.run(command).ok) this.#edit(null);
  }

  /** Puts a message into the field to be edited, or empties it for null. */
  #edit(seq, message = "") {
    this.#editing = seq;
    this.#input.value = message;
    this.#send.textContent = seq === null ? "Post" : "Save";
    this.#cancel.hidden = seq === null;
    this.#input.placeholder = seq === null ? "Message" : "New text";
    if (seq !== null) this.#input.focus({ preventScroll: true });
  }
}
