"""Runs a history of commands through the engine, as `disband-replay` does, with the same output.

    replay.py [--config FILE] [--snapshot-out FILE] HISTORY
    replay.py --all FOLDER

An input line is a command, `{"at":…,"command":{…}}`, or a change of the configuration,
`{"at":…,"config":{…}}`. With `--all`, every NAME.jsonl in the folder is run, with NAME.config.json as its
configuration if there is one; the answers go to NAME.py.out, and the snapshots to NAME.py.json and
NAME.py.postcard.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from disband import Config, Engine, GroupOptions, Operation, Rank, Refused, commands
from disband.commands import Command


def command_of(tagged: dict[str, dict[str, Any]]) -> Command[Any, int]:
    """The command with these fields. In JSON, ids are strings of decimal digits."""
    [(name, fields)] = tagged.items()

    def field(name: str, value: Any) -> Any:
        if value is None:
            return None
        if name in ("owner", "user", "by", "author", "group", "successor"):
            return int(value)
        if name == "options":
            return GroupOptions.from_dict(value)
        return Rank(value) if name == "rank" else value

    return commands.BY_OPERATION[Operation(name)](
        **{name: field(name, value) for name, value in fields.items()}
    )


def config_of(fields: dict[str, Any]) -> Config:
    return Config.from_dict(fields)


def answers(engine: Engine[int], lines: Iterable[str]) -> Iterator[str]:
    """The answer to each line."""
    for line in lines:
        step = json.loads(line)
        if "config" in step:
            yield set_config(engine, config_of(step["config"]))
        else:
            yield run(engine, command_of(step["command"]), step["at"])


def set_config(engine: Engine[int], config: Config) -> str:
    try:
        engine.set_config(config)
    except ValueError as error:
        return f'{{"error":{json.dumps(str(error))}}}'
    return '{"config":"set"}'


def run(engine: Engine[int], command: Command[Any, int], now: int) -> str:
    try:
        outcome = engine.apply(command, now)
    except Refused as refused:
        return f'{{"reply":{refused.reply(now)},"signals":[]}}'
    signals = []
    for signal in outcome.signals:
        to = ",".join(f'"{user}"' for user in signal.audience)
        signals.append(f'{{"frame":{signal.frame()},"to":[{to}]}}')
    return f'{{"reply":{outcome.reply()},"signals":[{",".join(signals)}]}}'


def load_config(path: Path | None) -> Config:
    return Config() if path is None else config_of(json.loads(path.read_text("utf-8")))


def format_of(path: Path) -> Literal["json", "postcard"]:
    if path.suffix == ".json":
        return "json"
    if path.suffix == ".postcard":
        return "postcard"
    raise SystemExit("replay: a snapshot's name ends in .json or .postcard")


def replay_all(folder: Path) -> None:
    for history in sorted(folder.glob("*.jsonl")):
        name = history.name.removesuffix(".jsonl")
        config = folder / f"{name}.config.json"
        with Engine(int, load_config(config if config.exists() else None)) as engine:
            with history.open(encoding="utf-8") as lines:
                with (folder / f"{name}.py.out").open("w", encoding="utf-8") as out:
                    out.writelines(f"{answer}\n" for answer in answers(engine, lines))
            (folder / f"{name}.py.json").write_bytes(engine.save("json"))
            (folder / f"{name}.py.postcard").write_bytes(engine.save("postcard"))


def main() -> None:
    parser = argparse.ArgumentParser(description="Runs a history of commands through the engine.")
    parser.add_argument("history", type=Path, nargs="?")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--snapshot-out", type=Path)
    parser.add_argument("--all", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    if options.all is not None:
        return replay_all(options.all)
    if options.history is None:
        parser.error("a history, or --all, is needed")
    format = format_of(options.snapshot_out) if options.snapshot_out else None
    engine = Engine(int, load_config(options.config))
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    with options.history.open(encoding="utf-8") as lines:
        for answer in answers(engine, lines):
            print(answer)
    if format is not None:
        options.snapshot_out.write_bytes(engine.save(format))


if __name__ == "__main__":
    main()
