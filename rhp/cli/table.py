"""A plain table: columns as wide as they need, never cut; on a narrow terminal a row goes over several lines."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime


def room() -> int | None:
    """The columns of the terminal; None for what reads from a pipe, which wants a row in one line, however long."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def render(head: Sequence[str], rows: Iterable[Sequence[object]], room: int | None = None) -> list[str]:
    """Give the lines; a None is shown as "-". Rows are as long as the head.

    Columns that find no more room in `room` characters go to a further line, indented, in the head as in every row.
    """
    table = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    shapes = [
        "  " * bool(fold.start) + "  ".join(f"{{{at}:{widths[at]}}}" for at in fold) for fold in _folds(widths, room)
    ]
    return [shape.format(*row).rstrip() for row in table for shape in shapes]


def _folds(widths: Sequence[int], room: int | None) -> list[range]:
    """Which columns share a line."""
    folds, start, used = [], 0, 0
    for column, width in enumerate(widths):
        if room is not None and column > start and used + width > room:
            folds.append(range(start, column))
            start, used = column, 2
        used += width + 2
    return [*folds, range(start, len(widths))]


def octets(count: int) -> str:
    """A number of octets for people: "1.5 MB"."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000.0:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000.0
    return f"{value:.1f} TB"


def rate(octets_per_second: float) -> str:
    """What a tunnel carries, for people, in bits as networks are measured: "12.5 Mbit/s"."""
    value = octets_per_second * 8
    for unit in ("bit/s", "kbit/s", "Mbit/s"):
        if value < 1000.0:
            return f"{value:.0f} {unit}" if unit == "bit/s" else f"{value:.1f} {unit}"
        value /= 1000.0
    return f"{value:.1f} Gbit/s"


def span(seconds: float | None) -> str:
    """A span of time for people: "2h13m"."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def ago(date: str, now: datetime) -> str:
    """How long a date in ISO form is ago, for people: "2h13m ago"; `now` is aware."""
    try:
        then = datetime.fromisoformat(date)
    except ValueError:
        return "-"
    return f"{span(max(0.0, (now - then).total_seconds()))} ago"


def plain(text: str) -> str:
    """Text for a terminal: a peer's identity comes from the network, and nothing of it may steer the terminal."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else plain(str(value))
