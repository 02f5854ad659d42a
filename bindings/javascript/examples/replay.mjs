// Runs a history of commands through the engine, as the Rust program `disband-replay` does, and prints
// the same bytes.
//
//   node replay.mjs [--config FILE] [--snapshot-out FILE] HISTORY
//   node replay.mjs --all FOLDER
//
// A line is {"at":…,"command":{…}} or {"at":…,"config":{…}}. With --all, each NAME.jsonl of a folder is
// run with NAME.config.json, if there is one, and NAME.js.out, NAME.js.json and NAME.js.postcard are
// written. An invalid line ends the run with status 2.

import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { ConfigError, Engine, Refusal } from "disband";

const { values: options, positionals } = parseArgs({
  options: {
    all: { type: "string" },
    config: { type: "string" },
    "snapshot-out": { type: "string" },
  },
  allowPositionals: true,
});

function replayOne(history) {
  const format = options["snapshot-out"]?.match(/\.(json|postcard)$/)?.[1];
  if (options["snapshot-out"] !== undefined && format === undefined) {
    throw new Error("a snapshot's name ends in .json or .postcard");
  }
  const engine = Engine.withNumbers(configuration(options.config));
  for (const line of replay(engine, history)) process.stdout.write(line);
  if (format !== undefined) writeFileSync(options["snapshot-out"], engine.save(format));
  engine.free();
}

function replayAll(folder) {
  const histories = readdirSync(folder).filter((name) => name.endsWith(".jsonl") && !name.endsWith(".out.jsonl"));
  for (const history of histories) {
    const name = join(folder, history.slice(0, -".jsonl".length));
    const config = `${name}.config.json`;
    const engine = Engine.withNumbers(configuration(existsSync(config) ? config : undefined));
    writeFileSync(`${name}.js.out`, [...replay(engine, join(folder, history))].join(""));
    for (const format of ["json", "postcard"]) writeFileSync(`${name}.js.${format}`, engine.save(format));
    engine.free();
  }
}

function configuration(file) {
  return file === undefined ? {} : toConfig(parse(readFileSync(file, "utf8")));
}

/** The answers to a history, line by line. */
function* replay(engine, file) {
  const lines = readFileSync(file, "utf8").split("\n");
  if (lines.at(-1) === "") lines.pop();
  for (const [index, line] of lines.entries()) {
    let answer;
    try {
      answer = step(engine, parse(line));
    } catch (error) {
      throw new Error(`line ${index + 1}: ${error.message}`);
    }
    yield `${answer}\n`;
  }
}

function step(engine, { at, command, config, ...unknown }) {
  const others = Object.keys(unknown);
  if (others.length > 0) throw new Error(`unknown field ${others[0]}`);
  if ((command ?? null) === null && (config ?? null) === null) {
    throw new Error("missing field `command`, or `config`");
  }
  if ((command ?? null) !== null && (config ?? null) !== null) {
    throw new Error("both `command` and `config`");
  }
  return (command ?? null) === null ? configure(engine, config) : run(engine, toCommand(command), at);
}

function configure(engine, config) {
  try {
    engine.setConfig(toConfig(config));
    return '{"config":"set"}';
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return JSON.stringify({ error: error.message });
  }
}

function run(engine, command, at) {
  let outcome;
  try {
    outcome = engine.apply(command, at);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return `{"reply":${error.reply()},"signals":[]}`;
  }
  const signals = outcome.signals.map((signal) => {
    const to = Array.from(signal.audience, (user) => `"${user}"`);
    return `{"frame":${signal.frame()},"to":[${to}]}`;
  });
  const line = `{"reply":${outcome.reply()},"signals":[${signals}]}`;
  outcome.free();
  return line;
}

// The JSON of histories has the names of Rust, ids as strings, and integers up to 2^64 - 1.

/** JSON.parse that loses no digit of an integer: large ones become bigints. */
function parse(json) {
  const marked = json.replace(/"(?:[^"\\]|\\.)*"|-?\d{16,}/g, (token) =>
    token.startsWith('"') ? token : `{"bigint":"${token}"}`,
  );
  return JSON.parse(marked, (_, value) =>
    value !== null && typeof value === "object" && typeof value.bigint === "string"
      ? BigInt(value.bigint)
      : value,
  );
}

const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

function renamed(value) {
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [camel(name), renamed(field)]));
}

function toConfig(config) {
  const { quotas, ...rest } = renamed(config);
  if (quotas === undefined) return rest;
  const rate = (quota) => (typeof quota === "string" ? quota : quota.limited);
  return {
    ...rest,
    quotas: Object.fromEntries(Object.entries(quotas).map(([name, quota]) => [name, rate(quota)])),
  };
}

const IDS = ["owner", "user", "by", "author", "group", "successor"];

function toCommand(command) {
  const [[type, fields]] = Object.entries(renamed(command));
  for (const name of IDS) if (typeof fields[name] === "string") fields[name] = BigInt(fields[name]);
  return { ...fields, type };
}

try {
  if (options.all !== undefined) replayAll(options.all);
  else replayOne(positionals[0] ?? "/dev/stdin");
} catch (error) {
  console.error(`replay: ${error.message}`);
  process.exitCode = 2;
}
