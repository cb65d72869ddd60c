"""What `rhp status --totals` shows: what each connection carried and did in all its life."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rhp.cli.table import ago, octets, render, span

_HEAD = ("CONNECTION", "SINCE", "UP", "RECEIVED", "SENT", "PACKETS IN", "PACKETS OUT", "HANDSHAKES", "REKEYS", "FAILED")


def total_lines(found: list[dict[str, Any]], now: datetime, room: int | None = None) -> Iterator[str]:
    """The totals as text, for `room` columns; `now` is aware."""
    if not found:
        yield "no connection has been up yet"
        return
    rows = [
        (
            one["connection"],
            ago(one["since"], now),
            span(one["up_seconds"]),
            octets(one["bytes_in"]),
            octets(one["bytes_out"]),
            one["packets_in"],
            one["packets_out"],
            one["handshakes"],
            one["rekeys"],
            one["failures"],
        )
        for one in found
    ]
    yield from render(_HEAD, rows, room)
