// Pages to test: a server for the playground, a browser, and what every test expects of a page.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

/** The folder of the playground. */
export const FOLDER = fileURLToPath(new URL("..", import.meta.url));

/** The arguments of cargo that run the playground with the package that is built already. */
export const PROGRAM = "run --quiet --package disband-playground -- --package".split(" ");
PROGRAM.push(process.env.PACKAGE ?? "../javascript/pkg");

/** A desktop and a phone. */
export const WIDTHS = [1440, 390];

let server;
let browser;
let address;

/** Starts the server and the browser, and stops them after the tests of the file. */
export function useBrowser() {
  before(async () => {
    [address, browser] = await Promise.all([serve(), launch()]);
  });
  after(async () => {
    await browser?.close();
    server?.kill();
  });
}

/** A browser, for which `CHROMIUM` may say where it is. */
export function launch() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-quic"] });
}

/** Starts the playground's own server, with the package that is built already. Returns its address. */
export function serve() {
  server = spawn("cargo", [...PROGRAM, "--port", "0"], { cwd: FOLDER, stdio: ["ignore", "pipe", "inherit"] });
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.on("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    server.stdout.setEncoding("utf8");
    server.stdout.on("data", (line) => resolve(line.match(/http:\S+/)[0]));
  });
}

/** Stops the server that `serve` has started. */
export function stopServing() {
  server.kill();
}

/**
 * A test on a fresh page, once for each width. Afterwards there must be no error on the console, no
 * request to another host, and nothing wider than the window.
 */
export function onPage(name, act, { widths = WIDTHS, scheme = "light", prepare = () => {} } = {}) {
  for (const width of widths) {
    test(`${name}, ${width} px`, { timeout: 180_000 }, async () => {
      const context = await browser.newContext({
        viewport: { width, height: 900 },
        colorScheme: scheme,
        hasTouch: width < 600,
        reducedMotion: "reduce",
      });
      const problems = [];
      context.on("request", (request) => {
        const { protocol, origin } = new URL(request.url());
        if (protocol !== "blob:" && origin !== address) problems.push(`request to ${request.url()}`);
      });
      context.on("console", (line) => {
        if (["error", "warning"].includes(line.type())) problems.push(line.text());
      });
      context.on("weberror", (error) => problems.push(String(error.error())));
      const page = await context.newPage();
      page.setDefaultTimeout(60_000);
      await prepare(page);
      await page.goto(address);
      await page.getByRole("heading", { name: "The whole state" }).waitFor();
      try {
        await act(new Playground(page), page);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `the page is ${wide} px too wide`);
        assert.equal(await page.locator("#problem").textContent(), "");
        assert.deepEqual(problems, []);
      } finally {
        await context.close();
      }
    });
  }
}

/** The playground as a user sees it. */
export class Playground {
  constructor(page) {
    this.page = page;
  }

  /** The column of a user. */
  user(name) {
    return this.page.getByRole("article", { name, exact: true });
  }

  /** The newest record of the timeline. */
  get newest() {
    return this.page.locator(".record").first();
  }

  /** The dialog that is open. */
  get dialog() {
    return this.page.getByRole("dialog");
  }

  /** The messages that a user reads in the chosen group. */
  async messages(name) {
    return this.user(name).locator(".said").allTextContents();
  }

  /** The types of the signals that a user got, the newest first. */
  async signals(name) {
    return this.user(name).locator(".inbox b").allTextContents();
  }

  async press(name, scope = this.page) {
    await scope.getByRole("button", { name, exact: true }).click();
  }

  /** Presses one of the buttons with things to try. */
  async try(label) {
    await this.page.getByRole("navigation", { name: "Try" }).getByRole("button", { name: label }).click();
  }

  async post(name, message) {
    await this.user(name).getByLabel(`Message as ${name}`).fill(message);
    await this.press("Post", this.user(name));
  }

  async create(name, group, options = {}) {
    await this.press(`Create or join a group as ${name}`, this.user(name));
    await this.dialog.getByLabel("Name of the group").fill(group);
    if (Object.keys(options).length > 0) await this.dialog.getByText("Options").click();
    for (const [label, choice] of Object.entries(options)) await this.dialog.getByLabel(label).selectOption(choice);
    await this.press("Create", this.dialog);
  }

  /** Joins by the id of the group. */
  async join(name, group) {
    await this.press(`Create or join a group as ${name}`, this.user(name));
    await this.dialog.getByLabel("Any id").fill(group);
    await this.press("Join", this.dialog);
  }

  /** Opens the dialog with the actions of a user in a group. */
  async actions(name, group) {
    await this.press(`More actions of ${name} in ${group}`, this.user(name));
  }

  /** What the newest record says: its code and its text. */
  async result() {
    const line = this.newest.locator(".reply");
    const [code, text] = await Promise.all([line.locator("b").textContent(), line.locator("span").first().textContent()]);
    return `${code} ${text}`;
  }

  /** The sizes of the state: groups, memberships and messages. */
  sizes() {
    return this.page.locator(".tree > header > p").textContent();
  }
}
