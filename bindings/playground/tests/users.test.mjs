// Groups, members and messages, acted on as different users.

import assert from "node:assert/strict";

import { onPage, useBrowser } from "./page.mjs";

useBrowser();

const CLUB = "book club";

onPage("at first sight there are users, messages, signals and commands", async (play, page) => {
  for (const name of ["alice", "bob", "carol", "dave"]) assert.equal(await play.user(name).count(), 1);
  assert.equal((await play.messages("carol")).length, 4);
  assert.deepEqual(await play.signals("dave"), ["memberjoin"]);
  assert.equal(await page.locator(".record").count(), 11);
  assert.match(await play.newest.locator(".data").first().textContent(), /^\{ "type": "post", "author": "alice"/);
  assert.match(await play.newest.locator(".cost").textContent(), /^[\d.]+ [µm]s$/);
  assert.equal(await play.sizes(), "2 groups · 5 memberships · 5 messages");
  await play.try("Post a message");
  assert.equal(await play.result(), "200 entry #4");
  assert.equal((await play.messages("bob")).at(-1), "Hello, all!");
});

onPage("create, join, post, edit, erase and leave", async (play, page) => {
  await play.create("dave", "tea");
  assert.equal(await play.result(), "200 stint 6");
  await play.join("carol", "tea");
  assert.equal(await play.result(), "200 stint 7");
  assert.match(await play.user("dave").locator(".members").textContent(), /^2 members: carol, dave \(owner\)$/);

  await play.post("carol", "Green or blak?");
  assert.deepEqual([await play.result(), await play.signals("dave")], ["200 entry #0", ["message", "memberjoin", "memberjoin"]]);
  await play.user("carol").getByRole("listitem").filter({ hasText: "blak" }).first().hover();
  await play.press("Edit message 0 of carol", play.user("carol"));
  await play.user("carol").getByLabel("Message as carol").fill("Green or black?");
  await play.press("Save", play.user("carol"));
  assert.deepEqual(await play.messages("dave"), ["Green or black?"]);
  assert.equal((await play.signals("dave"))[0], "messageedit");
  assert.equal(await play.user("dave").getByText("edited").count(), 1);

  // The owner may erase what a member wrote, and not edit it.
  assert.equal(await play.user("dave").getByRole("button", { name: /^Edit/ }).count(), 0);
  await play.user("dave").locator(".log li").first().hover();
  await play.press("Erase message 0 of carol", play.user("dave"));
  assert.deepEqual(await play.messages("carol"), ["erased by dave"]);
  assert.equal((await play.signals("carol"))[0], "messageerase");

  await play.press("Leave tea as carol", play.user("carol"));
  assert.deepEqual([await play.result(), (await play.signals("dave"))[0]], ["200 left", "memberleave"]);
  assert.equal(await page.locator("#status").textContent(), "carol: leave: done. 1 signal, the first to dave.");
});

onPage("the owner leaves, and the group ends for everyone", async (play) => {
  await play.press("Leave book club as alice", play.user("alice"));
  assert.equal(await play.result(), "200 the group ended and gave back 3 members and 4 messages");
  assert.deepEqual(await play.newest.locator(".to").allTextContents(), ["→ bob, carol", "→ bob, carol"]);
  for (const name of ["bob", "carol"]) {
    assert.deepEqual((await play.signals(name)).slice(0, 2), ["historypurge", "memberkick"]);
    assert.equal(await play.user(name).getByRole("button", { name: CLUB, exact: true }).count(), 0);
  }
  assert.equal(await play.sizes(), "1 group · 2 memberships · 1 message");
  await play.join("dave", CLUB);
  assert.equal(await play.result(), "404 the group was dissolved by alice just now");
});

onPage("actions go by rank, and what is refused can be tried", async (play) => {
  await play.actions("carol", CLUB);
  assert.equal(await play.dialog.getByRole("button", { name: "Kick bob" }).count(), 0);
  assert.equal(await play.dialog.getByRole("button", { name: "Dissolve" }).isVisible(), false);
  await play.dialog.getByLabel("Also offer what will be refused").check();
  await play.press("Kick bob", play.dialog);
  assert.equal(await play.result(), "403 only the owner and admins may do this");

  await play.actions("bob", CLUB);
  await play.press("Kick carol", play.dialog);
  assert.equal((await play.signals("carol"))[0], "memberkick");
  await play.actions("bob", CLUB);
  await play.press("Add carol", play.dialog);
  assert.match(await play.result(), /^200 stint/);

  await play.actions("alice", CLUB);
  await play.press("Make admin carol", play.dialog);
  assert.equal(await play.user("carol").locator(".rank").textContent(), "admin");
  await play.actions("alice", CLUB);
  await play.press("Make owner carol", play.dialog);
  assert.deepEqual([(await play.signals("bob"))[0], await play.user("carol").locator(".rank").textContent()], ["ownerchange", "owner"]);
});

onPage("options, a note and a successor", async (play) => {
  await play.actions("alice", CLUB);
  await play.dialog.getByLabel("New members").selectOption("closed");
  await play.press("Set options", play.dialog);
  assert.equal(await play.user("bob").getByText("closed").count(), 1);
  await play.join("dave", CLUB);
  assert.equal(await play.result(), "403 the group is closed: a member must add you");

  await play.actions("alice", CLUB);
  await play.dialog.getByLabel("Note to the members").fill("Thanks!");
  await play.dialog.getByLabel("Successor").selectOption("chess");
  await play.press("Dissolve", play.dialog);
  assert.match(await play.user("carol").locator(".inbox").textContent(), /historypurge the log is gone: Thanks! → chess/);
  await play.join("dave", CLUB);
  assert.equal(await play.result(), "404 the group was dissolved by alice just now, with the note “Thanks!”; go to chess");

  await play.actions("bob", "chess");
  await play.press("Leave all groups of bob", play.dialog);
  assert.equal(await play.result(), "200 chess: left");
});

onPage("a user is added, with a name of any text", async (play, page) => {
  const name = page.getByLabel("Name of another user");
  await play.press("Add user");
  assert.equal(await page.locator("#users .error").textContent(), "A user needs a name.");
  await name.fill("alice");
  await play.press("Add user");
  assert.equal(await page.locator("#users .error").textContent(), "This user has a column already.");

  // Markup stays text, and controls of direction do not reach what is around them.
  const odd = "<img src=x onerror=alert(1)> \u202eabc";
  await name.fill(odd);
  await play.press("Add user");
  const column = page.getByRole("article").last();
  assert.equal(await column.getByRole("heading", { level: 3 }).locator("bdi").textContent(), odd);
  await column.getByRole("button", { name: "Join book club" }).click();
  await column.getByRole("textbox").fill("<b>bold</b>");
  await column.getByRole("button", { name: "Post" }).click();
  assert.equal((await play.messages("alice")).at(-1), "<b>bold</b>");
  assert.equal(await page.locator("main img, main .said b").count(), 0);
  assert.match(await play.newest.locator(".data").first().textContent(), /\\u202eabc/);

  // Half of a surrogate pair cannot be an id.
  await page.evaluate(() => (document.querySelector(".new input").value = "\ud800"));
  await play.press("Add user");
  assert.equal(await page.locator("#users .error").textContent(), "This name is no valid text.");
});

onPage("a thousand guests join, and long lists are cut off", async (play, page) => {
  await play.actions("alice", CLUB);
  await play.press("Let 1,000 guests join", play.dialog);
  assert.equal(await play.result(), "200 1,000 commands");
  assert.equal(await play.newest.getByText("… and 996 more signals").count(), 1);
  await play.post("alice", "Welcome, all!");
  assert.match(await play.newest.locator(".to").textContent(), /^→ bob, carol, guest 000001, .* and 996 more$/);

  const tree = page.locator(".tree");
  await tree.getByText("book club1,003 members").or(tree.locator("summary", { hasText: "1,003 members" })).first().click();
  await tree.locator("summary", { hasText: /^members 1,003/ }).click();
  assert.equal(await tree.getByText("… and 903 more").count(), 1);
  await play.press("Leave book club as alice", play.user("alice"));
  assert.match(await play.result(), /gave back 1,003 members/);
});
