// Commands and queries: their fields in order.

import { kind } from "./errors.js";
import { groupOptions, id, known, option, rank, string, whole } from "./schema.js";

const user = id;
const by = id;
const owner = id;
const author = id;
const group = id;
const message = string;
const until = option(whole);
const now = whole;
const limit = whole;

const COMMANDS = variants({
  create: { owner, group, options: option(groupOptions) },
  join: { user, group },
  leave: { user, group, stint: option(whole) },
  kick: { by, group, user },
  post: { author, group, message },
  dissolve: { owner, group, note: option(string), successor: option(id) },
  transfer: { owner, group, user },
  setRank: { by, group, user, rank },
  setOptions: { by, group, options: groupOptions },
  ban: { by, group, user, until },
  unban: { by, group, user },
  leaveAll: { user },
  add: { by, group, user },
  mute: { by, group, user, until },
  unmute: { by, group, user },
  edit: { author, group, seq: whole, message },
  erase: { by, group, seq: whole },
});

const QUERIES = variants({
  group: { group },
  standing: { group, user, now },
  members: { group, after: option(id), limit },
  admins: { group },
  bans: { group, now },
  mutes: { group, now },
  departures: { group },
  history: { reader: user, group, before: option(whole), limit, now },
  groups: { after: option(id), limit },
  groupsOf: { user },
  ownedBy: { user },
  config: {},
  stats: {},
});

/** The index, the names and the types of the fields of each. */
function variants(all) {
  const described = Object.entries(all).map(([name, fields], index) => {
    const names = Object.keys(fields);
    return [name, { index, fields: { type: undefined, ...fields }, names, types: Object.values(fields) }];
  });
  return Object.fromEntries(described);
}

/** Writes the command of that name with these arguments, in the order of its fields. */
export function writeCommand(writer, name, given) {
  write(writer, COMMANDS[name], given, "");
}

/** Writes the query of that name with these arguments, in the order of its fields. */
export function writeQuery(writer, name, given) {
  write(writer, QUERIES[name], given, "");
}

/** Writes a command that is an object. `path` is its name in an error, or empty. */
export function writeData(writer, command, path) {
  known(command, command ?? {}, path);
  const { type } = command;
  if (typeof type !== "string" || !Object.hasOwn(COMMANDS, type)) {
    const names = Object.keys(COMMANDS).join(", ");
    const prefix = path === "" ? "" : `${path}.`;
    throw new TypeError(`${prefix}type: expected one of ${names}, got ${typeof type === "string" ? JSON.stringify(type) : kind(type)}`);
  }
  const variant = COMMANDS[type];
  known(command, variant.fields, path);
  const given = variant.names.map((name) => command[name]);
  write(writer, variant, given, path === "" ? "" : `${path}.`);
}

function write(writer, { index, names, types }, given, prefix) {
  writer.number(index);
  for (let i = 0; i < types.length; i++) {
    types[i].write(writer, given[i], prefix === "" ? names[i] : prefix + names[i]);
  }
}
