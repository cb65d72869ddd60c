"""What must hold of the hubs: their interfaces, their static stations, and who belongs to which."""

from __future__ import annotations

from rhp.config import values
from rhp.config.model import Configuration, Hub, Interface
from rhp.config.peering_checks import check_names
from rhp.config.reading import Findings
from rhp.config.suggest import nearest, one_of


def check_hubs(configuration: Configuration, findings: Findings) -> None:
    """Note every mistake in the node's own hub, in the others, and in what connections and realms say of them."""
    check_names("hubs", (), configuration.hubs, findings)
    _check_devices(configuration, findings)
    _check_addresses(configuration, findings)
    for place, _, interface in configuration.interfaces():
        _check_interface(place, interface, findings)
    _check_static(None, configuration.hub, configuration, findings)
    for name, hub in configuration.hubs.items():
        _check_static(name, hub, configuration, findings)
    _check_members(configuration, findings)


def _check_devices(configuration: Configuration, findings: Findings) -> None:
    """Each hub has an interface of its own."""
    owners: dict[str, str] = {}
    for place, device, interface in configuration.interfaces():
        named = "name" in interface.model_fields_set or place == ("interface",)
        here = (*place, "name") if named else place[:2]
        try:
            values.device(device)
        except ValueError:
            if not named:
                findings.add(here, f'no interface can be called {device}; write interface.name = "rhp1"')
        if owner := owners.get(device):
            whose = f"the hub {owner}" if owner != "interface" else "the node's own hub"
            findings.add(here, f'{whose} has the interface {device} already; write another one, such as "rhp1"')
        owners.setdefault(device, place[1] if len(place) > 1 else place[0])


def _check_addresses(configuration: Configuration, findings: Findings) -> None:
    owners: dict[object, str] = {}
    for place, device, interface in configuration.interfaces():
        for index, address in enumerate(interface.addresses):
            other = owners.setdefault(address.ip, device)
            if other != device:
                findings.add(
                    (*place, "addresses", index), f"the interface {other} has {address.ip} already; write another one"
                )


def _check_interface(place: tuple[str, ...], interface: Interface, findings: Findings) -> None:
    if interface.mtu != "auto" and interface.mtu < 1280 and any(one.version == 6 for one in interface.addresses):
        findings.add((*place, "mtu"), 'IPv6 needs at least 1280; write 1280 or more, or "auto"')
    if interface.bridge is not None and interface.addresses:
        findings.add(
            (*place, "addresses"),
            f"a bridged interface holds no address itself; give the address to {interface.bridge}",
        )


def _check_static(name: str | None, hub: Hub, configuration: Configuration, findings: Findings) -> None:
    """Static stations live behind a connection of that hub; behind a realm there are many peers."""
    here = ("hub", "static") if name is None else ("hubs", name, "static")
    seen: dict[bytes, int] = {}
    for index, entry in enumerate(hub.static):
        place = (*here, index)
        _check_station(place, entry.connection, name, configuration, findings)
        if entry.mac in seen:
            written = ".".join(here)
            findings.add(
                (*place, "mac"), f"{written}[{seen[entry.mac]}] has this address already; leave one of them out"
            )
        seen.setdefault(entry.mac, index)


def _check_station(
    place: tuple[str | int, ...], connection: str, hub: str | None, configuration: Configuration, findings: Findings
) -> None:
    known = configuration.connections
    if connection in configuration.realms and connection not in known:
        message = f"{connection} is a realm of many peers; write a connection, for the one peer who has this station"
        findings.add((*place, "connection"), message)
    elif connection not in known and not findings.was_wrong("connections", connection):
        hint = nearest(connection, known) or one_of(known)
        hint = f"write {hint}" if hint else "write it first"
        findings.add((*place, "connection"), f'there is no connection "{connection}"; {hint}')
    elif connection in known and known[connection].hub != hub:
        there = f"hubs.{known[connection].hub}.static" if known[connection].hub else "hub.static"
        findings.add((*place, "connection"), f"{connection} is in another hub; write this under {there}")


def _check_members(configuration: Configuration, findings: Findings) -> None:
    known = configuration.hubs
    used = set()
    for place, peering in configuration.peerings():
        if peering.hub is None:
            continue
        used.add(peering.hub)
        if peering.hub not in known and not findings.was_wrong("hubs", peering.hub):
            hint = nearest(peering.hub, known) or one_of(known)
            hint = f"write {hint}" if hint else f"write a table [hubs.{peering.hub}], or leave this out"
            findings.add((*place, "hub"), f'there is no hub "{peering.hub}"; {hint}')
    for name in known:
        if name not in used:
            message = f'nobody is in this hub; write hub = "{name}" in a connection or a realm'
            findings.add(("hubs", name), message, warning=True)
