"""What each connection has carried and done in all its life, over restarts: `rhp status --totals`.

The data plane counts for a port, and the port goes with its Child SA. So what is new is added up from time to time, and
once more when a port is about to go.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Protocol

from rhp.ike import events
from rhp.ike.errors import Fault
from rhp.node.children import Lineage
from rhp.node.state.writer import Key, Value

Put = Callable[[Key, str, tuple[Value, ...]], None]

_COUNTED = ("bytes_in", "bytes_out", "packets_in", "packets_out")
_MOST = (1 << 63) - 1


@dataclass(slots=True)
class Totals:
    """Of one connection; `since` is a date and `up_seconds` the time with a peer, both in seconds."""

    since: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    packets_in: int = 0
    packets_out: int = 0
    handshakes: int = 0
    resumed: int = 0
    rekeys: int = 0
    failures: int = 0
    up_seconds: int = 0


_COLUMNS = [one.name for one in fields(Totals)]
_READ = f"SELECT connection, {', '.join(_COLUMNS)} FROM totals"  # noqa: S608  # Names of our own.
_WRITE = f"INSERT OR REPLACE INTO totals VALUES (?{', ?' * len(_COLUMNS)})"  # noqa: S608


class Ports(Protocol):
    """Who counts for each port."""

    def port_counters(self, port: int) -> dict[str, int]:
        """The counters of one port, octets and packets among them."""
        ...


class TotalsBook:
    """Adds up and writes down. `lineages` gives those that live; `now` are seconds on the loop's clock."""

    def __init__(self, put: Put, wall_clock: Callable[[], datetime], ports: Ports, lineages: Iterable[Lineage]) -> None:
        self._put = put
        self._wall_clock = wall_clock
        self._ports = ports
        self._lineages = lineages
        self._totals: dict[str, Totals] = {}
        self._counted: dict[int, dict[str, int]] = {}
        self._up: dict[str, set[int]] = {}
        self._up_from: dict[str, float] = {}
        self._dirty: set[str] = set()

    def load(self, connection: sqlite3.Connection) -> None:
        """Go on from what the file has; a row that is none counts from zero."""
        for name, *values in connection.execute(_READ).fetchall():
            if isinstance(name, str) and all(type(value) is int and value >= 0 for value in values):
                self._totals[name] = Totals(*values)

    def heard(self, event: events.Event, now: float) -> None:
        """Count what the engine tells."""
        name = getattr(event, "connection", "")
        if not name:
            return
        match event:
            case events.IkeEstablished():
                one = self._of(name)
                one.handshakes += 1
                one.resumed += event.resumed
                self._up_from.setdefault(name, now)
                self._up.setdefault(name, set()).add(event.ike_id)
            case events.IkeReauthenticated():
                self._of(name).handshakes += 1
            case events.IkeRekeyed() | events.ChildRekeyed():
                self._of(name).rekeys += 1
            case events.IkeClosed():
                self._went(name, event.ike_id, now)
            case events.InitiationFailed(fault=fault) if fault is not Fault.NONE:
                self._of(name).failures += 1
            case events.HandshakeRefused():
                self._of(name).failures += 1

    def ended(self, lineage: Lineage) -> None:
        """The port of a lineage is about to go."""
        self._count(lineage)
        self._counted.pop(lineage.port, None)

    def collect(self, now: float) -> None:
        """Add up what is new."""
        for lineage in self._lineages:
            self._count(lineage)
        for name, began in self._up_from.items():
            whole = int(now - began)
            if whole > 0:
                self._of(name).up_seconds += whole
                self._up_from[name] = began + whole

    def write(self) -> None:
        """Hand what has changed to the writer."""
        for name in self._dirty:
            values = (min(value, _MOST) for value in astuple(self._totals[name]))
            self._put(("totals", name), _WRITE, (name, *values))
        self._dirty.clear()

    def put_all(self) -> None:
        """Write everything again, into a file that is new."""
        self._dirty.update(self._totals)
        self.write()

    def picture(self) -> list[dict[str, Any]]:
        """All totals as plain data, by name."""
        return [
            {"connection": name, **{column: getattr(one, column) for column in _COLUMNS}, "since": _date(one.since)}
            for name, one in sorted(self._totals.items())
        ]

    def _of(self, name: str) -> Totals:
        self._dirty.add(name)
        if name not in self._totals:
            self._totals[name] = Totals(since=int(self._wall_clock().timestamp()))
        return self._totals[name]

    def _count(self, lineage: Lineage) -> None:
        fresh = self._ports.port_counters(lineage.port)
        before = self._counted.get(lineage.port, {})
        self._counted[lineage.port] = {name: fresh[name] for name in _COUNTED}
        gained = {name: fresh[name] - before.get(name, 0) for name in _COUNTED}
        if any(gained.values()):
            one = self._of(lineage.connection)
            for name, octets in gained.items():
                setattr(one, name, getattr(one, name) + octets)

    def _went(self, name: str, ike_id: int, now: float) -> None:
        living = self._up.get(name, set())
        living.discard(ike_id)
        began = self._up_from.get(name)
        if not living and began is not None:
            self._of(name).up_seconds += round(now - began)
            del self._up_from[name], self._up[name]


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(min(seconds, 253402300799), UTC).isoformat()
