"""The control socket: what it answers, and to whom."""

import asyncio
import json
import os
import socket
import stat

import pytest

from rhp.node.control.client import ControlError, Session, ask, follow, stop
from rhp.node.control.protocol import (
    COMMANDS,
    BadRequest,
    Request,
    build_request,
    parse_request,
)
from rhp.node.control.server import ControlServer


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


def test_several_requests_go_over_one_connection(served, raw):
    async def body(server, desk, path):
        two = build_request(Request("status")) * 2
        answers = (await asyncio.to_thread(raw, path, two)).splitlines()
        assert [json.loads(one)["ok"] for one in answers] == [True, True]

    served(body)


def test_a_long_list_is_made_while_it_is_sent(served, quiet, lists):
    async def body(server, desk, path):
        found = await asyncio.to_thread(ask, path, Request("status"))
        assert found["none"] == []
        assert [one["number"] for one in found["entries"]] == list(range(100_000))
        assert found["after"] == ["x"]

    served(body, lists)


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


def test_down_waits_until_the_node_has_closed(served):
    async def body(server, desk, path):
        stopping = asyncio.create_task(asyncio.to_thread(stop, path, 60.0))
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


def test_a_socket_left_by_a_crash_is_replaced(tmp_path, run, desk):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "control.sock"))
    left.close()
    assert os.path.exists(tmp_path / "control.sock")  # noqa: PTH110

    async def body():
        server = ControlServer(tmp_path / "control.sock", desk.handle)
        await server.start()
        assert await asyncio.to_thread(ask, tmp_path / "control.sock", Request("status"))
        await server.close()

    run(body())
