// A signal in words.

import { theirs } from "./dom.js";
import { count, cut } from "./words.js";

/** How many characters of a message are shown. */
const TEXT = 200;

/** What a signal says, as nodes: `memberjoin · carol`. */
export function signalWords(signal) {
  const name = document.createElement("b");
  name.textContent = signal.type;
  return [name, " ", ...details(signal)];
}

function details({ type, from, by, message, note, successor, rank, seq }) {
  const who = theirs(String(from));
  switch (type) {
    case "memberjoin":
      return by ? [who, " added by ", theirs(by)] : [who];
    case "memberkick":
      return by === from ? ["by ", who, ": the group ended"] : [who, " by ", theirs(by)];
    case "historypurge":
      return [
        "the log is gone",
        ...(note ? [": ", theirs(note)] : []),
        ...(successor ? [" → ", theirs(successor)] : []),
      ];
    case "message":
    case "messageedit":
      return [who, ": ", theirs(cut(message, TEXT))];
    case "messageerase":
      return [`#${count(seq)} by `, who];
    case "rankchange":
      return [who, ` is ${rank} now`];
    case "ownerchange":
      return [who, " owns the group now"];
    case "mute":
    case "unmute":
      return [who, " by ", theirs(by)];
    default:
      return [who];
  }
}
