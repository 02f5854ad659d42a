// What there is when the page opens: four users, two groups and a few messages.

/** The time at which the clock starts: 2026-01-01, 12:00 UTC. */
export const NOON = Date.UTC(2026, 0, 1, 12);

/** How long before noon the first thing happened, and the time between two things. */
const BEFORE = 60_000;
const BETWEEN = 4_000;

/** The group that the steps to try are about. */
export const GROUP = "book club";

const USERS = ["alice", "bob", "carol", "dave"];

const post = (author, message) => ({ type: "post", author, group: GROUP, message });

const COMMANDS = [
  { type: "create", owner: "alice", group: GROUP },
  { type: "join", user: "bob", group: GROUP },
  { type: "join", user: "carol", group: GROUP },
  { type: "setRank", by: "alice", group: GROUP, user: "bob", rank: "admin" },
  { type: "create", owner: "dave", group: "chess" },
  { type: "join", user: "bob", group: "chess" },
  post("alice", "Welcome! We begin with “Middlemarch”."),
  post("bob", "All 800 pages of it?"),
  post("carol", "I have read it twice. Happy to help."),
  { type: "post", author: "dave", group: "chess", message: "1. e4" },
  post("alice", "Chapter 1 by Friday, then."),
];

/** Sets the scene in an empty world, and the clock to noon. */
export function setScene(world) {
  for (const user of USERS) world.addUser(user);
  world.clock.now = NOON - BEFORE;
  for (const command of COMMANDS) {
    world.clock.now += BETWEEN;
    world.run(command);
  }
  world.clock.now = NOON;
}
