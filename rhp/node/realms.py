"""The realms' part of the status: whom each takes, who is there now, and what they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rhp.ike.config import ConnectionConfig
from rhp.ike.status import IkeStatus
from rhp.pki.identity import format_identity


def picture(realms: Sequence[ConnectionConfig], sas: Callable[[], Iterable[IkeStatus]]) -> list[dict[str, Any]]:
    """Each realm as plain data, in the order of the configuration. `peers` counts those who have proved themselves.

    `sas` is asked only where there is a realm: a node may have thousands of them.
    """
    if not realms:
        return []
    peers = Counter(sa.realm for sa in sas() if sa.realm)
    return [_realm(realm, peers[realm.name]) for realm in realms]


def _realm(realm: ConnectionConfig, peers: int) -> dict[str, Any]:
    return {
        "name": realm.name,
        "match": [pattern.text for pattern in realm.match],
        "local": format_identity(realm.local.identity),
        "auth": {"local": realm.local.method, "remote": realm.remote.method},
        "peers": peers,
        "pools": list(realm.pools),
        "children": [child.name for child in realm.children],
        "hub": realm.policy.hub or None,
        "isolate": realm.policy.isolate,
    }
