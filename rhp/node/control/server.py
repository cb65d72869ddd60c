"""The node's end of the control socket.

Whatever comes in, the worst is an answer with an error: lines, clients, waiting events and idle time are all bounded,
and a request is read completely before anything is done. Mode 0600 keeps every other user out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from rhp.node.control.audit import Audit, audited
from rhp.node.control.protocol import (
    REQUEST_LIMIT,
    BadRequest,
    CommandRefused,
    Request,
    build_error,
    build_event,
    build_result,
    parse_request,
)

Handler = Callable[[Request], Awaitable[dict[str, Any]]]
"""Carries out a request; raises `CommandRefused` with a sentence."""

Put = Callable[[dict[str, Any]], bool]
"""Gives an event to a client; False when it has not read the earlier ones and this one is lost to it."""

Stream = Callable[[Request, Put], Callable[[], None]]
"""Begins to give events to a client and returns what ends that; raises `CommandRefused` with a sentence."""

MAX_CLIENTS = 32
MAX_FOLLOWERS = 24
"""Who follows stays for good, so some places are left for those who ask once."""
MAX_WAITING_EVENTS = 1000
MAX_WAITING_LINES = 64
"""Of the other streams, whose lines are longer."""
IDLE_SECONDS = 60.0

Topic = Literal["events", "log"]

_logger = logging.getLogger("rhp")

__all__ = ["CommandRefused", "ControlServer", "Handler"]


@dataclass(frozen=True, slots=True, eq=False)
class Follower:
    """A client that asked for more than one answer: what it follows, and what it has not read yet."""

    topic: Topic
    request: Request
    queue: asyncio.Queue[bytes]


class ControlServer:
    """Serves clients until it is closed; `publish` goes to those that follow, and a command of `streams` is
    answered by what its function gives until the client hangs up."""

    def __init__(
        self, path: Path, handler: Handler, idle_seconds: float = IDLE_SECONDS, audit: Audit | None = None
    ) -> None:
        self._path = path
        self._handler = handler
        self._audit = audit
        self._idle = idle_seconds
        self.streams: dict[str, Stream] = {}
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self._followers: set[Follower] = set()
        self._closing = asyncio.Event()
        self.lost_events = 0

    async def start(self) -> None:
        """Begin to listen; OSError when the socket cannot be made there. The caller holds the run folder's lock."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self._path))
            # Nobody can connect between bind and listen, so the mode is right before the first client.
            self._path.chmod(0o600)
        except OSError:
            listener.close()
            raise
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=REQUEST_LIMIT)

    @property
    def followed(self) -> bool:
        """Whether anybody asked for events and still listens."""
        return any(one.topic == "events" for one in self._followers)

    def publish(
        self, event: dict[str, Any], topic: Topic = "events", wanted: Callable[[Request], bool] | None = None
    ) -> None:
        """Give an event to every follower of its topic whose request wants it.

        One that does not read loses events, and they are counted.
        """
        listening = [one for one in self._followers if one.topic == topic and (wanted is None or wanted(one.request))]
        line = build_event(event) if listening else b""
        for one in listening:
            if one.queue.full():
                self.lost_events += 1
            else:
                one.queue.put_nowait(line)

    async def close(self) -> None:
        """Hang up on everyone and take the socket away. Safe twice."""
        self._closing.set()
        if self._server is not None:
            self._server.close()
        for writer in list(self._clients):
            writer.close()
        if self._server is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._server.wait_closed(), 1.0)
            self._server = None
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= MAX_CLIENTS:
            writer.write(build_error("too many clients are connected; try again later"))
            writer.close()
            return
        self._clients.add(writer)
        try:
            while await self._one_request(reader, writer):
                pass
        except (ConnectionError, TimeoutError):
            # What it has not read would keep the connection, so it is thrown away.
            writer.transport.abort()
        except Exception:
            # A mistake of ours in one command must not end the node, and has to be seen.
            _logger.exception("control request failed")
            with contextlib.suppress(ConnectionError):
                writer.write(build_error("the node made a mistake; see its log"))
        finally:
            self._clients.discard(writer)
            if not self._closing.is_set():
                writer.close()

    async def _one_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read, carry out and answer one request; False when the client is to be left."""
        try:
            line = await asyncio.wait_for(reader.readline(), self._idle)
        except ValueError:
            writer.write(build_error(f"a request is at most {REQUEST_LIMIT} octets long"))
            return False
        if not line.endswith(b"\n"):
            return False
        try:
            request = parse_request(line)
        except BadRequest as error:
            await self._send(writer, build_error(str(error)))
            return False
        if _topic(request) is not None and len(self._followers) >= MAX_FOLLOWERS:
            await self._send(writer, build_error(f"{MAX_FOLLOWERS} clients follow this node already; end one of them"))
            return False
        with contextlib.ExitStack() as following:
            try:
                with audited(self._audit, request, writer):
                    queue = following.enter_context(self._following(request))
                    result = {} if request.command in self.streams else await self._handler(request)
            except CommandRefused as error:
                await self._send(writer, build_error(str(error)))
                return True
            for piece in build_result(result):
                await self._send(writer, piece)
            if queue is None:
                return True
            await self._stream(queue, reader, writer)
            return False

    async def _send(self, writer: asyncio.StreamWriter, octets: bytes) -> None:
        """Write, wait for a reader that is slow, and let the node do its work before the next piece."""
        writer.write(octets)
        await asyncio.wait_for(writer.drain(), self._idle)
        await asyncio.sleep(0)

    @contextlib.contextmanager
    def _following(self, request: Request) -> Iterator[asyncio.Queue[bytes] | None]:
        """Follow from before the answer is made, so that nothing is missed in between; None for what ends with it."""
        if request.command in self.streams:
            queue: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING_LINES)
            end = self.streams[request.command](request, partial(_put, queue))
            try:
                yield queue
            finally:
                end()
            return
        topic = _topic(request)
        if topic is None:
            yield None
            return
        follower = Follower(topic, request, asyncio.Queue(MAX_WAITING_EVENTS))
        self._followers.add(follower)
        try:
            yield follower.queue
        finally:
            self._followers.discard(follower)

    async def _stream(
        self, queue: asyncio.Queue[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        hung_up = asyncio.ensure_future(reader.read(1))
        try:
            while not hung_up.done():
                waiting = asyncio.ensure_future(queue.get())
                await asyncio.wait({waiting, hung_up}, return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done():
                    waiting.cancel()
                    return
                await self._send(writer, waiting.result())
        finally:
            hung_up.cancel()


def _put(queue: asyncio.Queue[bytes], event: dict[str, Any]) -> bool:
    if queue.full():
        return False
    queue.put_nowait(build_event(event))
    return True


def _topic(request: Request) -> Topic | None:
    """What the request asks to follow; None for one that has one answer."""
    if request.command == "events":
        return "events"
    return "log" if request.command == "log" and request.fields.get("follow") == "yes" else None
