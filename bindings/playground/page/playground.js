// Puts the parts of the page together.

import { Clock, showClock } from "./clock.js";
import { Engine } from "./engine.js";
import { showRace } from "./race.js";
import { NOON, setScene } from "./scene.js";
import { showSnapshots } from "./snapshots.js";
import { showSteps } from "./steps.js";
import { showTimeline } from "./timeline.js";
import { showTree } from "./tree.js";
import { showUsers } from "./users.js";
import { World } from "./world.js";

const place = (id) => document.getElementById(id);

/** Says a result to those who do not see it. */
function status(text) {
  place("status").textContent = text;
}

const world = new World(Engine.withText(), new Clock(NOON));
setScene(world);
showClock(place("clock"), world.clock, status);
showUsers(place("users"), world);
showTimeline(place("timeline"), world, status);
showSteps(place("steps"), world, () => {
  world.replace(Engine.withText());
  setScene(world);
  status("The first scene is set again.");
});
showSnapshots(place("snapshots"), world, status);
showTree(place("tree"), world);
showRace(place("race"), status);
