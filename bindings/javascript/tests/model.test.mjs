// Random commands on an engine and on a small naive model, which must say the same.

import assert from "node:assert/strict";
import test from "node:test";

import { Refusal } from "disband";

import { KINDS, UNLIMITED } from "./support.mjs";

const RANKS = ["member", "admin", "owner"];

/** Groups as maps of maps, with the default options and without rate limits. */
class Model {
  groups = new Map();
  dissolved = new Set();

  apply({ type, group: id, ...command }) {
    const { owner, by, author, user } = command;
    const actor = owner ?? by ?? author ?? user;
    const group = this.groups.get(id);
    if (type === "create") {
      if (group !== undefined) return "group_exists";
      if (this.dissolved.has(id)) return "id_reserved";
      this.groups.set(id, { ranks: new Map([[owner, 2]]), bans: new Set(), mutes: new Set(), entries: [] });
      return [];
    }
    if (group === undefined) return this.dissolved.has(id) ? "dissolved" : "no_such_group";
    const { ranks, bans, mutes, entries } = group;
    const rank = (one) => ranks.get(one) ?? -1;
    const others = (...without) => [...ranks.keys()].filter((one) => !without.includes(one));
    if (type === "join") {
      if (bans.has(user)) return "banned";
      if (ranks.has(user)) return "already_member";
      ranks.set(user, 0);
      return [["memberjoin", user, others(user)]];
    }
    if (!ranks.has(actor)) return "not_member";
    const missing = !ranks.has(user);
    switch (type) {
      case "leave":
        if (rank(user) === 2) return this.end(id, user);
        ranks.delete(user);
        return [["memberleave", user, others()]];
      case "dissolve":
        return rank(owner) === 2 ? this.end(id, owner) : "not_owner";
      case "post":
        if (mutes.has(author)) return "muted";
        entries.push({ author, message: command.message });
        return [["message", author, others(author)]];
      case "add":
        if (rank(by) < 1) return "not_admin";
        if (!missing) return "already_member";
        if (bans.has(user)) return "target_banned";
        ranks.set(user, 0);
        return [["memberjoin", user, others(by)]];
      case "transfer":
        if (rank(owner) < 2) return "not_owner";
        if (missing) return "target_not_member";
        if (user === owner) return "already_owner";
        ranks.set(owner, 1).set(user, 2);
        return [["ownerchange", user, others()]];
      case "setRank":
        if (rank(by) < 2) return "not_owner";
        if (user === by || command.rank === "owner") return "outranked";
        if (missing) return "target_not_member";
        if (RANKS[rank(user)] === command.rank) return "already_ranked";
        ranks.set(user, RANKS.indexOf(command.rank));
        return [["rankchange", user, others()]];
      default:
    }
    if (rank(by) < 1) return "not_admin";
    switch (type) {
      case "unban":
        return bans.delete(user) ? [] : "not_banned";
      case "kick":
        if (rank(user) >= rank(by)) return "outranked";
        if (missing) return "target_not_member";
        ranks.delete(user);
        return [["memberkick", user, [...others(), user]]];
      case "ban":
        if (rank(user) >= rank(by)) return "outranked";
        bans.add(user);
        if (missing) return [];
        ranks.delete(user);
        return [["memberkick", user, [...others(), user]]];
      case "mute":
        if (rank(user) >= rank(by)) return "outranked";
        mutes.add(user);
        return missing ? [] : [["mute", user, others()]];
      case "unmute":
        if (rank(user) >= rank(by)) return "outranked";
        if (!mutes.delete(user)) return "not_muted";
        return missing ? [] : [["unmute", user, others()]];
      default:
        throw new Error(type);
    }
  }

  end(id, owner) {
    const users = [...this.groups.get(id).ranks.keys()].filter((user) => user !== owner);
    this.groups.delete(id);
    this.dissolved.add(id);
    return [["memberkick", owner, users], ["historypurge", owner, users]];
  }
}

const TYPES =
  "create join join join join leave post post add transfer setRank unban kick ban mute unmute dissolve".split(" ");

for (const { ids, make, id } of KINDS) {
  test(`${ids}: an engine and a naive model say the same`, () => {
    let seed = 7;
    const random = (below) => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const order = (users) => users.toSorted((a, b) => (a < b ? -1 : 1));
    const refusals = new Set();
    for (let run = 0; run < 20; run++) {
      let engine = make({ quotas: UNLIMITED });
      const model = new Model();
      for (let now = 0; now < 400; now++) {
        const user = () => id(random(12));
        const type = TYPES[random(now < 300 ? TYPES.length - 1 : TYPES.length)];
        const given = { group: id(100 + random(3)) };
        if (["create", "dissolve", "transfer"].includes(type)) given.owner = user();
        else if (type === "post") given.author = user();
        else if (["join", "leave"].includes(type)) given.user = user();
        else given.by = user();
        if (given.by !== undefined || type === "transfer") given.user = user();
        if (type === "post") given.message = "x".repeat(random(60));
        if (type === "setRank") given.rank = RANKS[random(3)];
        const command = { type, ...given };

        const expected = model.apply(command);
        let outcome;
        let said;
        try {
          outcome = engine.apply(command, now);
          said = outcome.signals.map(({ type, from, audience }) => [type, from, [...audience]]);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          refusals.add((said = error.reason));
        }
        const wanted = Array.isArray(expected) ? expected.map(([type, from, to]) => [type, from, order(to)]) : expected;
        assert.deepEqual(said, wanted, `run ${run}, ${type} at ${now}`);
        outcome?.free();
        if (now % 100 === 99) {
          const clone = engine.clone();
          engine.free();
          engine = clone;
        }
      }
      engine.check();
      assert.deepEqual(engine.groups(), order([...model.groups.keys()]));
      for (const [group, { ranks, entries }] of model.groups) {
        const members = engine.members(group).map(({ user, rank }) => [user, RANKS.indexOf(rank)]);
        assert.deepEqual(members, order([...ranks.keys()]).map((user) => [user, ranks.get(user)]));
        assert.equal(engine.group(group).entries, entries.length);
      }
      engine.free();
    }
    assert.ok(refusals.size >= 14, [...refusals].join());
  });
}
