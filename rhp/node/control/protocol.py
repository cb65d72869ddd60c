"""What travels over the control socket: one JSON object per line, in both directions, of bounded size.

Request  {"version": 1, "command": "rekey-ike", "connection": "office"}
Answer   {"version": 1, "ok": true, "result": {...}}  or  {"version": 1, "ok": false, "error": "one sentence"}
`events` and `capture` are answered by one such line and then by one line per event, until the client hangs up.

This module imports the standard library only: `rhp status` has to answer at once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

VERSION = 1
REQUEST_LIMIT = 16 * 1024
"""The longest request line in octets, the newline included."""
ANSWER_LIMIT = 64 * 1024 * 1024
"""The longest answer that a client takes."""

_FIELDS = frozenset({"connection", "child", "target", "peer", "octets", "address"})
_LONGEST_FIELD = 256

COMMANDS: dict[str, frozenset[str]] = {
    "status": frozenset(),
    "down": frozenset(),
    "events": frozenset(),
    "add-lane": frozenset(),
    "capture": frozenset({"octets"}),
    "leases": frozenset(),
    "release-lease": frozenset({"address"}),
    "totals": frozenset(),
    "initiate": frozenset({"connection"}),
    "terminate": frozenset({"connection"}),
    "rekey-ike": frozenset({"connection"}),
    "rekey-child": frozenset({"connection", "child"}),
    "reauthenticate": frozenset({"connection"}),
    "delete-child": frozenset({"connection", "child"}),
    "redirect": frozenset({"connection", "target"}),
    "redirect-off": frozenset({"connection"}),
}
"""Every command with the fields that it needs."""

LOOKS = frozenset({"status", "events"})
"""The commands that change nothing, so that the audit has no line of them."""


class BadRequest(ValueError):
    """A request that is none; the message is the answer's sentence."""


class CommandRefused(Exception):
    """The command cannot be done; the message is one sentence for the client."""


@dataclass(frozen=True, slots=True)
class Request:
    """One command with its fields."""

    command: str
    fields: dict[str, str] = field(default_factory=dict)


def parse_request(line: bytes) -> Request:
    """Read one line from a client, which may hold anything; raises `BadRequest`."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise BadRequest("this is not a JSON object on one line") from None
    if not isinstance(value, dict):
        raise BadRequest("this is not a JSON object")
    if value.pop("version", None) != VERSION:
        raise BadRequest(f"this node speaks version {VERSION} of the control protocol; use the rhp that belongs to it")
    command = value.pop("command", None)
    if not isinstance(command, str) or command not in COMMANDS:
        raise BadRequest("there is no such command")
    for name, text in value.items():
        if name not in _FIELDS or not isinstance(text, str) or not 0 < len(text) <= _LONGEST_FIELD:
            raise BadRequest("a field of this request is unknown or no short text")
    missing = COMMANDS[command] - value.keys()
    if missing:
        raise BadRequest(f"{command} needs {' and '.join(sorted(missing))}")
    return Request(command, value)


def build_request(request: Request) -> bytes:
    """Write a request as one line."""
    return _line({"version": VERSION, "command": request.command, **request.fields})


def build_result(result: dict[str, Any]) -> bytes:
    """Write an answer that brings a result."""
    return _line({"version": VERSION, "ok": True, "result": result})


def build_error(sentence: str) -> bytes:
    """Write an answer that refuses."""
    return _line({"version": VERSION, "ok": False, "error": sentence})


def build_event(event: dict[str, Any]) -> bytes:
    """Write one event of the stream."""
    return _line({"version": VERSION, "event": event})


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"
