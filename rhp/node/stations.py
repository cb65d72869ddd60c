"""The hubs' MAC tables as `rhp hub` shows it: who was heard behind which port, and when. Bounded, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rhp.node.children import Lineage
from rhp.node.choosing import matches, number
from rhp.node.status import MACS_SHOWN, Sources
from rhp.pki.identity import format_identity
from rhp.spi.esp import TAP_PORT

MOST_SHOWN = 32_768

Entry = tuple[bytes, int, float, str]
"""MAC, port, age in seconds, hub; the hub is "" for the node's own."""


def picture(sources: Sources, fields: Mapping[str, str]) -> dict[str, Any]:
    """The stations that the request's `connection`, `peer`, `mac` (its beginning) and `lines` (how many) want.

    The table is read beside the lanes, which go on learning: an entry is whole, the table as a whole is no moment's.
    """
    most = number(fields.get("lines", str(MACS_SHOWN)), MOST_SHOWN)
    owners = {lineage.port: lineage for lineage in sources.children}
    names = {sa.ike_id: format_identity(sa.peer) for sa in sources.engine.status() if sa.peer is not None}
    static = {(hub.name, entry.mac) for hub in sources.hubs for entry in hub.settings.hub.static}
    table = [(*entry, hub.name) for hub in sources.hubs for entry in sources.plane.macs(hub.number)]
    chosen = sorted((one for one in table if _wanted(one, owners, names, fields)), key=lambda entry: entry[2])
    return {
        "ageing_s": sources.settings.hub.mac_ageing,
        "isolate": sources.settings.hub.isolate,
        "total": len(table),
        "matching": len(chosen),
        "stations": iter([_station(one, owners, names, static) for one in chosen[:most]]),
    }


def _station(
    entry: Entry, owners: Mapping[int, Lineage], names: Mapping[int, str], static: set[tuple[str, bytes]]
) -> dict[str, Any]:
    mac, port, age, hub = entry
    lineage = owners.get(port)
    return {
        "mac": mac.hex(":"),
        "hub": hub or None,
        "port": port,
        "where": "here" if port == TAP_PORT else "peer",
        "connection": lineage.connection if lineage else None,
        "child": lineage.child_name if lineage else None,
        "peer": names.get(lineage.ike_id) if lineage else None,
        "static": (hub, mac) in static,
        "age_s": round(age, 1),
    }


def _wanted(entry: Entry, owners: Mapping[int, Lineage], names: Mapping[int, str], fields: Mapping[str, str]) -> bool:
    mac, port, _, _ = entry
    lineage = owners.get(port)
    if "mac" in fields and not mac.hex(":").startswith(fields["mac"].lower().replace("-", ":")):
        return False
    if "connection" in fields and (lineage is None or lineage.connection != fields["connection"]):
        return False
    if "peer" in fields:
        return lineage is not None and matches(names.get(lineage.ike_id, ""), fields["peer"])
    return True
