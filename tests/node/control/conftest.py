"""A control server with a desk behind it, that answers everything."""

import socket

import pytest

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


class Lists(Desk):
    """Answers with lists that are made while they are sent; of the connection "bug" the list breaks off."""

    async def handle(self, request):
        self.requests.append(request)
        if request.fields.get("connection") == "bug":
            return {"before": 1, "entries": (1 // (50 - number) for number in range(100)), "after": 2}
        return {"none": iter(()), "entries": ({"number": one} for one in range(100_000)), "after": ["x"]}


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


@pytest.fixture
def quiet(caplog):
    """Nothing that a client does may end in a traceback, of ours or of asyncio's."""
    yield
    assert [record for record in caplog.records if record.exc_info or record.levelname in ("ERROR", "CRITICAL")] == []


@pytest.fixture
def desk():
    """A desk of its own."""
    return Desk()


@pytest.fixture
def lists():
    """A desk whose answers are long lists."""
    return Lists()


@pytest.fixture
def raw():
    """Send octets as they are, and give what came back."""
    return _raw


def _raw(path, octets, *, half_close=True):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
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
