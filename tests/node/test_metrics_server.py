"""The HTTP server of the metrics: what it answers, and that hostile bytes and slow clients change nothing."""

import asyncio
import contextlib
import random
import socket
import stat
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest

from rhp.node.errors import StartError
from rhp.node.metrics import server as server_module
from rhp.node.metrics.address import TcpAddress, UnixAddress, parse_address
from rhp.node.metrics.server import HEAD_LIMIT, MAX_CLIENTS, MetricsServer

sys.path.insert(0, str(Path(__file__).parent))
from metrics_rig import Metered, Numbers, get

HERE = "127.0.9.51"
GOOD = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def served(tmp_path, run, pair):
    """Run `body(server, address, metered)` beside a server on a Unix socket, or at `address`."""

    def go(body, address=None, state=lambda: "running", **options):
        async def serve():
            a, b, _ = pair()
            metered = Metered(a, ())
            where = address or UnixAddress(tmp_path / "metrics.sock")
            server = MetricsServer(where, metered.exporter, state, **options)
            await server.start()
            try:
                await body(server, where, metered)
            finally:
                await server.close()
                await server.close()
                assert not (tmp_path / "metrics.sock").exists()
                for rig in (a, b):
                    await rig.close()

        run(serve())

    return go


@pytest.fixture
def free_port():
    """A port that is free at `HERE`, where nobody else has any business, and so stays free."""
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return probe.getsockname()[1]


def raw(address, octets, *, half_close=True):
    """Send octets and read until the server hangs up."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(address.path))
        answer = b""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(octets)
            if half_close:
                client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while chunk := client.recv(65536):
                answer += chunk
        return answer


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9469", TcpAddress(ip_address("127.0.0.1"), 9469)),
        ("[::1]:1024", TcpAddress(ip_address("::1"), 1024)),
        ("unix:/run/rhp/metrics.sock", UnixAddress(Path("/run/rhp/metrics.sock"))),
    ],
)
def test_an_address_is_read_and_written(text, address):
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("localhost:9469", "127.0.0.1:9469"),
        ("127.0.0.1", "127.0.0.1:9469"),
        ("9469", "127.0.0.1:9469"),
        ("::1:9469", 'write "[::1]:9469"'),
        ("::1:99999", 'write "[::1]:9469"'),
        ("127.0.0.1:80", "from 1024"),
        ("127.0.0.1:70000", "from 1024"),
        ("127.0.0.1:٩٤٦٩", "from 1024"),
        ("127.0.0.1:" + "9" * 5000, "from 1024"),
        ("unix:", "unix:/run"),
        ("unix:/" + "x" * 200, "107 octets"),
    ],
)
def test_what_is_no_address_is_refused_with_a_sentence(text, hint):
    with pytest.raises(ValueError, match="write") as caught:
        parse_address(text)
    assert hint in str(caught.value)


def test_prometheus_gets_its_page(served, free_port):
    async def body(server, address, metered):
        response = await get(address, headers={"Accept": "application/openmetrics-text, text/plain;q=0.5"})
        assert response.status == 200
        assert response.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
        assert Numbers(response.text)("rhp_connections") == 0
        assert (await get(address, "/metrics?name[]=x")).status == 200

    served(body, TcpAddress(ip_address(HERE), free_port))


def test_a_unix_socket_is_for_its_owner_and_its_group(served):
    async def body(server, address, metered):
        assert stat.S_IMODE(address.path.stat().st_mode) == 0o660
        assert (await get(address)).status == 200

    served(body)


def test_health_is_the_node_s_state(served):
    states = ["running"]

    async def body(server, address, metered):
        response = await get(address, "/healthz")
        assert (response.status, response.text) == (200, "running\n")
        states[0] = "stopping"
        response = await get(address, "/healthz")
        assert (response.status, response.text) == (503, "stopping\n")

    served(body, state=lambda: states[0])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/metrics", 405),
        ("HEAD", "/metrics", 405),
        ("DELETE", "/metrics", 405),
        ("GET", "/", 404),
        ("GET", "/metrics/../etc/passwd", 404),
        ("GET", "http://elsewhere/metrics", 404),
    ],
)
def test_nothing_else_is_answered(served, method, path, status):
    async def body(server, address, metered):
        assert (await get(address, path, method)).status == status
        assert metered.exporter.scrapes["bad"] == 1

    served(body)


def test_hostile_bytes_change_nothing(served):
    chance = random.Random(7)

    def spoil():
        kind = chance.randrange(5)
        if kind == 0:
            return chance.randbytes(chance.randrange(1, 400))
        if kind == 1:
            return GOOD[: chance.randrange(1, len(GOOD) - 1)]
        if kind == 2:
            return b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * (HEAD_LIMIT // 3)
        if kind == 3:
            return b"GET /" + b"x" * (HEAD_LIMIT * 2)
        return GOOD.replace(b"Host", bytes((chance.choice((0, 10, 13, 32, 127)),)))

    async def body(server, address, metered):
        for _ in range(150):
            answer = await asyncio.to_thread(raw, address, spoil())
            assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:100]
        assert (await get(address)).status == 200
        await all_gone(server)
        assert metered.exporter.scrapes["bad"] == 150

    served(body)


def test_a_request_that_is_too_long_is_told_so(served):
    async def body(server, address, metered):
        with socket.socket(socket.AF_UNIX) as client:
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, str(address.path))
            # Just over the limit and no more, so that nothing is left unread and the answer is not lost.
            await loop.sock_sendall(client, b"GET /" + b"x" * (HEAD_LIMIT + 1 - 5))
            assert (await loop.sock_recv(client, 100)).startswith(b"HTTP/1.1 431")

    served(body)


def test_a_client_that_says_nothing_is_left(served):
    async def body(server, address, metered):
        assert await asyncio.to_thread(raw, address, GOOD[:10], half_close=False) == b""
        await all_gone(server)
        assert metered.exporter.scrapes["slow"] == 1

    served(body, client_seconds=0.1)


def test_a_client_that_does_not_read_is_left(served, monkeypatch):
    async def body(server, address, metered):
        text = await metered.exporter.text()
        metered.exporter._text = text * (10_000_000 // len(text))
        monkeypatch.setattr("rhp.node.metrics.exporter.FRESH_SECONDS", 1e9)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(address.path))
            client.sendall(GOOD)
            while not server._clients:
                await asyncio.sleep(0.001)
            (writer,) = server._clients
            while server._clients:
                # What waits for it is a piece or two, not the whole text.
                assert writer.transport.get_write_buffer_size() < 512 * 1024
                await asyncio.sleep(0.001)
        assert metered.exporter.scrapes["slow"] == 1

    served(body, client_seconds=0.3)


def test_clients_are_bounded_and_the_others_are_hung_up_on(served):
    async def body(server, address, metered):
        with contextlib.ExitStack() as held:
            for _ in range(MAX_CLIENTS):
                held.enter_context(socket.socket(socket.AF_UNIX)).connect(str(address.path))
            while len(server._clients) < MAX_CLIENTS:
                await asyncio.sleep(0.001)
            assert await asyncio.to_thread(raw, address, GOOD) == b""
            assert metered.exporter.scrapes["refused"] == 1
        await all_gone(server)
        assert (await get(address)).status == 200

    served(body)


def test_a_mistake_of_ours_is_logged_and_the_server_goes_on(served, caplog):
    async def body(server, address, metered):
        good = metered.sources.rooms
        object.__setattr__(metered.sources, "rooms", lambda: 1 / 0)
        assert await asyncio.to_thread(raw, address, GOOD) == b""
        assert "metrics request failed" in caplog.text
        object.__setattr__(metered.sources, "rooms", good)
        assert (await get(address)).status == 200

    served(body)


def test_a_port_that_is_taken_is_one_sentence(served, free_port):
    where = TcpAddress(ip_address(HERE), free_port)

    async def body(server, address, metered):
        second = MetricsServer(address, metered.exporter, lambda: "running")
        with pytest.raises(StartError, match=rf"{HERE}:{free_port}: .* in use; write another place into node.metric"):
            await second.start()

    served(body, where)


def test_the_socket_of_a_dead_node_is_replaced_and_nothing_else_is(served, tmp_path):
    path = tmp_path / "metrics.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.exists()

    async def body(server, address, metered):
        assert (await get(address)).status == 200
        with pytest.raises(StartError, match="in use"):
            await MetricsServer(address, metered.exporter, lambda: "running").start()
        file = tmp_path / "file"
        file.write_text("precious")
        with pytest.raises(StartError, match="in use"):
            await MetricsServer(UnixAddress(file), metered.exporter, lambda: "running").start()
        assert file.read_text() == "precious"

    served(body)


async def all_gone(server: MetricsServer) -> None:
    while server._clients:
        await asyncio.sleep(0.001)


def test_the_limits_are_what_the_page_says():
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    assert (MAX_CLIENTS, HEAD_LIMIT, server_module.CLIENT_SECONDS) == (8, 8192, 10.0)
    assert "eight clients" in page and "8 KB" in page and "ten seconds" in page
