// What ends when time passes: the clock of the page is moved by hand.

import assert from "node:assert/strict";

import { onPage, useBrowser } from "./page.mjs";

useBrowser();

const CLUB = "book club";

onPage("too fast is refused, until the time has come", async (play, page) => {
  await play.try("Post too fast");
  assert.equal(await play.result(), "429 too fast: try again in 250 ms");
  await play.post("carol", "Now?");
  assert.match(await play.result(), /^429 /);
  assert.equal(await play.user("carol").getByLabel("Message as carol").inputValue(), "Now?", "a refused message stays");
  await play.press("Wait 250 ms and try again", play.newest);
  assert.match(await play.result(), /^200 entry/);
  await play.post("carol", "And now?");
  assert.match(await play.result(), /^429 /);
  await play.press("+1 s");
  await play.post("carol", "And now?");
  assert.match(await play.result(), /^200 entry/);
  assert.equal(await page.locator(".now").textContent(), "12:00:01.250");
});

onPage("a ban and a mute end", async (play) => {
  await play.actions("bob", CLUB);
  await play.press("Ban carol", play.dialog);
  await play.join("carol", CLUB);
  assert.equal(await play.result(), "403 banned by bob, for another 1 min");
  await play.press("+1 min");
  await play.join("carol", CLUB);
  assert.match(await play.result(), /^200 stint/);

  await play.actions("alice", CLUB);
  await play.dialog.getByLabel("Bans and mutes last").selectOption("1 hour");
  await play.press("Mute carol", play.dialog);
  assert.match(await play.user("carol").locator(".flag").textContent(), /^muted until 13:01/);
  await play.post("carol", "Hm?");
  assert.equal(await play.result(), "403 muted by alice, for another 1 h");
  await play.press("+1 h");
  assert.equal(await play.user("carol").locator(".flag").count(), 0);
  await play.press("Post", play.user("carol"));
  assert.match(await play.result(), /^200 entry/);
});

onPage("a dissolved group is forgotten after 31 days", async (play, page) => {
  await play.press("Leave book club as alice", play.user("alice"));
  await page.locator(".tree summary", { hasText: "dissolved groups" }).click();
  assert.equal(await page.locator(".tree .node", { hasText: "by alice at 12:00:00.000" }).count() > 0, true);
  await play.create("dave", CLUB);
  assert.equal(await play.result(), "409 the group id is reserved for another 31 days");
  await play.press("+31 days");
  await play.create("dave", CLUB);
  assert.match(await play.result(), /^200 stint/);
});

onPage("messages are kept for as long as the options say", async (play) => {
  await play.actions("alice", CLUB);
  await play.dialog.getByLabel("Messages kept for").selectOption("1 hour");
  await play.press("Set options", play.dialog);
  assert.equal((await play.messages("bob")).length, 4);
  await play.press("+1 h");
  assert.equal((await play.messages("bob")).length, 0);
});

onPage("the clock runs and stops", async (play, page) => {
  await play.press("Run");
  await page.waitForFunction(() => document.querySelector(".now").textContent > "12:00:00.300");
  await play.press("Stop");
  const stopped = await page.locator(".now").textContent();
  await page.waitForTimeout(300);
  assert.equal(await page.locator(".now").textContent(), stopped);
});
