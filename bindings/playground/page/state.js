// The whole state of an engine as a tree, from its JSON snapshot.

import { LAST, count, counted, duration, time } from "./words.js";

/** Engines with more memberships, messages and rate cells than this are not read by themselves. */
const SMALL = 20_000;

/**
 * The state of `engine`: its nodes, its users, and the latest time in it. Null if it is large and not
 * `forced`.
 *
 * A node has a `key` that is unique beside its siblings, a `name`, and a `value` or `children`. Names and
 * values are text; `{ theirs }` is text that a user chose.
 */
export function readState(engine, forced = false) {
  if (!forced && size(engine) > SMALL) return null;
  const state = JSON.parse(new TextDecoder().decode(engine.save("json")));
  return { nodes: nodes(state), users: users(state), latest: latest(state) };
}

/** How many memberships, messages and rate cells an engine has. */
export function size(engine) {
  const { memberships, entries, cells } = engine.stats();
  return Number(memberships) + Number(entries) + Number(cells);
}

function nodes(state) {
  const { config, groups, tombstones, cells, ...counters } = state;
  return [
    list("groups", "groups", groups.map(group)),
    list("tombstones", "dissolved groups that are remembered", tombstones.map((one) => tombstone(one, config))),
    list("cells", "rate cells", cells.map((one) => cell(one, config))),
    branch("config", "configuration", configuration(config)),
    ...Object.entries(counters).map(([name, value]) => leaf(name, words(name), String(value))),
  ];
}

function group([id, parts]) {
  const admins = new Set(parts.admins.map(([, user]) => user));
  const rank = (user) => (user === parts.owner ? "owner" : admins.has(user) ? "admin" : "member");
  const sanction = ([user, { by, until }]) =>
    leaf(user, { theirs: user }, [`until ${until === null ? "it is lifted" : time(until)}, by `, { theirs: by }]);
  return branch(id, { theirs: id }, [
    leaf("owner", "owner", { theirs: parts.owner }),
    branch("options", "options", Object.entries(parts.options).map(option)),
    leaf("version", "version", String(parts.version)),
    list("members", "members", parts.members.map(([user, stint]) => leaf(user, { theirs: user }, `${rank(user)}, stint ${stint}`))),
    list("bans", "bans", parts.bans.map(sanction)),
    list("mutes", "mutes", parts.mutes.map(sanction)),
    list("log", "log", parts.entries.map((entry, at) => message(entry, parts.first + at))),
    list("departures", "departures", parts.departures.map(departure)),
  ], counted(parts.members.length, "member"));
}

function option([name, value]) {
  const shown = value === null ? "all" : name === "keep_ms" ? duration(value) : words(String(value));
  return leaf(name, words(name), shown);
}

function message({ at, author, message, change }, seq) {
  const [kind, by] = Object.entries(change ?? {})[0] ?? [];
  const note = kind === "edited" ? [` (edited ${time(by)})`] : [];
  const text = kind === "erased" ? ["erased by ", { theirs: by }] : [{ theirs: message }, ...note];
  return leaf(String(seq), `#${seq}`, [`${time(at)} `, { theirs: author }, ": ", ...text]);
}

function departure({ user, at, kicked_by }, index) {
  const how = kicked_by === null ? ["left at "] : ["kicked by ", { theirs: kicked_by }, " at "];
  return leaf(`${index} ${at}`, { theirs: user }, [...how, time(at)]);
}

function tombstone([id, { by, at, farewell }], config) {
  const end = time(at + config.tombstone_ms, at);
  const { note, successor } = farewell ?? {};
  return leaf(id, { theirs: id }, [
    "by ",
    { theirs: by },
    ` at ${time(at)}, until ${end}`,
    ...(note ? [", note: ", { theirs: note }] : []),
    ...(successor ? [", successor: ", { theirs: successor }] : []),
  ]);
}

function cell([{ user, group, operation }, value], config) {
  const full = Math.ceil(value / config.quotas[operation].limited.cells);
  const place = group === null ? [] : [" in ", { theirs: group }];
  const key = JSON.stringify([operation, user, group]);
  return leaf(key, [`${words(operation)} by `, { theirs: user }, ...place], `all regained at ${time(full)}`);
}

function configuration(config) {
  return Object.entries(config).map(([name, value]) => {
    if (name === "quotas") return branch(name, "rate limits", Object.entries(value).map(quota));
    if (name === "limits") return branch(name, name, Object.entries(value).map(limit));
    if (name === "tombstone_ms") return leaf(name, "dissolved groups are remembered for", duration(value));
    return leaf(name, words(name), String(value));
  });
}

function quota([name, value]) {
  const { cells, per_ms, burst } = value.limited ?? {};
  const rate = burst ? `${burst} at once, then ${cells} every ${duration(per_ms)}` : "unlimited";
  return leaf(name, words(name), rate);
}

function limit([name, value]) {
  return leaf(name, words(name), value === null ? "none" : count(value));
}

function leaf(key, name, value) {
  return { key, name, value };
}

function branch(key, name, children, value = "") {
  return { key, name, value, children };
}

function list(key, name, children) {
  return branch(key, name, children, count(children.length));
}

function words(name) {
  return name.replaceAll("_", " ");
}

/** Owners, admins, authors and then other members: those who are worth a column. */
function users({ groups }) {
  const all = groups.flatMap(([, { owner, admins, entries, members }]) => [
    [owner],
    admins.map(([, user]) => user),
    entries.slice(-10).map(({ author }) => author),
    members.slice(0, 10).map(([user]) => user),
  ]);
  return [...new Set([0, 1, 2, 3].flatMap((at) => all.flatMap((lists, index) => (index % 4 === at ? lists : []))))];
}

/** The latest time at which something happened, if it is a date. */
function latest({ groups, tombstones }) {
  const times = [...groups.map(([, group]) => group.last_at), ...tombstones.map(([, { at }]) => at)];
  return times.filter((at) => at <= LAST).reduce((a, b) => Math.max(a, b), 0);
}
