// A chart of times against numbers of members, both axes logarithmic.

import { count, measured } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const [LEFT, RIGHT, TOP, BOTTOM] = [58, 14, 10, 38];

/** The axes: from 10 to a million members, and from 1 µs to 10 s. */
const [MEMBERS, TIMES] = [
  [1, 6],
  [0, 7],
];

const short = new Intl.NumberFormat("en", { notation: "compact" });

/** The lines, with the shapes of their points, so that no line is known by its colour alone. */
export const LINES = [
  { key: "built", label: "disband, building", shape: diamond },
  { key: "freed", label: "disband, freeing later", shape: ring },
  { key: "naive", label: "naive Map, dissolving", shape: square },
  { key: "dissolved", label: "disband, dissolving", shape: dot },
];

/**
 * A chart of `results`: each has `members` and the times of some of the lines, in µs. It is `width` pixels
 * wide, so that its text has the same size everywhere.
 */
export function chart(results, width) {
  const height = Math.round(Math.min(340, Math.max(220, width * 0.46)));
  const x = (members) => round(LEFT + place(members, MEMBERS) * (width - LEFT - RIGHT));
  const y = (us) => round(height - BOTTOM - place(us, TIMES) * (height - TOP - BOTTOM));
  const sorted = [...results].sort((a, b) => a.members - b.members);
  const figure = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-labelledby": "chart-title" });
  const title = svg("title", { id: "chart-title" });
  title.textContent = "Times against the number of members, both axes logarithmic. The table has the same figures.";
  figure.append(title, ...axes(x, y, width, height));
  if (sorted.length === 0) figure.append(label("Nothing measured yet", (LEFT + width - RIGHT) / 2, height / 2 - 10, "middle"));
  for (const { key, shape } of LINES) {
    const points = sorted.filter((one) => one[key] !== undefined).map((one) => [x(one.members), y(one[key]), one]);
    if (points.length === 0) continue;
    const group = svg("g", { class: `line ${key}` });
    group.append(svg("polyline", { points: points.map(([px, py]) => `${px},${py}`).join(" ") }));
    for (const [px, py, one] of points) {
      const point = shape(px, py);
      point.classList.add("point");
      const tip = svg("title", {});
      tip.textContent = `${count(one.members)} members: ${measured(one[key])}`;
      point.append(tip);
      group.append(point);
    }
    figure.append(group);
  }
  return figure;
}

/** The mark of a line, for the legend. */
export function mark({ key, shape }) {
  const figure = svg("svg", { viewBox: "0 0 28 12", class: "mark", "aria-hidden": "true" });
  const group = svg("g", { class: `line ${key}` });
  group.append(svg("polyline", { points: "1,6 27,6" }), shape(14, 6));
  figure.append(group);
  return figure;
}

function axes(x, y, width, height) {
  const lines = [];
  for (let power = MEMBERS[0]; power <= MEMBERS[1]; power += 1) {
    const at = x(10 ** power);
    lines.push(svg("line", { class: "grid", x1: at, x2: at, y1: TOP, y2: height - BOTTOM }));
    lines.push(label(short.format(10 ** power), at, height - BOTTOM + 16, "middle"));
  }
  for (let power = TIMES[0]; power <= TIMES[1]; power += 1) {
    const at = y(10 ** power);
    lines.push(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: at, y2: at }));
    lines.push(label(measured(10 ** power).replace(".0", ""), LEFT - 8, at + 4, "end"));
  }
  lines.push(label("members", (LEFT + width - RIGHT) / 2, height - 3, "middle"));
  return lines;
}

function label(text, at, top, anchor) {
  const element = svg("text", { x: at, y: top, "text-anchor": anchor });
  element.textContent = text;
  return element;
}

/** Where a value lies on an axis, from 0 to 1. */
function place(value, [from, to]) {
  return Math.min(1, Math.max(0, (Math.log10(Math.max(value, 0.1)) - from) / (to - from)));
}

function dot(cx, cy) {
  return svg("circle", { cx, cy, r: 4.5 });
}

function ring(cx, cy) {
  return svg("circle", { cx, cy, r: 3.5, class: "hollow" });
}

function square(cx, cy) {
  return svg("rect", { x: cx - 4, y: cy - 4, width: 8, height: 8 });
}

function diamond(cx, cy) {
  return svg("path", { d: `M${cx} ${cy - 4.5}l4.5 4.5l-4.5 4.5l-4.5-4.5z`, class: "hollow" });
}

function round(value) {
  return Math.round(value * 10) / 10;
}

function svg(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
