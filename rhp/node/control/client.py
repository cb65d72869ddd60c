"""The commands' end of the control socket. Standard library only, so that `rhp status` answers at once."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedRWPair
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rhp.node.control.protocol import ANSWER_LIMIT, VERSION, Request, build_request

TIMEOUT = 10.0
"""Seconds to wait for an answer."""


class ControlError(Exception):
    """No node answers, or it refuses; the message is one sentence for the person at the terminal."""


class NotRunning(ControlError):
    """There is no node."""


class Session:
    """One connection for several requests, as of a command that looks every second. A context manager."""

    def __init__(self, path: Path, timeout: float = TIMEOUT) -> None:
        self._socket = _connect(path, timeout)
        self._stream = self._socket.makefile("rwb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._stream.close()
        self._socket.close()

    def ask(self, request: Request) -> dict[str, Any]:
        """Put one request and return its result; raises `ControlError`."""
        return _exchange(self._stream, request)

    def follow(self, request: Request) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
        """The answer to a request that goes on, and what comes after it, until the node ends."""
        result = _exchange(self._stream, request)
        self._socket.settimeout(None)
        return result, self._rest()

    def patience(self, seconds: float | None) -> None:
        """How long to wait for each line; what takes longer raises TimeoutError."""
        self._socket.settimeout(seconds)

    def _rest(self) -> Iterator[dict[str, Any]]:
        while line := self._stream.readline(ANSWER_LIMIT):
            yield json.loads(line)["event"]


def ask(path: Path, request: Request, timeout: float = TIMEOUT) -> dict[str, Any]:
    """Put one request to the node whose control socket is `path` and return its result; raises `ControlError`."""
    with _connect(path, timeout) as connection:
        return _exchange(connection.makefile("rwb"), request)


def follow(path: Path) -> Iterator[dict[str, Any]]:
    """Give the node's events as they come, until it ends."""
    with Session(path) as session:
        yield from session.follow(Request("events"))[1]


def stop(path: Path, timeout: float = TIMEOUT) -> dict[str, Any]:
    """Ask the node to end and wait until it has; raises `ControlError` also when it takes longer than `timeout`."""
    with _connect(path, timeout) as connection:
        stream = connection.makefile("rwb")
        result = _exchange(stream, Request("down"))
        try:
            # The node closes this connection as the last thing that it does.
            while stream.readline(ANSWER_LIMIT):
                pass
        except TimeoutError:
            raise ControlError(f"the node did not end within {timeout:.0f} seconds") from None
    return result


def _connect(path: Path, timeout: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        connection.close()
        raise NotRunning(f"no node is running here: nothing answers at {path}") from None
    except PermissionError:
        connection.close()
        raise ControlError(f"this user may not talk to the node at {path}; try as root") from None
    except OSError as error:
        connection.close()
        raise ControlError(f"the node at {path} cannot be reached: {error.strerror or error}") from None
    return connection


def _exchange(stream: BufferedRWPair, request: Request) -> dict[str, Any]:
    try:
        # A node that refuses at once may have hung up already, but its answer is still there to be read.
        with suppress(BrokenPipeError):
            stream.write(build_request(request))
            stream.flush()
        answer = json.loads(stream.readline(ANSWER_LIMIT))
    except TimeoutError:
        raise ControlError("the node did not answer in time") from None
    except (OSError, ValueError):
        raise ControlError("the node hung up without an answer") from None
    if not isinstance(answer, dict) or answer.get("version") != VERSION:
        raise ControlError("the node speaks another version of the control protocol; use the rhp that belongs to it")
    if not answer.get("ok"):
        raise ControlError(str(answer.get("error", "the node refused")))
    result = answer.get("result")
    return result if isinstance(result, dict) else {}
