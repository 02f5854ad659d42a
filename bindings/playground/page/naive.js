// Groups by hand, as many programs have them: for comparison with disband.

/** For each group a Map of its members, and for each user a Set of their groups. */
export class Naive {
  #members = new Map();
  #groupsOf = new Map();
  #stint = 0;

  join(user, group) {
    let members = this.#members.get(group);
    if (!members) this.#members.set(group, (members = new Map()));
    members.set(user, (this.#stint += 1));
    let groups = this.#groupsOf.get(user);
    if (!groups) this.#groupsOf.set(user, (groups = new Set()));
    groups.add(group);
  }

  /** Ends a group. Returns its two signals, each with a copy of its audience: all but the owner. */
  dissolve(owner, group) {
    const members = this.#members.get(group);
    const audience = () => [...members.keys()].filter((user) => user !== owner);
    const signals = ["memberkick", "historypurge"].map((type) => ({ type, group, audience: audience() }));
    for (const user of members.keys()) {
      const groups = this.#groupsOf.get(user);
      groups.delete(group);
      if (groups.size === 0) this.#groupsOf.delete(user);
    }
    this.#members.delete(group);
    return signals;
  }
}
