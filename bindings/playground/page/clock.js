// The clock of the page. It stands, runs or jumps; the engine gets its time with each command.

import { button, h, replace } from "./dom.js";
import { DAY, LAST, day, machineTime, time } from "./words.js";

/** How often a running clock moves, in milliseconds. */
const STEP = 100;

const JUMPS = [
  ["+1 s", 1000],
  ["+1 min", 60_000],
  ["+1 h", 3_600_000],
  ["+31 days", 31 * DAY],
];

/** The time, in milliseconds since 1970. It emits `move` when it changes. */
export class Clock extends EventTarget {
  #now;
  #timer = null;

  constructor(now) {
    super();
    this.#now = now;
  }

  get now() {
    return this.#now;
  }

  set now(now) {
    this.#now = Math.min(now, LAST);
    this.dispatchEvent(new Event("move"));
  }

  get running() {
    return this.#timer !== null;
  }

  /** Lets it run or stand. */
  set running(running) {
    if (running === this.running) return;
    if (running) {
      let last = performance.now();
      this.#timer = setInterval(() => {
        const passed = Math.floor(performance.now() - last);
        last += passed;
        this.now += passed;
      }, STEP);
    } else {
      clearInterval(this.#timer);
      this.#timer = null;
    }
    this.dispatchEvent(new Event("move"));
  }
}

/** Shows the clock in `place`, with the buttons that move it. `say` announces a jump. */
export function showClock(place, clock, say) {
  const shown = h("time", { class: "now" });
  const state = h("span", { class: "muted" });
  const run = button("Run", () => (clock.running = !clock.running), { class: "run" });
  const jump = ([label, ms]) =>
    button(label, () => {
      clock.now += ms;
      say(`The time is ${time(clock.now)}, ${day(clock.now)}.`);
    });
  place.append(
    h("h2", { class: "unseen" }, "Time"),
    h("p", { class: "face" }, shown, state),
    h("div", { class: "jumps" }, run, ...JUMPS.map(jump)),
  );
  const show = () => {
    replace(shown, time(clock.now).slice(0, 8), h("small", {}, time(clock.now).slice(8)));
    shown.dateTime = machineTime(clock.now);
    state.textContent = `${day(clock.now)} · ${clock.running ? "runs" : "stands still"}`;
    run.textContent = clock.running ? "Stop" : "Run";
  };
  clock.addEventListener("move", show);
  show();
}
