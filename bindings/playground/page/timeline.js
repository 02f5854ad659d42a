// Every command with its reply or refusal, its signals and its cost; the newest first.

import { button, h, theirs } from "./dom.js";
import { signalWords } from "./signals.js";
import { count, counted, cut, duration, json, machineTime, measured, names, time, visible } from "./words.js";

/** How many records are shown. */
const KEPT = 60;

/** How many signals of a record are shown. */
const SIGNALS = 4;

/** How many characters of a command or a frame are shown. */
const DATA = 500;

/** Shows in `place` what `world` has recorded and records, and says each result in `status`. */
export function showTimeline(place, world, status) {
  const list = h("ol", { class: "records", tabindex: "0", "aria-labelledby": "timeline-title" });
  const clear = button("Clear", () => list.replaceChildren(), { class: "quiet" });
  place.append(
    h("header", {}, h("h2", { id: "timeline-title" }, "Timeline"), clear),
    list,
  );
  list.append(...world.records.map((record) => entry(record, world)).reverse());
  world.addEventListener("record", ({ detail }) => {
    list.prepend(entry(detail, world));
    while (list.children.length > KEPT) list.lastChild.remove();
    list.scrollTop = 0;
    status(announcement(detail));
  });
}

function entry(record, world) {
  const { name, actor, command, at, cost, ok, title, more } = record;
  const repeat = () => {
    if (record.retryAt !== null) world.clock.now = Math.max(world.now, record.retryAt);
    world.run(command);
  };
  return h(
    "li",
    { class: ok ? "record" : "record refused" },
    h(
      "p",
      { class: "head" },
      !title && theirs(String(actor), { class: "who" }),
      h("span", { class: "what" }, title ?? name),
      h("time", { datetime: machineTime(at) }, time(at)),
    ),
    h("code", { class: "data" }, cut(json(command), DATA), more > 0 && ` and ${count(more)} more`),
    h(
      "p",
      { class: ok ? "reply" : "reply bad" },
      h("b", {}, String(record.code)),
      h("span", {}, record.text),
      cost && h("span", { class: "cost", title: meaning(cost) }, measured(cost.us)),
    ),
    record.retryAt && button(`Wait ${duration(record.retryAt - at)} and try again`, repeat, { class: "again" }),
    record.signals.length > 0 && h("ul", { class: "signals" }, ...record.signals.slice(0, SIGNALS).map(signal), rest(record)),
    wire(record),
  );
}

function meaning({ runs }) {
  return runs === 1 ? "measured once" : `the mean of ${counted(runs, "preview")} of this command`;
}

function signal(one) {
  return h(
    "li",
    {},
    h("span", { class: "event" }, ...signalWords(one)),
    h("span", { class: "to" }, "→ ", theirs(names(one.first, one.size))),
  );
}

function rest({ signals, moreSignals }) {
  const hidden = signals.length - Math.min(signals.length, SIGNALS) + moreSignals;
  return hidden > 0 && h("li", { class: "muted" }, `… and ${counted(hidden, "more signal")}`);
}

/** The reply and the frames as a chat server would send them. */
function wire({ reply, signals }) {
  if (!reply) return null;
  const frames = signals.slice(0, SIGNALS).map(({ frame }) => h("code", { class: "data" }, cut(visible(frame), DATA)));
  return h("details", {}, h("summary", {}, "As a server sends it"), h("code", { class: "data" }, cut(visible(reply), DATA)), ...frames);
}

function announcement(record) {
  const { name, actor, ok, code, text, title, signals, moreSignals } = record;
  const what = title ?? `${visible(String(actor))}: ${name}`;
  if (!ok) return `${what}: refused. ${code}: ${text}.`;
  const sent = signals.length + moreSignals;
  const first = signals[0];
  const to = first ? `, the first to ${names(first.first, first.size)}` : "";
  return `${what}: done. ${counted(sent, "signal")}${to}.`;
}
