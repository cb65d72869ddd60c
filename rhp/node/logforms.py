"""The forms of the log: text for people, JSON for collectors, the journal's own fields where systemd reads it."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from rhp.node.journald import JournalHandler

FORMS = ("auto", "text", "json", "journal")


class TextFormatter(logging.Formatter):
    """The time, the level, the line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%S%z")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, subsystem, event, and the fields beside them; ASCII only."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "subsystem": record.name.rpartition(".")[2],
            "event": getattr(record, "event", record.getMessage()),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def handler_for(form: str, stream: TextIO | None, environment: Mapping[str, str] = os.environ) -> logging.Handler:
    """The handler that writes the log in that form; OSError when there is no journal to write to.

    "auto" is "journal" where systemd has connected `stream` with its journal, and "text" everywhere else.
    """
    stream = stream or sys.stderr
    if form == "auto":
        form = "journal" if _is_journal(stream, environment) else "text"
    if form == "journal":
        return JournalHandler()
    # A stream that its owner closes, so nobody else has to.
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    return handler


def _is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether JOURNAL_STREAM, "device:inode", names this very stream (systemd.exec(5)): it is inherited by all."""
    named = environment.get("JOURNAL_STREAM", "")
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{found.st_dev}:{found.st_ino}"
