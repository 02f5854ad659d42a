// The other tests in a browser, served as static files; and the package with a server that sends another
// type for WebAssembly.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname } from "node:path";
import test, { after, before } from "node:test";

import { chromium } from "playwright-core";

const FOLDER = new URL("../", import.meta.url);
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };

/** Serves the folder. Paths that begin with /plain/ have no type for WebAssembly. */
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  const plain = pathname.startsWith("/plain/");
  const file = new URL(`.${plain ? pathname.slice("/plain".length) : pathname}`, FOLDER);
  if (!file.href.startsWith(FOLDER.href) || !existsSync(file)) {
    response.writeHead(404).end();
    return;
  }
  const type = TYPES[extname(pathname)] ?? "application/octet-stream";
  response.setHeader("content-type", plain && type === "application/wasm" ? "text/plain" : type);
  response.end(readFileSync(file));
});

let browser;
let origin;

before(async () => {
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  origin = `http://127.0.0.1:${server.address().port}`;
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
});

after(async () => {
  await browser?.close();
  server.close();
});

async function open(path) {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(`${error}`));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(origin) && !url.startsWith("data:")) errors.push(`a request to ${url}`);
  });
  await page.goto(`${origin}${path}`);
  return { page, errors };
}

test("the tests of commands, arguments, lifetimes, snapshots and the model", { timeout: 120_000 }, async () => {
  const { page, errors } = await open("/tests/browser/index.html");
  const results = await page.evaluate(async () => {
    for (const name of ["commands", "arguments", "lifetime", "snapshots", "model"]) {
      await import(`/tests/${name}.test.mjs`);
    }
    const { run } = await import("/tests/browser/test.js");
    return run();
  });
  assert.deepEqual(errors, []);
  assert.ok(results.length > 70, `${results.length} tests`);
  assert.deepEqual(results.filter(({ error }) => error !== undefined), []);
});

test("a server that sends another type for WebAssembly is good enough", async () => {
  const { page, errors } = await open("/plain/tests/browser/index.html");
  const owner = await page.evaluate(async () => {
    const { Engine } = await import("/plain/pkg/browser.js");
    const engine = Engine.withText();
    engine.create("alice", "rust", 1_000).free();
    return engine.group("rust").owner;
  });
  assert.deepEqual([owner, errors], ["alice", []]);
});
