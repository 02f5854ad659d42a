// The form fields of a group's options.

import { field, h, select } from "./dom.js";
import { DAY } from "./words.js";

const CHOICES = [
  ["ownerExit", "When the owner leaves", [
    ["dissolve", "the group ends"],
    ["succeed", "the oldest admin owns it"],
    ["refuse", "they may not"],
  ]],
  ["history", "Members read", [
    ["from_join", "from when they joined"],
    ["full", "everything"],
  ]],
  ["admission", "New members", [
    ["open", "everyone may join"],
    ["closed", "must be added"],
  ]],
  ["add", "Who may add", [
    ["member", "members"],
    ["admin", "admins"],
    ["owner", "the owner"],
  ]],
  ["post", "Who may post", [
    ["member", "members"],
    ["admin", "admins"],
    ["owner", "the owner"],
  ]],
  ["announce", "Who hears of joins", [
    ["everyone", "every member"],
    ["staff", "owner and admins"],
  ]],
  ["keepEntries", "Messages kept", [
    ["", "all"],
    ["10", "the last 10"],
    ["3", "the last 3"],
  ]],
  ["keepMs", "Messages kept for", [
    ["", "ever"],
    ["60000", "1 minute"],
    ["3600000", "1 hour"],
    [String(DAY), "1 day"],
  ]],
];

/** Fields that show `options`; without them, the defaults. `read()` returns what was chosen. */
export function optionFields(options = {}) {
  const controls = CHOICES.map(([name, , choices]) => {
    const now = String(options[name] ?? (name === "add" ? "admin" : choices[0][0]));
    const known = choices.some(([value]) => value === now);
    return select(known ? choices : [...choices, [now, now]], now, { name });
  });
  const element = h(
    "div",
    { class: "fields" },
    ...CHOICES.map(([, label], at) => field(label, controls[at])),
  );
  const read = () => Object.fromEntries(controls.map((control) => [control.name, value(control)]));
  return { element, read };
}

function value({ name, value }) {
  if (!name.startsWith("keep")) return value;
  return value === "" ? null : Number(value);
}
