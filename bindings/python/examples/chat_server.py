"""A chat server: lines of JSON over TCP, with one engine of text ids.

    chat_server.py [PORT]

A client first says who it is, `{"user":"alice"}`; this example believes it. Then it sends commands, such
as `{"join":"music"}`, `{"post":"music","message":"hello"}` or `{"leave":"music"}`, and gets a reply to
each, and signals as they happen, as JSON of the chat API.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from disband import Engine, Outcome, Refused

engine = Engine(str)
clients: dict[str, set[asyncio.StreamWriter]] = {}


def run(user: str, request: dict[str, Any], now: int) -> Outcome[Any, str]:
    """Carries out a request of a user."""
    match request:
        case {"create": str(group)}:
            return engine.create(user, group, now)
        case {"join": str(group)}:
            return engine.join(user, group, now)
        case {"leave": str(group)}:
            return engine.leave(user, group, now)
        case {"post": str(group), "message": str(message)}:
            return engine.post(user, group, message, now)
        case {"kick": str(other), "from": str(group)}:
            return engine.kick(user, group, other, now)
    raise ValueError("unknown request")


def answer(user: str, line: bytes) -> str:
    """Carries out a line of a client, delivers the signals, and returns the reply."""
    now = time.time_ns() // 1_000_000
    try:
        outcome = run(user, json.loads(line), now)
    except Refused as refused:
        return refused.reply(now)
    except ValueError as error:
        return json.dumps({"ok": False, "code": 400, "msg": str(error)})
    for signal in outcome.signals:
        frame = f"{signal.frame()}\n".encode()
        for connected in clients.keys() & set(signal.audience):
            for client in clients[connected]:
                client.write(frame)
    return outcome.reply()


async def serve(reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
    """Serves one connection. Closing it does not end memberships."""
    user = str(json.loads(await reader.readline())["user"])
    clients.setdefault(user, set()).add(client)
    try:
        while line := await reader.readline():
            client.write(f"{answer(user, line)}\n".encode())
            await client.drain()
    except ConnectionError:
        pass
    finally:
        clients[user].discard(client)
        client.close()


async def main(port: int) -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
    except KeyboardInterrupt:
        pass
