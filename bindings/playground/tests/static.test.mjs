// The site as files, in a folder of a plain static server that knows no type for WebAssembly.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { test } from "node:test";

import { FOLDER, PROGRAM, launch } from "./page.mjs";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

test("the files work on any static server, also in a folder", { timeout: 180_000 }, async () => {
  const site = await mkdtemp(join(tmpdir(), "playground-"));
  assert.match(execFileSync("cargo", [...PROGRAM, "--out", site], { cwd: FOLDER, encoding: "utf8" }), /^wrote \d+ files/);
  const server = createServer(async ({ url }, response) => {
    const path = url.replace(/^\/some\/folder\//, "") || "index.html";
    const body = await readFile(join(site, path)).catch(() => null);
    response.writeHead(body ? 200 : 404, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" });
    response.end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const browser = await launch();
  try {
    const page = await browser.newPage();
    const missing = [];
    page.on("response", (response) => response.ok() || missing.push(response.url()));
    await page.goto(`http://127.0.0.1:${server.address().port}/some/folder/`);
    await page.getByRole("article", { name: "alice" }).waitFor();
    await page.getByLabel("Size of the group").fill("1");
    await page.getByRole("button", { name: "Build and dissolve" }).click();
    await page.getByText(/^100 members: dissolved/).first().waitFor();
    assert.deepEqual(missing, []);
  } finally {
    await browser.close();
    server.close();
    await rm(site, { recursive: true });
  }
});
