// Snapshots in the page and in files, and the tree of the state.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import { onPage, useBrowser } from "./page.mjs";

useBrowser();

const SCENE = "2 groups · 5 memberships · 5 messages";

onPage("a snapshot is taken, and one goes back to it", async (play, page) => {
  await play.press("Take a snapshot");
  assert.match(await page.locator(".snapshots .result").textContent(), /^Snapshot 1 taken in [\d.]+ µs\.$/);
  await play.press("+1 min");
  await play.post("alice", "After the snapshot");
  await play.press("Leave book club as alice", play.user("alice"));
  assert.equal(await play.sizes(), "1 group · 2 memberships · 1 message");

  await play.press("Go back to snapshot 1");
  assert.equal(await play.sizes(), SCENE);
  assert.equal((await play.messages("bob")).at(-1), "Chapter 1 by Friday, then.");
  assert.equal(await page.locator(".now").textContent(), "12:00:00.000");
  // It can be gone back to again, and what came after it is a history of its own.
  await play.post("alice", "Another story");
  await play.press("Go back to snapshot 1");
  assert.equal(await play.sizes(), SCENE);
  await play.press("Forget snapshot 1");
  assert.equal(await page.locator(".kept").getByText("None yet").count(), 1);
});

for (const format of ["JSON", "postcard"]) {
  onPage(`a file is saved as ${format} and loaded`, async (play, page) => {
    await play.post("bob", "Keep this 𝒳");
    const file = await save(play, page, format);
    assert.equal(file.name, `playground.${format.toLowerCase()}`);
    await page.reload();
    assert.equal(await play.sizes(), SCENE);
    await load(page, file);
    await page.getByText(/^Loaded 2 groups and 5 memberships from playground\./).first().waitFor();
    assert.equal((await play.messages("carol")).at(-1), "Keep this 𝒳");
  });
}

onPage("a bad file changes nothing", async (play, page) => {
  const good = await save(play, page, "postcard");
  await play.post("bob", "Still here");
  const now = await play.sizes();
  const text = (content, name = "bad.json") => ({ name, buffer: Buffer.from(content) });
  const bad = [
    text(""),
    text("{}"),
    text("hello"),
    text(JSON.stringify({ format: 99 })),
    text("\0\0\0", "bad.postcard"),
    { name: "cut.postcard", buffer: good.buffer.subarray(0, -1) },
    { name: "long.postcard", buffer: Buffer.concat([good.buffer, Buffer.from([0])]) },
    { name: "other.json", buffer: good.buffer },
  ];
  for (const file of bad) {
    await load(page, file);
    await page.locator(".result.error", { hasText: file.name }).waitFor();
    assert.match(await page.locator(".result").textContent(), /was not loaded, and nothing is changed: /);
    assert.equal(await play.sizes(), now);
  }
  await load(page, good);
  await page.locator(".result", { hasText: "Loaded" }).waitFor();
  assert.equal(await play.sizes(), SCENE);
});

onPage("a file of other users gives them columns, and moves the clock to its time", async (play, page) => {
  const file = await save(play, page, "JSON");
  const renamed = file.buffer.toString().replaceAll('"carol"', '"zoe"').replaceAll(/17672684\d+/g, (at) => String(Number(at) + 3_600_000));
  await load(page, { name: "zoe.json", buffer: Buffer.from(renamed) });
  await page.locator(".result", { hasText: "Loaded" }).waitFor();
  assert.equal((await play.messages("zoe")).length, 4);
});

onPage("the tree folds, follows each command and marks what changed", async (play, page) => {
  const tree = page.locator(".tree");
  const node = (text) => tree.locator("summary", { hasText: text }).first();
  assert.equal(await tree.locator(".changed").count(), 0);
  await node("book club").click();
  await node(/^members 3/).click();
  assert.deepEqual(await tree.locator("li.node li.node li.node li.node").allTextContents(), [
    "alice owner, stint 1",
    "bob admin, stint 2",
    "carol member, stint 3",
  ]);
  await play.join("dave", "book club");
  const changed = await tree.locator(".changed > p, .changed > details > summary").allTextContents();
  assert.ok(changed.includes("dave member, stint 6") && changed.includes("members 4"), changed.join("\n"));
  assert.ok(!changed.some((line) => line.startsWith("alice") || line.startsWith("chess")), changed.join("\n"));
  await node(/^members 4/).click();
  assert.equal(await tree.getByText("dave member").count(), 0);
  await node("rate limits").or(node("configuration")).click();
  assert.equal(await tree.getByText("dissolved groups are remembered for 31 days").count(), 1);
});

async function save(play, page, format) {
  const [download] = await Promise.all([page.waitForEvent("download"), play.press(`Save as ${format}`)]);
  return { name: download.suggestedFilename(), buffer: await readFile(await download.path()) };
}

async function load(page, { name, buffer }) {
  await page.getByLabel("Load a file").setInputFiles({ name, mimeType: "application/octet-stream", buffer });
}
