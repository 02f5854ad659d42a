"""The programs in `examples/`, and the histories that all bindings share."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from disband import Engine

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
GOLDEN = HERE.parents[2] / "examples" / "replay" / "golden"
HISTORIES = sorted(path.name.removesuffix(".jsonl") for path in GOLDEN.glob("*.jsonl"))
HISTORIES = [name for name in HISTORIES if not name.endswith(".out")]


def run(*arguments: str | Path, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, timeout=120, check=False
    )
    assert done.returncode == status, done.stderr.decode()
    return done.stdout.decode()


def test_there_are_histories() -> None:
    assert "irc" in HISTORIES and "moderation" in HISTORIES


@pytest.mark.parametrize("name", HISTORIES)
def test_replay_gives_the_answers_of_the_engine(name: str, tmp_path: Path) -> None:
    snapshot = tmp_path / "engine.json"
    out = run(EXAMPLES / "replay.py", "--snapshot-out", snapshot, GOLDEN / f"{name}.jsonl")
    assert out == (GOLDEN / f"{name}.out.jsonl").read_text("utf-8")
    Engine.load(int, snapshot.read_bytes(), "json").check()


def test_replay_of_a_folder(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "irc.jsonl", tmp_path)
    steps = [
        {"at": 2**64 - 1, "command": {"create": {"owner": "1", "group": "7"}}},
        {"at": 5, "config": {"instance": 6}},
        {"at": 5, "config": {"instance": 5, "quotas": {"join": "unlimited"}}},
        {
            "at": 5,
            "command": {"set_options": {"by": "1", "group": "7", "options": {"post": "admin"}}},
        },
        {"at": 5, "command": {"leave": {"user": "1", "group": "7", "stint": 2**64 - 1}}},
    ]
    history = tmp_path / "small.jsonl"
    history.write_text("".join(f"{json.dumps(step)}\n" for step in steps))
    (tmp_path / "small.config.json").write_text('{"instance":5}')
    assert run(EXAMPLES / "replay.py", "--all", tmp_path) == ""
    assert (tmp_path / "irc.py.out").read_bytes() == (GOLDEN / "irc.out.jsonl").read_bytes()
    created, other, set_, configured, left = (tmp_path / "small.py.out").read_text().splitlines()
    assert created == '{"reply":{"ok":true,"code":200,"msg":"OK","data":{"stint":1}},"signals":[]}'
    assert other.startswith('{"error":"the instance number cannot change: it is 5')
    assert set_ == '{"config":"set"}'
    assert configured == '{"reply":{"ok":true,"code":200,"msg":"OK"},"signals":[]}'
    assert json.loads(left)["reply"]["data"] == {"reason": "not_member", "absence": "stint_over"}
    for name in ("irc", "small"):
        engine = Engine.load(int, (tmp_path / f"{name}.py.json").read_bytes(), "json")
        assert engine.save() == (tmp_path / f"{name}.py.postcard").read_bytes()
    assert engine.config.quotas.join is None


def test_replay_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    run(EXAMPLES / "replay.py", status=2)
    run(EXAMPLES / "replay.py", "--snapshot-out", "engine.txt", GOLDEN / "irc.jsonl", status=1)


def test_figures() -> None:
    lines = [line.split("\t") for line in run(EXAMPLES / "figures.py", "--quick").splitlines()]
    assert [name for name, _, _ in lines] == [
        "post",
        "post_decoded",
        "dissolve",
        "dissolve_free",
        "dissolve_free_elsewhere",
        "audience",
        "snapshot_write",
        "snapshot_read",
        "snapshot_bytes",
        "clone",
    ]
    assert all(float(value) > 0 for _, value, _ in lines)


class Client:
    """A client of the chat server."""

    def __init__(self, port: int, user: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.lines = self.socket.makefile("rb")
        self.send(user=user)

    def send(self, **request: str) -> None:
        self.socket.sendall(f"{json.dumps(request)}\n".encode())

    def receive(self) -> Any:
        return json.loads(self.lines.readline())

    def ask(self, **request: str) -> Any:
        self.send(**request)
        return self.receive()

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


@pytest.fixture
def port() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, EXAMPLES / "chat_server.py"], stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.terminate()


def test_the_chat_server(port: int) -> None:
    alice, bob = Client(port, "alice"), Client(port, "bob")
    assert alice.ask(create="music")["code"] == 200
    assert bob.ask(join="music")["data"] == {"stint": 2}
    joined = alice.receive()
    assert (joined["type"], joined["from"]) == ("memberjoin", "bob")
    assert bob.ask(post="music", message="grüße 🦀")["data"] == {"seq": 0}
    assert alice.receive()["message"] == "grüße 🦀"
    assert bob.ask(kick="alice", **{"from": "music"})["code"] == 403
    assert bob.ask(dance="music") == {"ok": False, "code": 400, "msg": "unknown request"}
    assert alice.ask(leave="music") == {"ok": True, "code": 200, "msg": "OK"}
    assert [bob.receive()["type"] for _ in range(2)] == ["memberkick", "historypurge"]
    assert bob.ask(post="music", message="hello?")["data"]["reason"] == "dissolved"
    alice.close()
    bob.close()
