// Numbers, times and refusals in words.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** The last time that a date can be. */
export const LAST = 8.64e15;

const grouped = new Intl.NumberFormat("en");
const shortDate = new Intl.DateTimeFormat("en-GB", {
  weekday: "short",
  day: "numeric",
  month: "short",
  year: "numeric",
  timeZone: "UTC",
});

/** `1,000,000` */
export function count(number) {
  return grouped.format(number);
}

/** `1 member`, `1,000 members` */
export function counted(number, noun, nouns = `${noun}s`) {
  return `${count(number)} ${Number(number) === 1 ? noun : nouns}`;
}

/** A length of time: `250 ms`, `1.4 s`, `2 min`, `31 days`. */
export function duration(ms) {
  const whole = (value, unit) => `${Number(value.toFixed(1))} ${unit}`;
  if (ms < SECOND) return `${Math.ceil(ms)} ms`;
  if (ms < MINUTE) return whole(ms / SECOND, "s");
  if (ms < HOUR) return whole(ms / MINUTE, "min");
  if (ms < 2 * DAY) return whole(ms / HOUR, "h");
  return whole(ms / DAY, "days");
}

/** A measured time: `8.3 µs`, `12 ms`, `1.2 s`. */
export function measured(us) {
  if (us < 10) return `${us.toFixed(1)} µs`;
  if (us < 1000) return `${us.toFixed(0)} µs`;
  if (us < 10_000) return `${(us / 1000).toFixed(1)} ms`;
  if (us < 1_000_000) return `${(us / 1000).toFixed(0)} ms`;
  return `${(us / 1_000_000).toFixed(1)} s`;
}

/** `12:00:01.250`, or with the day if it is another one than that of `now`. */
export function time(at, now) {
  if (!isDate(at)) return `time ${at}`;
  const clock = new Date(Number(at)).toISOString().slice(11, 23);
  return now === undefined || day(at) === day(now) ? clock : `${day(at)}, ${clock.slice(0, 8)}`;
}

/** `12:00`, or `1 Jan` if it is another day than that of `now`. */
export function shortTime(at, now) {
  if (!isDate(at)) return `time ${at}`;
  return day(at) === day(now) ? time(at).slice(0, 5) : day(at).split(" ").slice(1, 3).join(" ");
}

/** The time for machines, as an attribute; none if it is past what a date can be. */
export function machineTime(at) {
  return isDate(at) ? new Date(Number(at)).toISOString() : undefined;
}

/** `Thu 1 Jan 2026` */
export function day(at) {
  return isDate(at) ? shortDate.format(new Date(Number(at))).replace(",", "") : "";
}

function isDate(at) {
  return Number(at) <= LAST;
}

const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu;

/** Text with its invisible and bidirectional controls as `\u202e`: for places that cannot isolate it. */
export function visible(text) {
  return text.replace(CONTROLS, (c) => `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}`);
}

/** At most `most` characters of a text. */
export function cut(text, most) {
  return text.length > most ? `${text.slice(0, most).toWellFormed()}…` : text;
}

/** Data as JSON on one line, without anything invisible. */
export function json(data) {
  const plain = (_, value) => (typeof value === "bigint" ? String(value) : value);
  return visible(JSON.stringify(data, plain, 1).replace(/\n */g, " "));
}

/** Names in a row: `alice, bob and 998 more`. */
export function names(first, size) {
  const rest = Number(size) - first.length;
  const row = first.map(visible).join(", ");
  return rest > 0 ? `${row} and ${count(rest)} more` : row;
}

/** What a command that was carried out returned. `value` is that of its outcome. */
export function outcomeWords(name, value) {
  switch (name) {
    case "create":
    case "join":
    case "add":
      return `stint ${value}`;
    case "post":
      return `entry #${value}`;
    case "leave":
      return departureWords(value);
    case "dissolve":
      return dissolvedWords(value);
    case "leaveAll":
      return value.length === 0 ? "in no group" : value.map((left) => `${visible(left.group)}: ${departureWords(left)}`).join("; ");
    default:
      return "done";
  }
}

function departureWords(departure) {
  if (departure.kind === "dissolved") return dissolvedWords(departure.dissolved);
  return departure.kind === "succeeded" ? `left; ${visible(String(departure.owner))} owns it now` : "left";
}

function dissolvedWords({ members, entries }) {
  return `the group ended and gave back ${counted(members, "member")} and ${counted(entries, "message")}`;
}

/** A refusal as a sentence for a user, at the time `now`. */
export function refusalWords(refusal, now) {
  const by = refusal.by === undefined ? "" : ` by ${visible(String(refusal.by))}`;
  const until = () => (refusal.until ? `, for another ${duration(Number(refusal.until) - now)}` : "");
  switch (refusal.reason) {
    case "too_fast":
      return `too fast: try again in ${duration(Number(refusal.retryAt) - now)}`;
    case "dissolved": {
      const note = refusal.note ? `, with the note “${visible(refusal.note)}”` : "";
      const next = refusal.successor ? `; go to ${visible(String(refusal.successor))}` : "";
      return `the group was dissolved${by} ${ago(refusal.at, now)}${note}${next}`;
    }
    case "banned":
      return `banned${by}${until()}`;
    case "target_banned":
      return `the other user is banned${by}${until()}`;
    case "muted":
      return `muted${by}${until()}`;
    case "id_reserved":
      return `the group id is reserved for another ${duration(Number(refusal.until) - now)}`;
    default:
      return visible(refusal.message);
  }
}

function ago(at, now) {
  const ms = now - Number(at);
  return ms <= 0 ? "just now" : `${duration(ms)} ago`;
}
