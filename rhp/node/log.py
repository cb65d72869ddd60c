"""Writing the log: one line per state change, in the words of `rhp.node.vocabulary`, few of them at a stranger's will.

A line is the event's words and then fields as `name=value`; a value that holds a space, a quote or anything unprintable
is written as a JSON string, so that no peer's identity can forge a line.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from typing import TextIO

from rhp.node.vocabulary import EVENTS, FIELDS

_PLAIN = re.compile(r"[!#-<>-\[\]-~]+")
_LONGEST_VALUE = 300


class RateLimit:
    """A bucket of `burst` tokens that refills with `rate` a second; the time is given."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, float(burst)
        self._tokens, self._last = float(burst), 0.0
        self.suppressed = 0

    def allows(self, now: float) -> bool:
        """Take a token; without one, count what is suppressed."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._last) * self._rate)
        self._last = now
        if self._tokens < 1.0:
            self.suppressed += 1
            return False
        self._tokens -= 1.0
        return True

    def take_suppressed(self) -> int:
        """How many were suppressed since the last question."""
        count, self.suppressed = self.suppressed, 0
        return count


class EventLog:
    """Writes events to the standard logging. `clock` is any clock that never goes back, in seconds."""

    def __init__(self, clock: Callable[[], float], rate: float = 1.0, burst: int = 20) -> None:
        self._clock = clock
        self._limit = RateLimit(rate, burst)
        self._logger = logging.getLogger("rhp")

    def write(self, event: str, **fields: object) -> None:
        """Write one line; fields that are None or empty are left out. KeyError for a word outside the vocabulary."""
        word = EVENTS[event]
        if not self._logger.isEnabledFor(word.level):
            return
        if word.by_stranger and not self._limit.allows(self._clock()):
            return
        if suppressed := self._limit.take_suppressed() if word.by_stranger else 0:
            self._logger.warning(render("lines suppressed", {"suppressed": suppressed}))
        self._logger.log(word.level, render(event, fields))


def render(event: str, fields: dict[str, object]) -> str:
    """The line without time and level. KeyError for a field outside the vocabulary."""
    parts = [event]
    for name, value in fields.items():
        if name not in FIELDS:
            raise KeyError(name)
        if value is not None and value != "":
            parts.append(f"{name}={quote(str(value))}")
    return " ".join(parts)


def quote(value: str) -> str:
    """Write a value so that it is one word, and short."""
    if len(value) > _LONGEST_VALUE:
        value = value[:_LONGEST_VALUE] + "..."
    return value if _PLAIN.fullmatch(value) else json.dumps(value)


def set_up(level: str, stream: TextIO | None = None) -> None:
    """Send the log of this program to `stream` (standard error by default) from `level` on; safe twice."""
    logger = logging.getLogger("rhp")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    handler = logging.StreamHandler(stream or sys.stderr)
    formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%S%z")
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    logger.propagate = False
