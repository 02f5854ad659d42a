// The examples and the code in the README run, and histories give the bytes that are recorded.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { fileURLToPath } from "node:url";

import { Engine } from "disband";

const FOLDER = fileURLToPath(new URL("../", import.meta.url));
const GOLDEN = fileURLToPath(new URL("../../../examples/replay/golden/", import.meta.url));

const folder = mkdtempSync(join(tmpdir(), "disband-"));
after(() => rmSync(folder, { recursive: true }));

function run(...given) {
  return execFileSync(process.execPath, given, { cwd: FOLDER, encoding: "utf8", maxBuffer: 2 ** 28 });
}

test("the code in the README", () => {
  const [, code] = readFileSync(join(FOLDER, "README.md"), "utf8").match(/```js\n(.*?)```/s);
  assert.deepEqual(run("--input-type=module", "--eval", code).split("\n"), [
    "to alice: memberjoin of bob",
    '403 not_admin {"ok":false,"code":403,"msg":"GRPS_403","data":{"reason":"not_admin"}}',
    "",
  ]);
});

test("chat", () => {
  assert.deepEqual(run("examples/chat.mjs").split("\n"), [
    "to alice: bob joined",
    "to alice: bob says hello",
    "to bob: alice dissolved rust",
    "to bob: historypurge",
    "refused: 404 dissolved: the group was dissolved by alice at 4000",
    "",
  ]);
});

test("figures", () => {
  const lines = run("examples/figures.mjs", "--quick").trimEnd().split("\n");
  assert.deepEqual(
    lines.map((line) => line.replace(/\t[\d.e+]+\t/, " in ")),
    [
      "post in ns",
      "post_decoded in ns",
      "dissolve in µs",
      "dissolve_free in ms",
      "audience in ns",
      "snapshot_write in ms",
      "snapshot_read in ms",
      "snapshot_bytes in bytes",
      "clone in ns",
    ],
  );
});

test("recorded histories give the recorded bytes", () => {
  const names = readdirSync(GOLDEN).filter((name) => name.endsWith(".out.jsonl"));
  assert.ok(names.length >= 2);
  cpSync(GOLDEN, folder, { recursive: true });
  run("examples/replay.mjs", "--all", folder);
  for (const name of names) {
    const history = name.replace(".out.jsonl", "");
    const recorded = readFileSync(join(GOLDEN, name), "utf8");
    assert.equal(readFileSync(join(folder, `${history}.js.out`), "utf8"), recorded);
    const out = join(folder, "engine.json");
    assert.equal(run("examples/replay.mjs", "--snapshot-out", out, join(GOLDEN, `${history}.jsonl`)), recorded);
    assert.deepEqual(readFileSync(out), readFileSync(join(folder, `${history}.js.json`)));
    const [json, postcard] = ["json", "postcard"].map((format) =>
      Engine.load("numbers", readFileSync(join(folder, `${history}.js.${format}`)), format),
    );
    assert.ok(json.equals(postcard));
  }
});

test("a history with large integers, a configuration, and an invalid line", () => {
  const file = (name, lines) => {
    writeFileSync(join(folder, name), lines);
    return join(folder, name);
  };
  const max = "18446744073709551615";
  const config = file("large.config", '{"departures":0,"quotas":{"join":"unlimited","post":{"limited":{"cells":1,"per_ms":18446744073709551615,"burst":1}}}}');
  const history = file(
    "large",
    [
      `{"at":${max},"command":{"create":{"owner":"${max}","group":"7","options":{"keep_ms":${max}}}}}`,
      `{"at":${max},"command":{"post":{"author":"${max}","group":"7","message":"1234567890123456789"}}}`,
      `{"at":9007199254740993,"command":{"post":{"author":"${max}","group":"7","message":"x"}}}`,
      `{"at":0,"config":{"instance":5}}`,
      `{"at":0,"config":{"limits":{"note_bytes":9007199254740993}}}`,
    ].join("\n"),
  );
  const out = join(folder, "large.json");
  const lines = run("examples/replay.mjs", "--config", config, "--snapshot-out", out, history).trimEnd().split("\n");
  assert.equal(lines[0], '{"reply":{"ok":true,"code":200,"msg":"OK","data":{"stint":1}},"signals":[]}');
  assert.match(lines[1], /"ok":true/);
  assert.match(lines[2], new RegExp(`"code":429,.*"retry_at":${max}`));
  assert.match(lines[3], /^{"error":"the instance number cannot change/);
  assert.equal(lines[4], '{"config":"set"}');
  const snapshot = readFileSync(out, "utf8");
  for (const part of [`"keep_ms":${max}`, `"owner":"${max}"`, `"note_bytes":9007199254740993`, '"1234567890123456789"']) {
    assert.ok(snapshot.includes(part), `${part} in ${snapshot}`);
  }

  const invalid = file("invalid", '{"at":1,"command":{"join":{"user":"1","group":"7"}}}\n{"at":1}\n');
  const { status, stdout, stderr } = spawnSync(process.execPath, ["examples/replay.mjs", invalid], { cwd: FOLDER, encoding: "utf8" });
  assert.deepEqual([status, stdout.split("\n").length], [2, 2]);
  assert.match(stderr, /^replay: line 2: missing field `command`/);
});
