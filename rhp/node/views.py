"""What of the running node can be looked at, a view each: `status`, `peers`, `sas`, `hub`, `log`.

A view reads and changes nothing. Like the status, each carries `schema_version` and keeps its names for good. Lists
that may be long are iterators, which the control socket sends in pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from rhp.ike.status import ChildStatus, IkeStatus
from rhp.node import stations
from rhp.node.choosing import matches, number
from rhp.node.control.protocol import Request
from rhp.node.control.server import CommandRefused
from rhp.node.logring import LEVELS, LINES_KEPT, LogRing, wants
from rhp.node.rows import Rows
from rhp.node.selectors import format_selectors
from rhp.node.status import SCHEMA_VERSION, Gallery, Sources
from rhp.pki.identity import format_identity

VIEWS = frozenset({"status", "peers", "sas", "hub", "log"})
"""The commands that are views."""

COUNTS = ("bytes_in", "bytes_out", "packets_in", "packets_out")


class Views:
    """Answers the commands that only look. `sources` and `picture` are taken anew for each."""

    def __init__(
        self,
        sources: Callable[[], Sources],
        picture: Callable[[], dict[str, Any]],
        ring: LogRing,
        clock: Callable[[], float],
        wall_clock: Callable[[], datetime],
    ) -> None:
        self._sources = sources
        self._picture = picture
        self._ring = ring
        self._clock = clock
        self._wall_clock = wall_clock

    def answer(self, request: Request) -> dict[str, Any]:
        """The view that the request names; raises `CommandRefused` where its fields make no sense."""
        fields = request.fields
        match request.command:
            case "peers":
                return self._peers(fields)
            case "sas":
                return self._sas(fields)
            case "hub":
                return {"schema_version": SCHEMA_VERSION, **stations.picture(self._sources(), fields)}
            case "log":
                return self._log(fields)
        picture = self._picture()
        if fields.get("form") == "brief":
            rows = Rows(self._sources(), self._clock())
            picture |= {"connections": rows.connections(), "ike_sas": rows.ike_sas()}
        return picture

    def _peers(self, fields: Mapping[str, str]) -> dict[str, Any]:
        sources, now, wall = self._sources(), self._clock(), self._wall_clock()
        chosen = [sa for sa in sources.engine.status() if sa.established_at is not None and _wanted(sa, fields)]
        return {
            "schema_version": SCHEMA_VERSION,
            "time": wall.isoformat(timespec="milliseconds"),
            "clock_s": round(now, 3),
            "total": len(chosen),
            "peers": (_peer(sa, sources, now, wall) for sa in chosen),
        }

    def _sas(self, fields: Mapping[str, str]) -> dict[str, Any]:
        gallery = Gallery(self._sources(), self._clock())
        gallery.sas = [sa for sa in gallery.sas if _wanted(sa, fields)]
        return {"schema_version": SCHEMA_VERSION, "total": len(gallery.sas), "ike_sas": gallery.ike_sas()}

    def _log(self, fields: Mapping[str, str]) -> dict[str, Any]:
        if fields.get("level", "debug") not in LEVELS:
            raise CommandRefused(f"there is no such level; there is {', '.join(LEVELS)}")
        most = number(fields.get("lines", str(LINES_KEPT)), LINES_KEPT)
        return {"schema_version": SCHEMA_VERSION, "lines": iter(self._ring.lines(wants(fields), most))}


def _wanted(sa: IkeStatus, fields: Mapping[str, str]) -> bool:
    if fields.get("connection", sa.connection) != sa.connection:
        return False
    peer = fields.get("peer")
    return peer is None or (sa.peer is not None and matches(format_identity(sa.peer), peer))


def _peer(sa: IkeStatus, sources: Sources, now: float, wall: datetime) -> dict[str, Any]:
    tunnels = list(_tunnels(sa, sources))
    age = max(0.0, now - (sa.established_at or now))
    return {
        "peer": format_identity(sa.peer) if sa.peer else None,
        "connection": sa.connection or None,
        "ike_id": sa.ike_id,
        "state": sa.state,
        "role": sa.role,
        "address": str(sa.path.remote),
        "local_address": str(sa.path.local),
        "nat": {"local": sa.nat_local, "remote": sa.nat_remote},
        "since": (wall - timedelta(seconds=age)).isoformat(timespec="seconds"),
        "age_s": round(age, 1),
        "last_seen_s": round(max(0.0, now - sa.last_seen), 1),
        "leased": [str(address) for address in sa.leased],
        "tunnels": tunnels,
        **{name: sum(one[name] for one in tunnels) for name in COUNTS},
    }


def _tunnels(sa: IkeStatus, sources: Sources) -> Iterator[dict[str, Any]]:
    """A peer's children, each once: the pairs of one port are the same tunnel, and are counted by the port."""
    seen: set[int] = set()
    for child in sa.children:
        lineage = sources.children.get(child.spi_in)
        if lineage is None or lineage.port in seen:
            continue
        seen.add(lineage.port)
        counted = sources.plane.port_counters(lineage.port)
        yield {
            **_tunnel(child),
            "port": lineage.port,
            "mtu": lineage.mtu,
            **{name: counted[name] for name in COUNTS},
        }


def _tunnel(child: ChildStatus) -> dict[str, Any]:
    return {
        "child": child.name,
        "mode": child.mode,
        "encapsulation": child.encapsulation,
        "remote_ts": format_selectors(child.remote_ts),
    }
