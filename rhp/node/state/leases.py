"""The leases of all pools, as the state file has them and as `rhp leases` shows them.

The pools in the engine decide; this is the book that is kept of it, with dates, which the engine does not know. Peers
without a name are in the book while they have an address, but not in the file: they are never the same peer again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

from rhp.node.state.writer import Key, Value
from rhp.pki.identity import ANONYMOUS, format_identity
from rhp.realm.pool import IpAddress
from rhp.realm.pools import Remembered
from rhp.wire.iana import IdType
from rhp.wire.identity import Identity

Put = Callable[[Key, str, tuple[Value, ...]], None]

_READ = "SELECT pool, address, id_type, id_data, since, changed FROM leases ORDER BY in_use, changed"
_WRITE = "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?, ?, ?)"
_DELETE = "DELETE FROM leases WHERE pool = ? AND address = ?"


@dataclass(slots=True)
class Entry:
    """One address and whose it is; dates in seconds since 1970."""

    identity: Identity
    in_use: bool
    since: int
    changed: int


class LeaseBook:
    """Every lease with its dates. `put` hands a change to the writer."""

    def __init__(self, put: Put, wall_clock: Callable[[], datetime]) -> None:
        self._put = put
        self._wall_clock = wall_clock
        self._entries: dict[tuple[str, IpAddress], Entry] = {}

    def load(self, connection: sqlite3.Connection) -> list[Remembered]:
        """What the file has, in the order that the pools want: what rested longest first, then what was in use.

        Nothing is in use any more. A row that is none is taken out.
        """
        found: list[Remembered] = []
        for pool, address, id_type, id_data, since, changed in connection.execute(_READ).fetchall():
            one = _remembered(pool, address, id_type, id_data)
            if one is None or type(since) is not int or type(changed) is not int:
                self._put(("lease", str(pool), str(address)), _DELETE, (pool, address))
                continue
            found.append(one)
            self._entries[one.pool, one.address] = Entry(one.identity, False, since, changed)
        return found

    def keep_only(self, kept: tuple[Remembered, ...]) -> None:
        """Forget what the pools did not take up again, as where a pool is another one now."""
        known = {(one.pool, one.address) for one in kept}
        for pool, address in [key for key in self._entries if key not in known]:
            self.changed(pool, address, None, in_use=False)

    def changed(self, pool: str, address: IpAddress, identity: Identity | None, *, in_use: bool) -> None:
        """An address was taken or left, or with `identity` None it is nobody's any more."""
        key = pool, address
        if identity is None:
            if self._entries.pop(key, None) is not None:
                self._put(("lease", pool, str(address)), _DELETE, (pool, str(address)))
            return
        now, before = int(self._wall_clock().timestamp()), self._entries.get(key)
        since = before.since if before is not None and before.identity == identity else now
        self._entries[key] = Entry(identity, in_use, since, now)
        self._write(pool, address, self._entries[key])

    def put_all(self) -> None:
        """Write everything again, into a file that is new."""
        for (pool, address), entry in self._entries.items():
            self._write(pool, address, entry)

    def picture(self) -> list[dict[str, Any]]:
        """Every lease as plain data, by pool and address."""
        ordered = sorted(self._entries.items(), key=lambda item: (item[0][0], item[0][1].version, int(item[0][1])))
        return [
            {
                "address": str(address),
                "pool": pool,
                "identity": format_identity(entry.identity),
                "state": "in use" if entry.in_use else "kept",
                "since": _date(entry.since),
                "changed": _date(entry.changed),
            }
            for (pool, address), entry in ordered
        ]

    def owners(self, address: IpAddress) -> Iterator[str]:
        """Who has that address, as text."""
        return (format_identity(entry.identity) for (_, ip), entry in self._entries.items() if ip == address)

    def _write(self, pool: str, address: IpAddress, entry: Entry) -> None:
        where, who = (pool, str(address)), entry.identity
        if who == ANONYMOUS:
            self._put(("lease", *where), _DELETE, where)
            return
        values = (*where, int(who.id_type), who.data, int(entry.in_use), entry.since, entry.changed)
        self._put(("lease", *where), _WRITE, values)


def _remembered(pool: object, address: object, id_type: object, id_data: object) -> Remembered | None:
    if not isinstance(pool, str) or not isinstance(address, str):
        return None
    if not isinstance(id_type, int) or not isinstance(id_data, bytes):
        return None
    with suppress(ValueError):
        return Remembered(pool, Identity(IdType(id_type), id_data), ip_address(address))
    return None


def _date(seconds: int) -> str:
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    return ""
