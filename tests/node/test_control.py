"""The control socket: what it answers, and that hostile bytes change nothing."""

import asyncio
import contextlib
import json
import os
import random
import socket
import stat

import pytest

from rhp.node.control import server as server_module
from rhp.node.control.client import ControlError, Session, ask, follow, stop
from rhp.node.control.protocol import (
    COMMANDS,
    REQUEST_LIMIT,
    BadRequest,
    Request,
    build_request,
    parse_request,
)
from rhp.node.control.server import CommandRefused, ControlServer


class Desk:
    """Answers every command, and keeps what came."""

    def __init__(self):
        self.requests = []

    async def handle(self, request):
        self.requests.append(request)
        if request.fields.get("connection") == "nobody":
            raise CommandRefused("there is no connection 'nobody'")
        if request.fields.get("connection") == "bug":
            raise RuntimeError("a bug")
        return {"did": request.command}


@pytest.fixture
def served(tmp_path, run):
    """Run `body(server, desk, path)` beside a server; blocking clients go through `asyncio.to_thread`."""

    def go(body, desk=None, **options):
        async def serve():
            nonlocal desk
            desk = desk or Desk()
            server = ControlServer(tmp_path / "control.sock", desk.handle, **options)
            await server.start()
            try:
                return await body(server, desk, tmp_path / "control.sock")
            finally:
                await server.close()
                await server.close()
                assert not (tmp_path / "control.sock").exists()

        return run(serve())

    return go


class Lists(Desk):
    """Answers with lists that are made while they are sent; of the connection "bug" the list breaks off."""

    async def handle(self, request):
        self.requests.append(request)
        if request.fields.get("connection") == "bug":
            return {"before": 1, "entries": (1 // (50 - number) for number in range(100)), "after": 2}
        return {"none": iter(()), "entries": ({"number": one} for one in range(100_000)), "after": ["x"]}


@pytest.fixture
def quiet(caplog):
    """Nothing that a client does may end in a traceback, of ours or of asyncio's."""
    yield
    assert [record for record in caplog.records if record.exc_info or record.levelname in ("ERROR", "CRITICAL")] == []


def raw(path, octets, *, half_close=True):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(3)
        client.connect(str(path))
        try:
            client.sendall(octets)
            if half_close:
                client.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = b""
        try:
            while chunk := client.recv(65536):
                answer += chunk
        except ConnectionResetError:
            pass
        return answer


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_request_survives_the_wire(command):
    request = Request(command, dict.fromkeys(COMMANDS[command], "x"))
    assert parse_request(build_request(request)) == request


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null",
        b"[]",
        b"{}",
        b'"status"',
        b"\xff\xfe\x00",
        b'{"command":"status"}',
        b'{"version":2,"command":"status"}',
        b'{"version":true,"command":"status"}X',
        b'{"version":1}',
        b'{"version":1,"command":["status"]}',
        b'{"version":1,"command":"reboot"}',
        b'{"version":1,"command":"rekey-ike"}',
        b'{"version":1,"command":"rekey-child","connection":"a"}',
        b'{"version":1,"command":"rekey-ike","connection":3}',
        b'{"version":1,"command":"rekey-ike","connection":""}',
        b'{"version":1,"command":"rekey-ike","connection":"' + b"x" * 300 + b'"}',
        b'{"version":1,"command":"status","path":"/etc"}',
        b"[" * 5000,
        b'{"version":1e999,"command":"status"}',
        b'{"version":' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_request_is_refused_with_a_sentence(line):
    with pytest.raises(BadRequest) as caught:
        parse_request(line)
    assert str(caught.value)
    assert len(str(caught.value)) < 200


def test_the_socket_belongs_to_its_owner_only(served):
    async def body(server, desk, path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    served(body)


def test_a_client_gets_its_answer(served):
    async def body(server, desk, path):
        result = await asyncio.to_thread(ask, path, Request("rekey-ike", {"connection": "office"}))
        assert result == {"did": "rekey-ike"}
        assert desk.requests == [Request("rekey-ike", {"connection": "office"})]

    served(body)


def test_a_refusal_reaches_the_client_as_a_sentence(served):
    async def body(server, desk, path):
        with pytest.raises(ControlError, match="there is no connection 'nobody'"):
            await asyncio.to_thread(ask, path, Request("initiate", {"connection": "nobody"}))

    served(body)


def test_a_bug_in_a_command_is_answered_and_the_server_goes_on(served):
    async def body(server, desk, path):
        with pytest.raises(ControlError, match="see its log"):
            await asyncio.to_thread(ask, path, Request("initiate", {"connection": "bug"}))
        assert await asyncio.to_thread(ask, path, Request("status")) == {"did": "status"}

    served(body)


def test_several_requests_go_over_one_connection(served):
    async def body(server, desk, path):
        two = build_request(Request("status")) * 2
        answers = (await asyncio.to_thread(raw, path, two)).splitlines()
        assert [json.loads(one)["ok"] for one in answers] == [True, True]

    served(body)


def test_hostile_bytes_change_nothing(served, quiet):
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


def test_a_crowd_is_turned_away_and_leaves_nothing(served, quiet):
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


def test_a_long_list_is_made_while_it_is_sent(served, quiet):
    async def body(server, desk, path):
        found = await asyncio.to_thread(ask, path, Request("status"))
        assert found["none"] == []
        assert [one["number"] for one in found["entries"]] == list(range(100_000))
        assert found["after"] == ["x"]

    served(body, Lists())


def test_a_client_that_does_not_read_holds_up_nobody_and_is_left(served, quiet):
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

    served(body, Lists(), idle_seconds=0.5)


def test_a_list_that_breaks_off_is_told_and_the_server_goes_on(served):
    async def body(server, desk, path):
        with pytest.raises(ControlError, match="hung up without an answer"):
            await asyncio.to_thread(ask, path, Request("initiate", {"connection": "bug"}))
        assert await asyncio.to_thread(ask, path, Request("status"))

    served(body, Lists())


def test_a_session_asks_several_times(served, quiet):
    async def body(server, desk, path):
        def several():
            with Session(path) as session:
                return [session.ask(Request("status")) for _ in range(3)]

        assert await asyncio.to_thread(several) == [{"did": "status"}] * 3

    served(body)


def test_log_lines_go_to_those_who_follow_the_log_and_want_them(served, quiet):
    async def body(server, desk, path):
        def follow_log():
            with Session(path) as session:
                _, lines = session.follow(Request("log", {"follow": "yes", "level": "error"}))
                return list(lines)

        following = asyncio.create_task(asyncio.to_thread(follow_log))
        while not server._followers:
            await asyncio.sleep(0.001)
        assert not server.followed
        server.publish({"event": "not of the log"})
        server.publish({"text": "too mild"}, "log", lambda request: request.fields["level"] == "info")
        server.publish({"text": "grave"}, "log", lambda request: request.fields["level"] == "error")
        while not all(one.queue.empty() for one in server._followers):
            await asyncio.sleep(0.001)
        await server.close()
        assert await following == [{"text": "grave"}]

    served(body)


def test_a_client_that_says_nothing_is_left(served):
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


def test_events_are_streamed_until_the_server_ends(served):
    async def body(server, desk, path):
        server.publish({"event": "before anybody listens"})
        following = asyncio.create_task(asyncio.to_thread(lambda: list(follow(path))))
        while not server._followers:
            await asyncio.sleep(0.01)
        server.publish({"event": "ike established", "peer": "b"})
        server.publish({"event": "ike closed"})
        while not all(one.queue.empty() for one in server._followers):
            await asyncio.sleep(0.001)
        await server.close()
        assert await following == [{"event": "ike established", "peer": "b"}, {"event": "ike closed"}]

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


def test_down_waits_until_the_node_has_closed(served):
    async def body(server, desk, path):
        stopping = asyncio.create_task(asyncio.to_thread(stop, path, 3.0))
        while not desk.requests:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert not stopping.done()
        await server.close()
        assert await stopping == {"did": "down"}

    served(body)


def test_down_tells_when_the_node_does_not_end(served):
    async def body(server, desk, path):
        with pytest.raises(ControlError, match="did not end"):
            await asyncio.to_thread(stop, path, 0.2)

    served(body)


def test_without_a_node_there_is_a_sentence(tmp_path):
    with pytest.raises(ControlError, match="no node is running here"):
        ask(tmp_path / "none.sock", Request("status"))
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "left.sock"))
    left.close()
    with pytest.raises(ControlError, match="no node is running here"):
        ask(tmp_path / "left.sock", Request("status"))


@pytest.mark.parametrize("answer", [b"", b"nonsense\n", b"[]\n", b'{"version":9,"ok":true}\n'])
def test_an_answer_that_is_none_is_told(tmp_path, run, answer):
    async def body():
        async def serve(reader, writer):
            await reader.readline()
            writer.write(answer)
            writer.close()

        async with await asyncio.start_unix_server(serve, tmp_path / "odd.sock"):
            with pytest.raises(ControlError):
                await asyncio.to_thread(ask, tmp_path / "odd.sock", Request("status"))

    run(body())


def test_a_socket_left_by_a_crash_is_replaced(tmp_path, run):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "control.sock"))
    left.close()
    assert os.path.exists(tmp_path / "control.sock")  # noqa: PTH110

    async def body():
        desk = Desk()
        server = ControlServer(tmp_path / "control.sock", desk.handle)
        await server.start()
        assert await asyncio.to_thread(ask, tmp_path / "control.sock", Request("status"))
        await server.close()

    run(body())
