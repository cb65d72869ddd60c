"""Writing the log: one line per state change, in the words of `rhp.node.vocabulary`, few of them at a stranger's will.

A line is the event's words and then fields as `name=value`; a value that holds a space, a quote or anything unprintable
is written as a JSON string, so that no peer's identity can forge a line. Each line also travels as event and fields,
for the forms of `rhp.node.logforms`.

What a peer can cause is limited twice: for each peer, by its address or its name, so that one that fails over and over
leaves the others their lines; and for all of them together. What was left out is told by number, at the latest when
`flush` is called.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, IPv6Network
from typing import TextIO

from rhp.node.logforms import handler_for
from rhp.node.ratelimit import RateLimit, SourceLimits
from rhp.node.subsystems import AUDIT, SUBSYSTEMS, subsystem_of
from rhp.node.vocabulary import EVENTS, FIELDS

ROOT = "rhp"
SOURCE_RATE = 0.2
SOURCE_BURST = 10
FLUSHED_SOURCES = 10
"""So many sources are told of by name in one `flush`."""

_PLAIN = re.compile(r"[!#-<>-\[\]-~]+")
_LONGEST_VALUE = 300
_SOURCE_NET = 64

Source = tuple[str, str]
"""The name of the field that tells it, and its value."""


class EventLog:
    """Writes events to the standard logging. `clock` is any clock that never goes back, in seconds.

    `audit` is given every event of the subsystem "audit" with its fields. `suppressed` counts the lines that were left
    out so far.
    """

    def __init__(self, clock: Callable[[], float], rate: float = 1.0, burst: int = 20) -> None:
        self._clock = clock
        self._limit = RateLimit(rate, burst)
        self._sources: SourceLimits[Source] = SourceLimits(min(rate, SOURCE_RATE), max(SOURCE_BURST, burst // 2))
        self._loggers = {name: logging.getLogger(f"{ROOT}.{name}") for name in SUBSYSTEMS}
        self.audit: Callable[[str, dict[str, object]], None] | None = None
        self.suppressed = 0

    def write(self, event: str, **fields: object) -> None:
        """Write one line; fields that are None or empty are left out. KeyError for a word outside the vocabulary."""
        word, subsystem = EVENTS[event], subsystem_of(event)
        audited = subsystem == AUDIT and self.audit is not None
        if not audited and not self._loggers[subsystem].isEnabledFor(word.level):
            return
        if word.by_stranger and not self._may(source_of(fields)):
            self.suppressed += 1
            return
        given = present(fields)
        if audited and self.audit is not None:
            self.audit(event, given)
        self._put(event, given)

    def flush(self) -> None:
        """Tell what was left out since it was told last."""
        now = self._clock()
        rest = 0
        for number, (source, count) in enumerate(self._sources.take_all(now)):
            if number < FLUSHED_SOURCES:
                self._tell_suppressed(count, source)
            else:
                rest += count
        self._tell_suppressed(rest + self._sources.take_evicted() + self._limit.take_suppressed())

    def _may(self, source: Source | None) -> bool:
        now = self._clock()
        if source is not None and not self._sources.allows(source, now):
            return False
        if not self._limit.allows(now):
            return False
        if source is not None:
            self._tell_suppressed(self._sources.take_suppressed(source), source)
        self._tell_suppressed(self._sources.take_evicted() + self._limit.take_suppressed())
        return True

    def _tell_suppressed(self, count: int, source: Source | None = None) -> None:
        if count:
            named: dict[str, object] = dict([source]) if source is not None else {}
            self._put("lines suppressed", {**named, "suppressed": count})

    def _put(self, event: str, fields: dict[str, object]) -> None:
        logger = self._loggers[subsystem_of(event)]
        logger.log(EVENTS[event].level, render(event, fields), extra={"event": event, "fields": fields})


def source_of(fields: Mapping[str, object]) -> Source | None:
    """Whose doing an event was: an address, of IPv6 the /64 that one machine can have whole, or a name; else None."""
    # A path of the engine, which the guard need not load to write lines of its own.
    remote = getattr(fields.get("path"), "remote", None)
    if remote is not None:
        ip = remote.ip
        net = IPv6Network((int(ip), _SOURCE_NET), strict=False) if isinstance(ip, IPv6Address) else ip
        return "remote", str(net)
    peer = fields.get("peer")
    return ("peer", str(peer)) if peer else None


def present(fields: Mapping[str, object]) -> dict[str, object]:
    """The fields that say something, each short: numbers as they are, everything else as text.

    KeyError for a field outside the vocabulary.
    """
    found: dict[str, object] = {}
    for name, value in fields.items():
        if name not in FIELDS:
            raise KeyError(name)
        if value is not None and value != "":
            found[name] = value if isinstance(value, int | float) else _short(str(value))
    return found


def render(event: str, fields: Mapping[str, object]) -> str:
    """The line without time and level. KeyError for a field outside the vocabulary."""
    return " ".join([event, *(f"{name}={quote(str(value))}" for name, value in present(fields).items())])


def quote(value: str) -> str:
    """Write a value so that it is one word, and short."""
    value = _short(value)
    return value if _PLAIN.fullmatch(value) else json.dumps(value)


def set_up(
    level: str,
    stream: TextIO | None = None,
    *,
    levels: Mapping[str, str] | None = None,
    form: str = "text",
) -> None:
    """Send the log of this program to `stream` (standard error by default) from `level` on; safe twice.

    `levels` are those of subsystems that differ; `form` is "text", "json", "journal", or "auto" by where it goes. What
    belongs to the audit is written from "info" on unless `levels` says otherwise. OSError without a journal.
    """
    logger = logging.getLogger(ROOT)
    handler = handler_for(form, stream)
    for old in list(logger.handlers):
        logger.removeHandler(old)
        old.close()
    logger.addHandler(handler)
    logger.propagate = False
    set_levels(level, levels)


def set_levels(level: str, levels: Mapping[str, str] | None = None) -> None:
    """Write lines from `level` on, and from others where `levels` names them."""
    logging.getLogger(ROOT).setLevel(level.upper())
    own = {AUDIT: "info", **(levels or {})}
    for name in SUBSYSTEMS:
        logging.getLogger(f"{ROOT}.{name}").setLevel(own[name].upper() if name in own else logging.NOTSET)


def _short(value: str) -> str:
    return value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "..."
