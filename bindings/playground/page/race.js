// Groups of up to a million, built and dissolved in a worker, with a chart of the times.

import { LINES, chart, mark } from "./chart.js";
import { button, field, h, replace } from "./dom.js";
import { count, counted, measured } from "./words.js";

/** What the slider can choose. */
const SIZES = [10, 100, 1000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000];

/** What "all sizes" measures. */
const DECADES = [10, 100, 1000, 10_000, 100_000, 1_000_000];

const FIRST = 100_000;

const PARTS = {
  build: "Members join",
  dissolve: "The owner leaves, and the group ends",
  free: "The memory is freed",
  naive: "The naive Map does the same",
};

const MEASURED = [
  "In a worker, members join one by one, and then the owner leaves.",
  "“Dissolving” is the time until the reply and the signals are there: the mean of many previews of the same command, " +
    "because the clock of a browser has coarse steps.",
  "“Freeing” is what comes later, when the program likes: the memory of the group, and the members’ entries in the index " +
    "from users to groups.",
  "The naive version keeps a Map of the members of each group, and a Set of the groups of each user. It copies the " +
    "audience for each of the two signals, and removes each member.",
];

/** Shows the race in `place`, and says each result in `status`. */
export function showRace(place, status) {
  const results = new Map();
  let worker = null;
  let queue = [];

  const slider = h("input", { type: "range", min: 0, max: SIZES.length - 1, value: SIZES.indexOf(FIRST) });
  const size = h("output", {});
  const naive = h("input", { type: "checkbox", checked: true });
  const go = button("Build and dissolve", () => begin([chosen()]), { class: "primary" });
  const all = button("All sizes", () => begin(DECADES.filter((members) => members <= chosen())));
  const cancel = button("Cancel", () => stop("Cancelled. Its memory is given back."), { disabled: true });
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Progress" });
  const state = h("p", { class: "state" });
  const figure = h("div", { class: "chart" });
  const table = h("div", { class: "times", tabindex: "0", role: "region", "aria-label": "Measured times" });

  const chosen = () => SIZES[slider.valueAsNumber];
  const showSize = () => {
    size.value = counted(chosen(), "member");
    slider.setAttribute("aria-valuetext", size.value);
    all.textContent = `All sizes up to ${count(chosen())}`;
  };
  slider.addEventListener("input", showSize);

  const tell = (text, bad = false) => {
    state.textContent = text;
    state.classList.toggle("error", bad);
  };
  const begin = (sizes) => {
    queue = sizes;
    next();
  };
  const next = () => {
    const members = queue.shift();
    if (members === undefined) return stop(conclusion());
    const racing = (worker = new Worker(new URL("racer.js", import.meta.url), { type: "module" }));
    racing.onmessage = ({ data }) => {
      if (racing !== worker) return;
      if (data.ready) return racing.postMessage({ members, naive: naive.checked });
      if (data.problem) return stop(problem(data.problem, members), true);
      if (data.result) {
        // The last one that was measured comes last.
        results.delete(members);
        results.set(members, data.result);
        show();
        racing.terminate();
        return next();
      }
      bar.removeAttribute("value");
      if (data.share !== null) bar.value = data.share;
      tell(`${counted(members, "member")}: ${PARTS[data.part].toLowerCase()} …`);
    };
    racing.onerror = (event) => {
      event.preventDefault();
      if (racing === worker) stop(problem({ message: event.message }, members), true);
    };
    busy(true);
    bar.value = 0;
    tell(`${counted(members, "member")}: begins …`);
  };
  const stop = (text, bad = false) => {
    // The memory of the engine ends with the worker.
    worker?.terminate();
    worker = null;
    queue = [];
    busy(false);
    bar.value = 0;
    tell(text, bad);
    status(text);
  };
  const busy = (is) => {
    const leaves = is ? [go, all] : [cancel];
    const focused = leaves.includes(document.activeElement);
    for (const one of [go, all, slider, naive]) one.disabled = is;
    cancel.disabled = !is;
    bar.classList.toggle("idle", !is);
    if (focused) (is ? cancel : go).focus({ preventScroll: true });
  };
  const conclusion = () => {
    const last = [...results.values()].at(-1);
    const by = last.naive === undefined ? "" : ` The naive Map takes ${measured(last.naive)}.`;
    const to = `two signals, each for ${counted(last.recipients[0], "user")}`;
    return `${counted(last.members, "member")}: dissolved in ${measured(last.dissolved)}, with ${to}.${by}`;
  };
  let width = 640;
  const draw = () => replace(figure, chart(results.values(), width));
  const show = () => {
    draw();
    replace(table, rows([...results.values()].sort((a, b) => a.members - b.members)));
  };

  place.append(
    h("header", {}, h("h2", { id: "race-title" }, "Dissolve a group of a million")),
    h(
      "div",
      { class: "controls" },
      h("div", { class: "slider" }, field("Size of the group", slider), size),
      h("label", { class: "check" }, naive, "Beside a naive Map in JavaScript"),
      h("div", { class: "offers" }, go, all, cancel),
      bar,
      state,
      table,
      h(
        "details",
        { class: "hint" },
        h("summary", {}, "How this is measured"),
        MEASURED.map((text) => h("p", {}, text)),
      ),
    ),
    h("div", { class: "plot" }, figure, h("ul", { class: "legend" }, ...[...LINES].reverse().map((line) => h("li", {}, mark(line), line.label)))),
  );
  busy(false);
  showSize();
  show();
  // Drawing changes the height, so it waits until the observer is done.
  const fit = () => {
    if (figure.clientWidth === width) return;
    width = figure.clientWidth;
    draw();
  };
  new ResizeObserver(() => requestAnimationFrame(fit)).observe(figure);
}

function rows(results) {
  const time = (us) => h("td", {}, us === undefined ? "–" : measured(us));
  const row = (one) =>
    h("tr", {}, h("th", { scope: "row" }, count(one.members)), time(one.built), time(one.dissolved), time(one.freed), time(one.naive));
  const head = ["Members", "Building", "Dissolving", "Freeing later", "Naive, dissolving"];
  const none = h("tr", {}, h("td", { colspan: head.length, class: "muted" }, "Nothing measured yet."));
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, ...head.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, ...(results.length ? results.map(row) : [none])),
  );
}

function problem({ name, message }, members) {
  // An error while the worker starts has no name, only a message that begins with it.
  if (!/OutOfMemoryError|EngineLostError|RangeError/.test(`${name} ${message}`)) return `It did not work: ${message}`;
  return `The memory of this browser is not enough for ${counted(members, "member")}. Nothing else on this page is affected: choose a smaller group.`;
}
