"""What travels over the control socket: one JSON object per line, in both directions, of bounded size.

Request  {"version": 1, "command": "rekey-ike", "connection": "office"}
Answer   {"version": 1, "ok": true, "result": {...}}  or  {"version": 1, "ok": false, "error": "one sentence"}
`events` is answered by one such line and then by one line per event, until the client hangs up; so is `log` with
{"follow": "yes"}, by one line per line of the log, and `capture`, by lines of frames. A result may hold iterators in
place of lists: they are made while the answer is sent, in pieces.

This module imports the standard library only: `rhp status` has to answer at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

VERSION = 1
REQUEST_LIMIT = 16 * 1024
"""The longest request line in octets, the newline included."""
ANSWER_LIMIT = 64 * 1024 * 1024
"""The longest answer that a client takes."""

PIECE = 32
"""How many entries of an iterator are made in one go; with what they hold, some tens of kilobytes."""

_FIELDS = frozenset(
    {"connection", "child", "target", "peer", "form", "mac", "level", "lines", "follow", "octets", "address"}
)
_LONGEST_FIELD = 256

COMMANDS: dict[str, frozenset[str]] = {
    "status": frozenset(),
    "down": frozenset(),
    "events": frozenset(),
    "peers": frozenset(),
    "sas": frozenset(),
    "hub": frozenset(),
    "log": frozenset(),
    "add-lane": frozenset(),
    "capture": frozenset({"octets"}),
    "leases": frozenset(),
    "release-lease": frozenset({"address"}),
    "totals": frozenset(),
    "reload": frozenset(),
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

LOOKS = frozenset({"status", "peers", "sas", "hub", "log", "events", "leases", "totals"})
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


def build_result(result: dict[str, Any]) -> Iterator[bytes]:
    """Write an answer that brings a result, in pieces, for one whose iterators are long."""
    ready = f'{{"version":{VERSION},"ok":true,"result":{{'
    comma = ""
    for name, value in result.items():
        ready += f"{comma}{_text(name)}:"
        comma = ","
        if not isinstance(value, Iterator):
            ready += _text(value)
            continue
        ready += "["
        for entries in _entries(value):
            yield (ready + entries).encode()
            ready = ""
        ready += "]"
    yield (ready + "}}\n").encode()


def _entries(values: Iterator[Any]) -> Iterator[str]:
    comma = ""
    while batch := list(islice(values, PIECE)):
        yield f"{comma}{_text(batch)[1:-1]}"
        comma = ","


def build_error(sentence: str) -> bytes:
    """Write an answer that refuses."""
    return _line({"version": VERSION, "ok": False, "error": sentence})


def build_event(event: dict[str, Any]) -> bytes:
    """Write one event of the stream, or one line of the log."""
    return _line({"version": VERSION, "event": event})


def _line(value: dict[str, Any]) -> bytes:
    return _text(value).encode() + b"\n"


_text = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode
