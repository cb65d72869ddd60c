"""The node's last log lines, kept in memory for `rhp log`: a bounded ring beside whatever else the log goes to.

A line is told as it was written, and its words and fields apart, so that who asks can choose by them. Nothing is here
that is not in the log.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

LINES_KEPT = 2000
LONGEST_LINE = 2000
"""Characters; a traceback that is longer loses its beginning."""
LEVELS = ("debug", "info", "warning", "error")

_FIELD = re.compile(r' ([a-z_]+)=("(?:[^"\\]|\\.)*"|[^ "]+)')

Line = dict[str, Any]


class LogRing(logging.Handler):
    """Keeps the newest lines of the "rhp" logger from `attach` to `detach`; `heard` is told of each, in its thread."""

    def __init__(self, heard: Callable[[Line], None], kept: int = LINES_KEPT) -> None:
        super().__init__()
        self._heard = heard
        self._lines: deque[Line] = deque(maxlen=kept)
        self._number = 0
        self._thread = threading.get_ident()

    def attach(self) -> None:
        """Begin to keep lines."""
        logging.getLogger("rhp").addHandler(self)

    def detach(self) -> None:
        """Keep no further lines. Safe twice."""
        logging.getLogger("rhp").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line; a mistake in it must not reach who wrote it."""
        try:
            self._number += 1
            line = _line(self._number, record)
        except Exception:
            self.handleError(record)
            return
        self._lines.append(line)
        if threading.get_ident() == self._thread:
            self._heard(line)

    def lines(self, wanted: Callable[[Line], bool], most: int) -> list[Line]:
        """The newest `most` lines that are wanted, the oldest of them first."""
        found: list[Line] = []
        for line in reversed(self._lines.copy()):
            if len(found) >= most:
                break
            if wanted(line):
                found.append(line)
        return found[::-1]


def wants(fields: Mapping[str, str]) -> Callable[[Line], bool]:
    """Whether a line is wanted, by a request's `level` (that and everything graver) and `connection`."""
    lowest = LEVELS.index(fields.get("level", "debug"))
    connection = fields.get("connection")

    def wanted(line: Line) -> bool:
        return LEVELS.index(line["level"]) >= lowest and connection in (None, line["fields"].get("connection"))

    return wanted


def _line(number: int, record: logging.LogRecord) -> Line:
    text = record.getMessage()
    if record.exc_info:
        text += "\n" + logging.Formatter().formatException(record.exc_info)
    fields = dict(_fields(text))
    return {
        "number": number,
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": _level(record.levelno),
        "event": _FIELD.split(text, maxsplit=1)[0].partition("\n")[0],
        "fields": fields,
        "text": text if len(text) <= LONGEST_LINE else f"...{text[-LONGEST_LINE:]}",
    }


def _level(number: int) -> str:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """The fields of a line of `rhp.node.log`, one behind the other, so that no value can be taken for a field."""
    for match in _FIELD.finditer(text.partition("\n")[0]):
        value = match[2]
        try:
            yield match[1], json.loads(value) if value.startswith('"') else value
        except ValueError:
            yield match[1], value
