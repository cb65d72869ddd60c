"""Tickets that must not come a second time, kept over a restart (RFC 5723 section 4.3.1: a ticket is good once).

The gateway's keys for tickets outlive it, so what it has spent has to as well. A thief could do little with a spent
ticket: without the SK_d that goes with it nobody gets further than to a half-open IKE SA. Therefore a power cut may
cost the last seconds, and nothing waits for the disk.

The tickets that we hold of others are not written down. With a ticket goes its SK_d, and who reads that from a disk
can read what a resumed IKE SA carries until its next key exchange. A client that starts anew has its own credentials
and makes a full handshake, one round trip more; a gateway's thousand clients come back by tickets all the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime

from rhp.node.state.writer import Key, Value

Put = Callable[[Key, str, tuple[Value, ...]], None]

_READ = "SELECT ticket_id, expires FROM spent_tickets WHERE expires > ? ORDER BY expires DESC LIMIT ?"
_WRITE = "INSERT OR REPLACE INTO spent_tickets VALUES (?, ?)"
_SWEEP = "DELETE FROM spent_tickets WHERE expires <= ?"


class SpentBook:
    """Writes spent tickets down and sweeps those out that are over. `put` hands a change to the writer."""

    def __init__(self, put: Put, wall_clock: Callable[[], datetime]) -> None:
        self._put = put
        self._wall_clock = wall_clock

    def load(self, connection: sqlite3.Connection, most: int) -> list[tuple[bytes, int]]:
        """The `most` that expire last, in the order in which they do, with their dates in seconds since 1970."""
        rows = connection.execute(_READ, (self._now(), most)).fetchall()
        return [(one, date) for one, date in reversed(rows) if isinstance(one, bytes) and type(date) is int]

    def spent(self, ticket_id: bytes, expires: int) -> None:
        """One more."""
        self._put(("spent", ticket_id), _WRITE, (ticket_id, expires))

    def sweep(self) -> None:
        """Take those out of the file that have expired."""
        self._put(("spent-sweep",), _SWEEP, (self._now(),))

    def _now(self) -> int:
        return int(self._wall_clock().timestamp())
