"""What is forgotten of connections that are neither in the configuration nor alive, so that no sums of them pile up."""

from __future__ import annotations

from collections.abc import Iterable

from rhp.ike.config import ConnectionConfig
from rhp.ike.engine import Engine
from rhp.node.children import Children
from rhp.node.metrics.counts import Counts


def forget(counts: Counts, engine: Engine, children: Children, connections: Iterable[ConnectionConfig]) -> None:
    """Keep the sums of these connections, of those that live on, and of strangers, whose name is empty."""
    kept = {"", *(one.name for one in connections), *engine.census().established}
    kept.update(lineage.connection for lineage in children)
    counts.forget(lambda name: name not in kept)
    children.traffic.forget(lambda name: name not in kept)
