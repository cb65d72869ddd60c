"""The status as a table needs it: of each IKE SA and child what a column shows, which costs a third of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rhp.ike.status import ChildStatus, IkeStatus
from rhp.node.status import Gallery, assigned, since, until
from rhp.pki.identity import format_identity

_OF_A_CONNECTION = ("name", "state", "redirects_to", "start", "last_error", "retry_in_s", "peers", "ike_id")


class Rows(Gallery):
    """Entries with fewer fields, under the same names. A connection names its newest IKE SA, which comes but once."""

    def connections(self) -> Iterator[dict[str, Any]]:
        """Every connection without what is of its IKE SA."""
        for one in super().connections():
            yield {name: one[name] for name in _OF_A_CONNECTION}

    def make(self, sa: IkeStatus) -> dict[str, Any]:
        """What is shown of one IKE SA."""
        now = self._now
        return {
            "ike_id": sa.ike_id,
            "ike_state": sa.state,
            "peer": format_identity(sa.peer) if sa.peer else None,
            "path": {"remote": str(sa.path.remote)},
            "peer_addresses": [str(ip) for ip in sa.peer_addresses],
            "suite": sa.suite,
            "age_s": since(sa.established_at, now),
            "rekey_in_s": until(sa.rekey_at, now),
            "assigned": assigned(sa.assigned) if sa.assigned else None,
            "leased": [str(address) for address in sa.leased],
            "children": [self._child(child) for child in sa.children],
        }

    def _child(self, child: ChildStatus) -> dict[str, Any]:
        sources, now = self._sources, self._now
        lineage = sources.children.get(child.spi_in)
        counters = sources.plane.port_counters(lineage.port) if lineage is not None and child.lane is None else {}
        return {
            "name": child.name,
            "mode": child.mode,
            "encapsulation": child.encapsulation,
            "lane": child.lane,
            "port": lineage.port if lineage else None,
            "mtu": lineage.mtu if lineage else None,
            "suite": child.suite,
            "spi_in": f"{child.spi_in:08x}",
            "spi_out": f"{child.spi_out:08x}",
            "bytes_in": counters.get("bytes_in", 0),
            "bytes_out": counters.get("bytes_out", 0),
            "age_s": since(child.established_at, now),
            "rekey_in_s": until(child.rekey_at, now),
        }
