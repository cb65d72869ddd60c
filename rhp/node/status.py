"""The picture of the running node, as plain data for `rhp status` and everyone else at the control socket.

Names here are a promise (`schema_version`): fields may be added, never renamed. Times are seconds, or milliseconds
where the name says so; octet counts are inner payload octets; SPIs are hexadecimal.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from rhp._fast.evp import openssl_version
from rhp.ike.assignment import Assignment
from rhp.ike.config import ConnectionConfig
from rhp.ike.engine import Engine
from rhp.ike.status import ChildStatus, IkeStatus
from rhp.node import lanes, realms
from rhp.node.adapter import Adapter
from rhp.node.children import Children
from rhp.node.edges import Edges
from rhp.node.hooks import HookAsker
from rhp.node.hubs import Hubs
from rhp.node.journal import Journal
from rhp.node.keeper import Keeper
from rhp.node.pathmtu import PathMtus
from rhp.node.pathwatch import PathWatch
from rhp.node.selectors import format_selectors
from rhp.node.settings import NodeSettings
from rhp.node.sinks import Sinks
from rhp.node.state.store import Store
from rhp.pki.identity import format_identity

if TYPE_CHECKING:
    from rhp.spi.esp import DataPlane

SCHEMA_VERSION = 1
MACS_SHOWN = 1000
"""As many stations as are shown where nobody asks for more, or for fewer."""


@dataclass(slots=True)
class Sources:
    """Where the picture is taken from. `starts` says of each connection how it begins."""

    engine: Engine
    plane: DataPlane
    children: Children
    paths: PathMtus
    watch: PathWatch
    keeper: Keeper
    journal: Journal
    hubs: Hubs
    edges: Edges
    sinks: Sinks
    store: Store
    hooks: HookAsker
    adapter: Adapter
    settings: NodeSettings
    starts: Mapping[str, str]
    established_ms: Mapping[int, float]
    realms: Sequence[ConnectionConfig] = ()


@cache
def program_version() -> str:
    """The version of this program; looked up once, for it costs some milliseconds."""
    return version("rhp")


def picture(sources: Sources, state: str, uptime: float, now: float) -> dict[str, Any]:
    """The whole picture. `state` is the node's own, `now` the engine's time.

    The two long lists are iterators: with a thousand peers they are made while the answer is sent, a few entries in a
    turn, so that the node does its work in between.
    """
    settings = sources.settings
    gallery = Gallery(sources, now)
    return {
        "schema_version": SCHEMA_VERSION,
        "version": program_version(),
        "openssl": openssl_version(),
        "pid": os.getpid(),
        "guard_pid": os.getppid(),
        "state": state,
        "uptime_s": round(uptime, 1),
        "interface": sources.hubs.own.tap.picture(),
        "hubs": sources.hubs.picture(),
        "ports": {"ike": settings.port, "natt": settings.natt_port},
        "esp_provider": settings.esp_provider,
        "lanes": sources.plane.lanes,
        "steering": settings.steering,
        "lane_details": lanes.lane_details(sources.plane),
        "offloads": lanes.offloads(sources.plane),
        "connections": gallery.connections(),
        "ike_sas": gallery.ike_sas(),
        "realms": realms.picture(sources.realms, lambda: gallery.sas),
        "pools": pools(sources),
        "macs": macs(sources),
        "failures": sources.journal.failures(),
        "counters": {
            "engine": dict(sources.engine.counters),
            "node": {**counted(sources), **sources.sinks.counters()},
            "edges": sources.edges.counters(),
            "dataplane": sources.plane.counters(),
        },
    }


def counted(sources: Sources) -> Counter[str]:
    """What the node counts beside engine, sockets and packets. A word of the log may be counted in several rooms."""
    found: Counter[str] = Counter()
    for room in (sources.adapter, sources.journal, sources.watch, sources.store, sources.hooks):
        found.update(room.counters)
    return found


class Gallery:
    """The entries of all IKE SAs at one moment. What is shown twice is made once."""

    def __init__(self, sources: Sources, now: float) -> None:
        self._sources = sources
        self._now = now
        self._made: dict[int, dict[str, Any]] = {}

    @cached_property
    def sas(self) -> list[IkeStatus]:
        """Every IKE SA, as it was when somebody first asked."""
        return self._sources.engine.status()

    def connections(self) -> Iterator[dict[str, Any]]:
        """Every configured connection with its newest IKE SA, then the SAs that belong to none yet."""
        by_name: dict[str, list[IkeStatus]] = {}
        for sa in self.sas:
            by_name.setdefault(sa.connection, []).append(sa)
        starts = self._sources.starts
        for name in starts:
            yield self._connection(name, by_name.get(name, []))
        for sa in self.sas:
            if sa.connection and sa.connection not in starts:
                yield self._connection(sa.connection, [sa])

    def ike_sas(self) -> Iterator[dict[str, Any]]:
        """Every IKE SA, half-open ones included, in the order of their making."""
        for sa in self.sas:
            yield {"connection": sa.connection or None, **self.entry(sa)}

    def entry(self, sa: IkeStatus) -> dict[str, Any]:
        """What is shown of one IKE SA."""
        made = self._made.get(sa.ike_id)
        if made is None:
            made = self._made[sa.ike_id] = self.make(sa)
        return made

    def make(self, sa: IkeStatus) -> dict[str, Any]:
        """Make that."""
        return _ike(sa, self._sources, self._now)

    def _connection(self, name: str, sas: list[IkeStatus]) -> dict[str, Any]:
        sources = self._sources
        live = [sa for sa in sas if sa.established_at is not None]
        newest = max(live or sas, key=lambda sa: (sa.established_at or 0.0, sa.created_at), default=None)
        error = sources.journal.last_errors.get(name)
        retry = sources.keeper.retry_in(name) if name in sources.starts else None
        sent_to = sources.engine.redirects().get(name)
        return {
            "name": name,
            "state": _state(sas, live, error),
            "redirects_to": None if sent_to is None else str(sent_to),
            "start": sources.starts.get(name),
            "last_error": error,
            "retry_in_s": None if retry is None else round(retry, 1),
            "peers": len(live),
            **(self.entry(newest) if newest else _NO_IKE),
        }


def _state(sas: list[IkeStatus], live: list[IkeStatus], error: str | None) -> str:
    if live:
        return "established"
    if sas:
        return "connecting"
    return "failed" if error else "idle"


def pools(sources: Sources) -> list[dict[str, Any]]:
    """How full each pool of inner addresses is."""
    return [
        {"name": one.name, "size": one.size, "online": one.online, "resting": one.resting}
        for one in sources.engine.pools()
    ]


def macs(sources: Sources) -> list[dict[str, Any]]:
    """What the hubs have learned, newest first, bounded; `hub` is None for the node's own."""
    owners = {lineage.port: lineage.connection for lineage in sources.children}
    found = ((*entry, hub.name or None) for hub in sources.hubs for entry in sources.plane.macs(hub.number))
    listed = sorted(found, key=lambda entry: entry[2])[:MACS_SHOWN]
    return [
        {"mac": mac.hex(":"), "port": port, "hub": hub, "connection": owners.get(port), "age_s": round(age, 1)}
        for mac, port, age, hub in listed
    ]


def _ike(sa: IkeStatus, sources: Sources, now: float) -> dict[str, Any]:
    return {
        "ike_id": sa.ike_id,
        "ike_state": sa.state,
        "role": sa.role,
        "local": format_identity(sa.local) if sa.local else None,
        "peer": format_identity(sa.peer) if sa.peer else None,
        "realm": sa.realm or None,
        "path": {"local": str(sa.path.local), "remote": str(sa.path.remote), "natt": sa.path.natt},
        "nat": {"local": sa.nat_local, "remote": sa.nat_remote},
        "mobike": sa.mobike,
        "told_addresses": [str(ip) for ip in sa.told_addresses],
        "peer_addresses": [str(ip) for ip in sa.peer_addresses],
        "suite": sa.suite,
        "ppk": sa.ppk,
        "ike_spi_i": sa.spi_i.hex(),
        "ike_spi_r": sa.spi_r.hex(),
        "established_ms": sources.established_ms.get(sa.ike_id),
        "age_s": since(sa.established_at, now),
        "rekey_in_s": until(sa.rekey_at, now),
        "expires_in_s": until(sa.expires_at, now),
        "reauth_in_s": until(sa.reauth_at, now),
        "asks": sa.asks,
        "last_seen_s": since(sa.last_seen, now),
        "assigned": assigned(sa.assigned) if sa.assigned else None,
        "leased": [str(address) for address in sa.leased],
        "children": [_child(child, sources, now) for child in sa.children],
    }


def assigned(given: Assignment) -> dict[str, Any]:
    """What a peer gave us by a configuration payload."""
    names = ("addresses", "dns", "domains", "nbns", "subnets")
    return {**{name: [str(one) for one in getattr(given, name)] for name in names}, "version": given.version}


_NO_IKE: dict[str, Any] = {
    **dict.fromkeys(
        ("ike_id", "ike_state", "role", "local", "peer", "realm", "path", "nat", "suite", "ike_spi_i", "ike_spi_r")
    ),
    **dict.fromkeys(("ppk", "established_ms", "age_s", "rekey_in_s", "expires_in_s", "reauth_in_s", "last_seen_s")),
    "asks": None,
    "realm": None,
    "assigned": None,
    "leased": [],
    "mobike": None,
    "told_addresses": [],
    "peer_addresses": [],
    "children": [],
}


def _child(child: ChildStatus, sources: Sources, now: float) -> dict[str, Any]:
    lineage = sources.children.get(child.spi_in)
    counters: dict[str, int] = {}
    pairs: list[dict[str, int]] = []
    if lineage is not None and child.lane is None:
        # The port outlives the pairs, and counts for those of all lanes.
        counters = sources.plane.port_counters(lineage.port)
        pairs = [sources.plane.sa_counters(spi) for spi in lineage.spis]
    elif lineage is not None:
        counters = sources.plane.sa_counters(child.spi_in)
        pairs = [counters]
    return {
        "child_id": child.child_id,
        "lane": child.lane,
        "name": child.name,
        "mode": child.mode,
        "state": child.state,
        "suite": child.suite,
        "encapsulation": child.encapsulation,
        "spi_in": f"{child.spi_in:08x}",
        "spi_out": f"{child.spi_out:08x}",
        "local_ts": format_selectors(child.local_ts),
        "remote_ts": format_selectors(child.remote_ts),
        "port": lineage.port if lineage else None,
        "mtu": lineage.mtu if lineage else None,
        "path_mtu": sources.paths.mtu(lineage.remote_ip) if lineage else None,
        "path_mtu_from": sources.paths.source(lineage.remote_ip) if lineage else None,
        "pseudo_mac": lineage.pseudo_mac.hex(":") if lineage and lineage.pseudo_mac else None,
        "bytes_in": counters.get("bytes_in", 0),
        "bytes_out": counters.get("bytes_out", 0),
        "packets_in": counters.get("packets_in", 0),
        "packets_out": counters.get("packets_out", 0),
        "lanes": lanes.shares(sources.plane, lineage.port) if lineage and child.lane is None else [],
        "replay_drops": sum(pair["replay_drops"] for pair in pairs),
        "auth_drops": sum(pair["auth_drops"] for pair in pairs),
        "age_s": since(child.established_at, now),
        "rekey_in_s": until(child.rekey_at, now),
        "expires_in_s": until(child.expires_at, now),
    }


def since(moment: float | None, now: float) -> float | None:
    """Seconds from then to now."""
    return None if moment is None else round(max(0.0, now - moment), 1)


def until(moment: float | None, now: float) -> float | None:
    """Seconds from now to then."""
    return None if moment is None else round(max(0.0, moment - now), 1)
