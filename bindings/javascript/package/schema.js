// The types of values that go in and out: how to write and to read each. Fields and variants are in the
// order of the Rust types, which postcard needs.

import { integer, isWide } from "./bytes.js";
import { kind } from "./errors.js";

/** An integer from `least` to `most`. */
const within = (least, most) => ({
  write(writer, value, path) {
    const checked = integer(value, path, least, most);
    if (typeof checked === "number") writer.number(checked);
    else writer.wide(checked);
  },
  read: (reader) => reader.integer(),
});

/** An integer of eight bits, which is one byte always. */
const byte = {
  write: (writer, value, path) => writer.raw([Number(integer(value, path, 0, 255))]),
  read: (reader) => reader.byte(),
};

const U64 = 2n ** 64n - 1n;
const U32 = 2n ** 32n - 1n;

export const whole = within(0, U64);

export const id = {
  write(writer, value, path) {
    if (writer.text) {
      if (typeof value !== "string") {
        throw new TypeError(`${path}: ids of this engine are strings, got ${kind(value)}`);
      }
      writer.string(value, path);
    } else {
      if (typeof value !== "bigint") {
        throw new TypeError(`${path}: ids of this engine are bigints, got ${kind(value)}`);
      }
      if (!isWide(value)) {
        throw new RangeError(`${path}: expected an id from 0n to 2n ** 64n - 1n, got ${value}n`);
      }
      writer.wide(value);
    }
  },
  read: (reader) => reader.id(),
};

export const string = {
  write(writer, value, path) {
    if (typeof value !== "string") {
      throw new TypeError(`${path}: expected a string, got ${kind(value)}`);
    }
    writer.string(value, path);
  },
  read: (reader) => reader.string(),
};

/** A value of the type, or null. */
export const option = (type) => ({
  optional: true,
  write(writer, value, path) {
    if (value === undefined || value === null) {
      writer.number(0);
    } else {
      writer.number(1);
      type.write(writer, value, path);
    }
  },
  read: (reader) => (reader.byte() === 0 ? null : type.read(reader)),
});

export const list = (type) => ({
  read(reader) {
    const length = reader.integer();
    const values = [];
    for (let i = 0; i < length; i++) values.push(type.read(reader));
    return values;
  },
});

/** One of some strings. */
const oneOf = (...names) => ({
  write(writer, value, path) {
    const index = names.indexOf(value);
    if (index < 0) {
      const got = typeof value === "string" ? JSON.stringify(value) : kind(value);
      throw new TypeError(`${path}: expected one of ${names.join(", ")}, got ${got}`);
    }
    writer.number(index);
  },
  read: (reader) => names[reader.byte()],
});

/**
 * An object with these fields. A field that is left out has the value in `defaults()`; without
 * `defaults`, it must be there unless it may be null.
 */
export function struct(fields, defaults) {
  const names = Object.keys(fields);
  const types = Object.values(fields);
  return {
    write(writer, value, path) {
      known(value, fields, path);
      for (let i = 0; i < names.length; i++) {
        const name = names[i];
        const given = value[name];
        const field = given === undefined && defaults !== undefined ? defaults()[name] : given;
        types[i].write(writer, field, path === "" ? name : `${path}.${name}`);
      }
    },
    read(reader) {
      const value = {};
      for (let i = 0; i < names.length; i++) value[names[i]] = types[i].read(reader);
      return value;
    },
  };
}

/** Throws unless `value` is an object that has no other fields than these. */
export function known(value, fields, path) {
  const what = path === "" ? "" : `${path}: `;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError(`${what}expected an object, got ${kind(value)}`);
  }
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(fields, name)) throw new TypeError(`${what}unknown field ${name}`);
  }
}

/** The fields of a page of history, and of what an owner says at the end of a group. */
export const PAGE = { before: true, limit: true };
export const FAREWELL = { note: true, successor: true };

export const rank = oneOf("member", "admin", "owner");

let defaults;

/** Takes the module's default configuration and options, `{ config, options }`. */
export function setDefaults(values) {
  defaults = values;
}

export const groupOptions = struct(
  {
    ownerExit: oneOf("dissolve", "refuse", "succeed"),
    history: oneOf("from_join", "full"),
    keepEntries: option(whole),
    keepMs: option(whole),
    admission: oneOf("open", "closed"),
    add: rank,
    post: rank,
    announce: oneOf("everyone", "staff"),
  },
  () => defaults.options,
);

const rate = struct({ cells: within(1, U32), perMs: within(1, U64), burst: within(1, U32) });

const quota = {
  write(writer, value, path) {
    if (value === "unlimited") {
      writer.number(0);
    } else if (typeof value === "string") {
      throw new TypeError(`${path}: expected "unlimited" or a rate, got ${JSON.stringify(value)}`);
    } else {
      writer.number(1);
      rate.write(writer, value, path);
    }
  },
  read: (reader) => (reader.byte() === 0 ? "unlimited" : rate.read(reader)),
};

const OPERATIONS =
  "create join leave kick post dissolve transfer setRank setOptions ban unban leaveAll add mute unmute edit erase".split(" ");

const quotas = struct(
  Object.fromEntries(OPERATIONS.map((operation) => [operation, quota])),
  () => defaults.config.quotas,
);

const limits = struct(
  {
    membersPerGroup: option(whole),
    groupsPerUser: option(whole),
    messageBytes: option(whole),
    entriesPerGroup: option(whole),
    bansPerGroup: option(whole),
    mutesPerGroup: option(whole),
    noteBytes: option(whole),
    messageBytesTotal: option(whole),
    membershipsTotal: option(whole),
  },
  () => defaults.config.limits,
);

export const config = struct(
  {
    instance: whole,
    quotas,
    tombstoneMs: whole,
    departures: byte,
    limits,
  },
  () => defaults.config,
);

export const stats = struct({
  groups: whole,
  memberships: whole,
  entries: whole,
  messageBytes: whole,
  tombstones: whole,
  cells: whole,
  unswept: whole,
});

export const group = struct({
  owner: id,
  options: groupOptions,
  version: whole,
  members: whole,
  admins: whole,
  entries: whole,
  nextSeq: whole,
});

export const member = struct({ user: id, stint: whole, rank });
export const membership = struct({ group: id, stint: whole });
export const sanctioned = struct({ user: id, by: id, until: option(whole) });
const sanction = struct({ by: id, until: option(whole) });
export const pastMember = struct({ user: id, at: whole, kickedBy: option(id) });

export const standing = struct({
  stint: option(whole),
  rank: option(rank),
  ban: option(sanction),
  mute: option(sanction),
});

export const entry = struct({
  seq: whole,
  at: whole,
  author: id,
  message: string,
  edited: option(whole),
  erasedBy: option(id),
});
