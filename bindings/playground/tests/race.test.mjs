// Large groups, built and dissolved in a worker.

import assert from "node:assert/strict";

import { onPage, useBrowser } from "./page.mjs";

useBrowser();

/** The place of a size on the slider. */
const PLACES = { 10_000: "3", 1_000_000: "9" };

async function choose(page, members) {
  await page.getByLabel("Size of the group").fill(PLACES[members]);
  assert.equal(await page.getByLabel("Size of the group").getAttribute("aria-valuetext"), `${members.toLocaleString("en")} members`);
}

onPage("10,000 members: built, dissolved, and in the chart", async (play, page) => {
  await choose(page, 10_000);
  await play.press("Build and dissolve");
  const told = /^10,000 members: dissolved in [\d.]+ [µm]?s, with two signals, each for 9,999 users\. The naive Map takes/;
  await page.getByText(told).first().waitFor();
  const cells = await page.locator(".times tbody tr").locator("th, td").allTextContents();
  assert.equal(cells[0], "10,000");
  for (const cell of cells.slice(1)) assert.match(cell, /^[\d.]+ (µs|ms|s)$/);
  for (const line of ["dissolved", "freed", "built", "naive"]) {
    assert.equal(await page.locator(`.chart .${line} .point`).count(), 1, line);
  }
  assert.match(await page.locator(".chart .dissolved .point title").textContent(), /^10,000 members: /);
});

onPage("all sizes, without the naive version", async (play, page) => {
  await choose(page, 10_000);
  await page.getByLabel("Beside a naive Map").uncheck();
  await play.press("All sizes up to 10,000");
  await page.getByText(/^10,000 members: dissolved/).first().waitFor();
  const sizes = await page.locator(".times tbody th").allTextContents();
  assert.deepEqual(sizes, ["10", "100", "1,000", "10,000"]);
  assert.equal(await page.locator(".chart .dissolved .point").count(), 4);
  assert.equal(await page.locator(".chart .naive").count(), 0);
}, { widths: [390] });

onPage("a million is cancelled, while the page goes on", async (play, page) => {
  await choose(page, 1_000_000);
  await play.press("Build and dissolve");
  await page.getByText(/^1,000,000 members: members join/).waitFor();
  await page.waitForFunction(() => document.querySelector("progress").value > 0);
  await play.post("alice", "Meanwhile");
  assert.match(await play.result(), /^200 entry/);
  await play.press("Cancel");
  assert.equal(await page.locator(".race .state").textContent(), "Cancelled. Its memory is given back.");
  assert.equal(await page.locator(".chart .point").count(), 0);
  await choose(page, 10_000);
  await play.press("Build and dissolve");
  await page.getByText(/^10,000 members: dissolved/).first().waitFor();
});

onPage("memory that runs out is told, and the page goes on", async (play, page) => {
  await choose(page, 1_000_000);
  await play.press("Build and dissolve");
  await page.locator(".race .state.error").waitFor();
  assert.match(await page.locator(".race .state").textContent(), /^The memory of this browser is not enough for 1,000,000 members\./);
  await play.post("alice", "Still here");
  assert.match(await play.result(), /^200 entry/);
}, { widths: [1440], prepare: limitMemory });

/** Gives the WebAssembly module at most 16 MiB. */
async function limitMemory(page) {
  await page.route("**/*.wasm", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: withMaximum(await response.body(), 256) });
  });
}

/** The module with another section 5: one memory of its own minimum and at most `pages` of 64 KiB. */
function withMaximum(wasm, pages) {
  let at = 8;
  while (wasm[at] !== 5) at = number(wasm, at + 1).end + number(wasm, at + 1).value;
  const { value: length, end } = number(wasm, at + 1);
  const { value: minimum } = number(wasm, end + 2);
  const memory = [1, 1, ...leb(minimum), ...leb(pages)];
  return Buffer.concat([wasm.subarray(0, at + 1), Buffer.from([...leb(memory.length), ...memory]), wasm.subarray(end + length)]);
}

/** The LEB128 number at that place, and where it ends. */
function number(bytes, at) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 127) << shift;
    if (byte < 128) return { value, end: at };
  }
}

function leb(value) {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb(value >> 7)];
}
