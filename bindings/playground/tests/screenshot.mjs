// Takes the picture for the project's README: playground.png, 1280 pixels wide.

import { FOLDER, Playground, launch, serve, stopServing } from "./page.mjs";

/** The page is laid out on a larger window, and the picture is made smaller. */
const WINDOW = { width: 1600, height: 790 };
const PICTURE = 1280;

const address = await serve();
const browser = await launch();
try {
  await take();
} finally {
  await browser.close();
  stopServing();
}

async function take() {
  const page = await browser.newPage({
    viewport: WINDOW,
    deviceScaleFactor: PICTURE / WINDOW.width,
    colorScheme: "light",
    reducedMotion: "reduce",
  });
  await page.goto(address);
  const play = new Playground(page);
  await page.getByLabel("Size of the group").fill("9");
  await page.getByRole("button", { name: /^All sizes/ }).click();
  await page.locator(".state", { hasText: /^1,000,000 members: dissolved|not enough|not work/ }).waitFor({ timeout: 300_000 });
  await play.press("+1 s");
  await play.post("bob", "Who brings the cake?");
  await play.press("+1 s");
  await play.join("dave", "book club");
  await play.post("dave", "Me!");
  await play.actions("carol", "book club");
  await play.dialog.getByLabel("Also offer what will be refused").check();
  await play.press("Kick alice", play.dialog);
  await page.evaluate(() => {
    document.activeElement.blur();
    scrollTo(0, 0);
  });
  const { y, height } = await page.locator("#race").boundingBox();
  const clip = { x: 0, y: 0, width: WINDOW.width, height: y + height + 8 };
  await page.screenshot({ path: `${FOLDER}playground.png`, fullPage: true, clip });
}
