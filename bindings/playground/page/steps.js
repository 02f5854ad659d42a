// A few things to try, each with a button that does it.

import { button, h } from "./dom.js";
import { GROUP } from "./scene.js";

/** More posts than the rate limit allows at once. */
const TOO_MANY = 30;

/** Shows in `place` the things to try in `world`. `restart` sets the first scene again. */
export function showSteps(place, world, restart) {
  const post = () => world.run({ type: "post", author: "alice", group: GROUP, message: "Hello, all!" });
  const repeat = () => {
    for (let nth = 1; nth <= TOO_MANY; nth += 1) {
      if (!world.run({ type: "post", author: "carol", group: GROUP, message: `Are we there yet? (${nth})` }).ok) return;
    }
  };
  const leave = () => world.run({ type: "leave", user: "alice", group: GROUP });
  const race = () => {
    const title = document.getElementById("race");
    title.scrollIntoView({ block: "start" });
    title.querySelector("input[type=range]").focus({ preventScroll: true });
  };
  const steps = [
    ["Post a message", "The other members get a signal.", post],
    ["Post too fast", "A refusal says when to try again.", repeat],
    ["Let the owner leave", "The group ends for everyone.", leave],
    ["Dissolve a million", "As fast as a group of ten.", race],
    ["Start again", "The first scene, at noon.", restart],
  ];
  const step = ([label, what, act]) => h("li", {}, button([h("b", {}, label), h("span", {}, what)], act, { class: "step" }));
  place.append(h("h2", { class: "unseen" }, "Things to try"), h("ol", {}, steps.map(step)));
}
