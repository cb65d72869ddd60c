"""Who asked for what at the control socket, and how it went."""

from __future__ import annotations

import socket
import struct
from asyncio import StreamWriter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rhp.node.control.protocol import LOOKS, CommandRefused, Request

_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Client:
    """The process at the other end, as the kernel knew it when it connected (SO_PEERCRED)."""

    pid: int
    uid: int


Audit = Callable[[Client, Request, str, str], None]
"""Takes who, what, the outcome ("done", "refused", "failed" or "interrupted") and a sentence of why, or nothing."""


@contextmanager
def audited(audit: Audit | None, request: Request, writer: StreamWriter) -> Iterator[None]:
    """Tell `audit` of a request that changes something once it is carried out; what is raised passes through."""
    if audit is None or request.command in LOOKS:
        yield
        return
    client, outcome, why = client_of(writer), "interrupted", ""
    try:
        yield
        outcome = "done"
    except CommandRefused as error:
        outcome, why = "refused", str(error)
        raise
    except Exception as error:
        outcome, why = "failed", type(error).__name__
        raise
    finally:
        audit(client, request, outcome, why)


def client_of(writer: StreamWriter) -> Client:
    """Who is connected there."""
    found = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(found)
    return Client(pid, uid)
