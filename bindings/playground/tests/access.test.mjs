// Use by keyboard and by screen reader, at both widths and in both schemes.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

import { onPage, useBrowser } from "./page.mjs";

useBrowser();

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe finds in a part of the page, as lines to read. */
async function faults(page, part = "html") {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate((part) => axe.run(part, { resultTypes: ["violations"] }), part);
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id} ${target} ${failureSummary}`));
}

for (const scheme of ["light", "dark"]) {
  onPage(`axe finds nothing in the ${scheme} scheme`, async (play, page) => {
    assert.deepEqual(await faults(page), [], "at first sight");

    await play.try("Post a message");
    await play.join("dave", "nowhere");
    assert.equal(await play.result(), "404 no such group");
    await play.press("Take a snapshot");
    await play.press("Add user");
    await page.getByLabel("Size of the group").fill("1");
    await play.press("Build and dissolve");
    await page.getByText(/: dissolved in/).first().waitFor();
    await page.locator(".tree summary", { hasText: "rate cells" }).click();
    await page.locator(".record summary").first().click();
    assert.deepEqual(await faults(page), [], "after some commands");

    await play.actions("alice", "book club");
    await play.dialog.getByLabel("Also offer what will be refused").check();
    assert.deepEqual(await faults(page, "dialog"), [], "with the actions");
    await play.press("Mute carol", play.dialog);
    await play.press("Create or join a group as alice", play.user("alice"));
    await play.dialog.getByText("Options").click();
    assert.deepEqual(await faults(page, "dialog"), [], "with the groups");
    await play.press("Close", play.dialog);

    await play.try("Let the owner leave");
    assert.deepEqual(await faults(page), [], "after the end of a group");
  }, { scheme });
}

onPage("a group is created and a message posted by keyboard alone", async (play, page) => {
  const { keyboard } = page;
  const focus = async (name, key = "Tab") => {
    for (let presses = 0; presses < 40; presses += 1) {
      await keyboard.press(key);
      const focused = await page.evaluate(() => {
        const { ariaLabel, labels, textContent } = document.activeElement;
        return ariaLabel ?? labels?.[0]?.textContent ?? textContent;
      });
      if (focused === name) return;
    }
    assert.fail(`${key} does not reach ${name}`);
  };
  await focus("Create or join a group as alice");
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "none");
  await keyboard.press("Enter");
  await keyboard.type("knitting");
  await keyboard.press("Enter");
  assert.match(await play.result(), /^200 stint/);
  // The focus is where it was before the dialog.
  assert.equal(await page.evaluate(() => document.activeElement.ariaLabel), "Create or join a group as alice");
  await focus("Message as alice");
  await keyboard.type("Hello by keyboard");
  await keyboard.press("Enter");
  assert.match(await play.result(), /^200 entry/);
  assert.deepEqual(await play.messages("alice"), ["Hello by keyboard"]);
  assert.equal(await page.evaluate(() => document.activeElement.labels[0].textContent), "Message as alice");
  // Escape closes a dialog.
  await focus("More actions of alice in knitting", "Shift+Tab");
  await keyboard.press("Enter");
  await play.dialog.waitFor();
  await keyboard.press("Escape");
  assert.equal(await play.dialog.count(), 0);
});

onPage("nothing is wider than a small phone", async (play) => {
  await play.actions("alice", "book club");
  await play.press("Close", play.dialog);
  await play.try("Let the owner leave");
}, { widths: [360] });
