"""What differs between the configuration in force and another one: connections, and the settings of the node itself.

A setting that cannot change in a running node is named, and then nothing is changed at all: half a configuration in
force is worse than the old one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields

from rhp.ike.changes import ConnectionChange, compare
from rhp.ike.config import EngineConfig
from rhp.node.settings import HubSettings, InterfaceSettings, NodeSettings

LIVE = frozenset(
    {
        "node.log_level",
        "node.log_levels",
        "interface.addresses",
        "interface.mtu",
        *(f"hub.{one.name}" for one in fields(HubSettings)),
        "hubs.NAME",
        "hubs.NAME.interface.addresses",
        "hubs.NAME.interface.mtu",
        *(f"hubs.NAME.{one.name}" for one in fields(HubSettings)),
        "pools.NAME",
    }
)
"""What a running node takes over, connections and realms aside. Every other key needs a restart."""

_INNER = frozenset({"interface", "hub", "hosts", "hubs"})

_Key = tuple[str, str]
"""A key as it is told, and as it stands in `LIVE`."""


@dataclass(frozen=True, slots=True)
class Able:
    """What is opened or kept at the start alone: sockets of IP protocol 50, and the guard's right to use assigned
    addresses and name servers."""

    raw_esp: bool
    assigned: bool

    @classmethod
    def of(cls, config: EngineConfig) -> Able:
        """What a node and its guard can that began with that configuration."""
        raw_esp = any(one.encapsulation == "auto" for one in config.connections)
        return cls(raw_esp, any(one.request_addresses for one in config.connections))


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference by names: connections, then keys such as "node.log_level" and "pools.staff".

    `settings` are those that a running node takes over, `restart` those that it cannot.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[ConnectionChange, ...] = ()
    settings: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.settings or self.restart)


def difference(
    old: tuple[NodeSettings, EngineConfig],
    new: tuple[NodeSettings, EngineConfig],
    fresh: Mapping[str, Collection[str]],
    able: Able,
) -> Changes:
    """Compare two configurations; `fresh` has the connections behind which stand other secrets than before, and the
    patterns of the peers whose secrets these are, none for all."""
    (before, old_engine), (after, new_engine) = old, new
    was = {one.name: one for one in old_engine.connections}
    will_be = {one.name: one for one in new_engine.connections}
    changed = []
    for name, connection in will_be.items():
        if name in was:
            moved = before.hosts.get(name, ()) != after.hosts.get(name, ())
            if connection is was[name] and not moved and name not in fresh:
                continue
            change = compare(was[name], connection, fresh=fresh.get(name), moved=moved)
            if change is not None:
                changed.append(change)
    keys = [*_settings(before, after), *_engine(old_engine, new_engine)]
    restart = [key for key, kind in keys if kind not in LIVE]
    if not able.raw_esp:
        wanting = [one for one in will_be.values() if one.encapsulation == "auto"]
        restart += [f"{'realms' if one.match else 'connections'}.{one.name}.encapsulation" for one in wanting]
    if not able.assigned:
        restart += [f"connections.{name}.request_addresses" for name, one in will_be.items() if one.request_addresses]
    return Changes(
        added=tuple(name for name in will_be if name not in was),
        removed=tuple(name for name in was if name not in will_be),
        changed=tuple(changed),
        settings=tuple(key for key, kind in keys if kind in LIVE),
        restart=tuple(restart),
    )


def _settings(old: NodeSettings, new: NodeSettings) -> Iterator[_Key]:
    yield from _differing("node", "node", old, new)
    yield from _differing("interface", "interface", old.interface, new.interface)
    yield from _differing("hub", "hub", old.hub, new.hub)
    before, after = {one.name: one for one in old.hubs}, {one.name: one for one in new.hubs}
    for name in {**before, **after}:
        if name not in before or name not in after:
            yield f"hubs.{name}", "hubs.NAME"
            continue
        yield from _differing(f"hubs.{name}", "hubs.NAME", before[name].hub, after[name].hub)
        interfaces = before[name].interface, after[name].interface
        yield from _differing(f"hubs.{name}.interface", "hubs.NAME.interface", *interfaces)


def _differing(
    place: str,
    kind: str,
    old: NodeSettings | InterfaceSettings | HubSettings,
    new: NodeSettings | InterfaceSettings | HubSettings,
) -> Iterator[_Key]:
    for one in fields(old):
        if one.name not in _INNER and getattr(old, one.name) != getattr(new, one.name):
            yield f"{place}.{one.name}", f"{kind}.{one.name}"


def _engine(old: EngineConfig, new: EngineConfig) -> Iterator[_Key]:
    if old.extensions != new.extensions:
        yield "node.extensions", "node.extensions"
    before, after = {one.name: one for one in old.pools}, {one.name: one for one in new.pools}
    for name in {**before, **after}:
        if before.get(name) != after.get(name):
            yield f"pools.{name}", "pools.NAME"
