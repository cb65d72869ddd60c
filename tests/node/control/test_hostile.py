"""Hostile bytes, crowds and clients that dawdle: the worst is an answer with an error, and nobody else notices."""

import asyncio
import contextlib
import json
import random
import socket

import pytest

from rhp.node.control import server as server_module
from rhp.node.control.client import ControlError, ask
from rhp.node.control.protocol import REQUEST_LIMIT, Request, build_request


def test_hostile_bytes_change_nothing(served, quiet, raw):
    chance = random.Random(7)

    async def body(server, desk, path):
        good = build_request(Request("terminate", {"connection": "office"}))
        for _ in range(150):
            kind = chance.randrange(4)
            if kind == 0:
                octets = chance.randbytes(chance.randrange(400))
            elif kind == 1:
                octets = good[: chance.randrange(len(good) - 1)]
            elif kind == 2:
                spoiled = bytearray(good)
                spoiled[chance.randrange(11)] ^= 1 << chance.randrange(7)
                octets = bytes(spoiled)
            else:
                octets = b"x" * (REQUEST_LIMIT + chance.randrange(1, 5000)) + b"\n"
            for line in (await asyncio.to_thread(raw, path, octets)).splitlines():
                assert json.loads(line)["ok"] is False
        assert desk.requests == []
        assert await asyncio.to_thread(ask, path, Request("status")) == {"did": "status"}

    served(body)


def test_a_request_may_come_in_pieces(served, quiet):
    async def body(server, desk, path):
        reader, writer = await asyncio.open_unix_connection(path)
        for octet in build_request(Request("status")):
            writer.write(bytes([octet]))
            await writer.drain()
            await asyncio.sleep(0)
        assert json.loads(await reader.readline())["ok"] is True
        writer.close()
        assert desk.requests == [Request("status")]

    served(body)


def test_a_line_without_end_is_not_kept(served, quiet):
    async def body(server, desk, path):
        reader, writer = await asyncio.open_unix_connection(path)
        with contextlib.suppress(ConnectionError):
            # More than any buffer between the two holds, so that somebody has to hang up.
            for _ in range(200):
                writer.write(b"x" * 65536)
                await writer.drain()
        with contextlib.suppress(ConnectionError):
            assert json.loads(await reader.readline())["error"].startswith("a request is at most")
        writer.close()
        while server._clients:
            await asyncio.sleep(0.001)
        assert await asyncio.to_thread(ask, path, Request("status"))

    served(body)


def test_a_crowd_is_turned_away_and_leaves_nothing(served, quiet, raw):
    async def body(server, desk, path):
        with contextlib.ExitStack() as held:
            for _ in range(server_module.MAX_CLIENTS):
                held.enter_context(socket.socket(socket.AF_UNIX)).connect(str(path))
            while len(server._clients) < server_module.MAX_CLIENTS:
                await asyncio.sleep(0.001)
            refused = await asyncio.gather(*(asyncio.to_thread(raw, path, b"", half_close=False) for _ in range(200)))
            assert all("too many clients" in json.loads(one)["error"] for one in refused if one)
            assert len(server._clients) == server_module.MAX_CLIENTS
        while server._clients:
            await asyncio.sleep(0.001)
        assert await asyncio.to_thread(ask, path, Request("status"))

    served(body)


def test_a_client_that_does_not_read_holds_up_nobody_and_is_left(served, quiet, lists):
    async def body(server, desk, path):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(build_request(Request("status")) * 100)
            while not desk.requests:
                await asyncio.sleep(0.001)
            assert (await asyncio.to_thread(ask, path, Request("status")))["after"] == ["x"]
            # Nothing more of it is made than what the buffers hold, and the connection is cut.
            while server._clients:
                await asyncio.sleep(0.001)
            assert len(desk.requests) < 5

    served(body, lists, idle_seconds=2.0)


def test_a_list_that_breaks_off_is_told_and_the_server_goes_on(served, lists):
    async def body(server, desk, path):
        with pytest.raises(ControlError, match="hung up without an answer"):
            await asyncio.to_thread(ask, path, Request("initiate", {"connection": "bug"}))
        assert await asyncio.to_thread(ask, path, Request("status"))

    served(body, lists)


def test_a_client_that_says_nothing_is_left(served, raw):
    async def body(server, desk, path):
        assert await asyncio.to_thread(raw, path, b'{"version"', half_close=False) == b""
        while server._clients:
            await asyncio.sleep(0.001)

    served(body, idle_seconds=0.1)


def test_clients_are_bounded(served, monkeypatch):
    monkeypatch.setattr(server_module, "MAX_CLIENTS", 3)

    async def body(server, desk, path):
        with contextlib.ExitStack() as held:
            for _ in range(3):
                held.enter_context(socket.socket(socket.AF_UNIX)).connect(str(path))
            while len(server._clients) < 3:
                await asyncio.sleep(0.001)
            with pytest.raises(ControlError, match="too many clients"):
                await asyncio.to_thread(ask, path, Request("status"))
        while server._clients:
            await asyncio.sleep(0.001)
        assert await asyncio.to_thread(ask, path, Request("status"))

    served(body)


def test_a_follower_that_does_not_read_loses_events_and_not_the_node(served, monkeypatch):
    monkeypatch.setattr(server_module, "MAX_WAITING_EVENTS", 10)

    async def body(server, desk, path):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(build_request(Request("events")))
            while not server._followers:
                await asyncio.sleep(0.01)
            for _ in range(2000):
                server.publish({"event": "x" * 1000})
                if server.lost_events:
                    break
                await asyncio.sleep(0)
            assert server.lost_events
        while server._followers:
            await asyncio.sleep(0.001)

    served(body)


def test_those_who_follow_leave_places_for_others(served, quiet):
    async def body(server, desk, path):
        with contextlib.ExitStack() as held:
            for _ in range(server_module.MAX_FOLLOWERS):
                client = held.enter_context(socket.socket(socket.AF_UNIX))
                client.connect(str(path))
                client.sendall(build_request(Request("events")))
            while len(server._followers) < server_module.MAX_FOLLOWERS:
                await asyncio.sleep(0.001)
            with pytest.raises(ControlError, match="24 clients follow this node already"):
                await asyncio.to_thread(ask, path, Request("log", {"follow": "yes"}))
            assert await asyncio.to_thread(ask, path, Request("log")) == {"did": "log"}
            assert await asyncio.to_thread(ask, path, Request("status")) == {"did": "status"}
        while server._followers:
            await asyncio.sleep(0.001)

    served(body)
