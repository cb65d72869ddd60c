"""The HTTP server of the metrics: two pages, one request a connection, everything bounded.

h11 reads the request, so hostile bytes meet a parser that was made for them. Whoever is slow is left after some
seconds, who says too much is refused, and who comes when enough are there is hung up on. The page is sent in pieces
that wait for the reader, so that a slow one costs no memory but the text that all share.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator

import h11
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from rhp.node.errors import StartError
from rhp.node.metrics.address import MetricsAddress, TcpAddress
from rhp.node.metrics.exporter import Exporter

MAX_CLIENTS = 8
HEAD_LIMIT = 8 * 1024
"""The longest request in octets: its line and its headers."""
CLIENT_SECONDS = 10.0
"""How long one client may take in all."""
_PIECE = 32 * 1024
_TEXT = "text/plain; charset=utf-8"
_SOCKET_MODE = 0o660

_logger = logging.getLogger("rhp.node")


class MetricsServer:
    """Serves until it is closed. `state` is the node's own, "running" while all is well."""

    def __init__(
        self,
        address: MetricsAddress,
        exporter: Exporter,
        state: Callable[[], str],
        client_seconds: float = CLIENT_SECONDS,
    ) -> None:
        self._address = address
        self._exporter = exporter
        self._state = state
        self._seconds = client_seconds
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Begin to listen; raises `StartError`."""
        try:
            listener = _listener(self._address)
        except OSError as error:
            reason = error.strerror or str(error)
            raise StartError(
                f"the metrics cannot be served at {self._address}: {reason}; write another place into node.metrics"
            ) from None
        self._server = await asyncio.start_server(self._serve, sock=listener, limit=HEAD_LIMIT)

    async def close(self) -> None:
        """Hang up on everyone and take the socket away. Safe twice."""
        self._exporter.close()
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._clients):
            writer.transport.abort()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._server.wait_closed(), 1.0)
        self._server = None
        if not isinstance(self._address, TcpAddress):
            self._address.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        scrapes = self._exporter.scrapes
        if len(self._clients) >= MAX_CLIENTS:
            scrapes["refused"] += 1
            writer.transport.abort()
            return
        self._clients.add(writer)
        try:
            async with asyncio.timeout(self._seconds):
                scrapes[await self._answer(reader, writer)] += 1
        except TimeoutError:
            scrapes["slow"] += 1
            writer.transport.abort()
        except ConnectionError:
            scrapes["bad"] += 1
        except Exception:
            # A mistake of ours here must not end the node, and has to be seen.
            _logger.exception("metrics request failed")
        finally:
            self._clients.discard(writer)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Read one request and answer it; the word that it is counted by."""
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
        try:
            request = await _request(parser, reader)
        except h11.RemoteProtocolError as error:
            await _send(parser, writer, error.error_status_hint, b"this is no request for metrics\n")
            return "bad"
        if request is None:
            return "bad"
        status, body, kind = await self._page(request)
        await _send(parser, writer, status, body, kind)
        return "answered" if status == 200 else "bad"

    async def _page(self, request: h11.Request) -> tuple[int, bytes, str]:
        if request.method != b"GET":
            return 405, b"only GET is answered here\n", _TEXT
        match request.target.partition(b"?")[0]:
            case b"/metrics":
                return 200, await self._exporter.text(), CONTENT_TYPE_PLAIN_0_0_4
            case b"/healthz":
                state = self._state()
                return 200 if state == "running" else 503, f"{state}\n".encode(), _TEXT
            case _:
                return 404, b"there are /metrics and /healthz\n", _TEXT


async def _request(parser: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
    """The request's head, None when the client hung up before its end; what follows the head is not read."""
    while True:
        event = parser.next_event()
        if isinstance(event, h11.Request):
            return event
        if event is not h11.NEED_DATA:
            return None
        parser.receive_data(await reader.read(HEAD_LIMIT))


async def _send(
    parser: h11.Connection, writer: asyncio.StreamWriter, status: int, body: bytes, kind: str = _TEXT
) -> None:
    headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Connection", "close")]
    if status == 405:
        headers.append(("Allow", "GET"))
    writer.write(parser.send(h11.Response(status_code=status, headers=headers)) or b"")
    for piece in _pieces(body):
        writer.write(piece)
        await writer.drain()
    writer.write_eof()


def _pieces(body: bytes) -> Iterator[memoryview]:
    view = memoryview(body)
    for start in range(0, len(view), _PIECE):
        yield view[start : start + _PIECE]


def _listener(address: MetricsAddress) -> socket.socket:
    """A socket bound there; OSError. A Unix socket that a dead process left is replaced, nothing else is."""
    if isinstance(address, TcpAddress):
        family = socket.AF_INET6 if address.ip.version == 6 else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place: tuple[str, int] | str = (str(address.ip), address.port)
    else:
        place = str(address.path)
        if address.path.is_socket() and not _answers(place):
            address.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(place)
        if not isinstance(address, TcpAddress):
            # Nobody can connect between bind and listen. The group may read, so that a collector need not be the node.
            address.path.chmod(_SOCKET_MODE)
    except OSError:
        listener.close()
        raise
    return listener


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
        return True
