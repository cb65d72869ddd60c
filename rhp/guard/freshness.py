"""Behind which connections stand other secrets than before, and for which peers."""

from __future__ import annotations

import os
from collections.abc import Collection

from rhp.guard.brief import Fresh
from rhp.guard.secrets import EVERYBODY, SecretStore


def fresh(before: SecretStore, after: SecretStore, connections: Collection[str]) -> tuple[Fresh, ...]:
    """Compare two stores by digests whose key nobody else has, and which go with it."""
    key = os.urandom(32)
    old, new = before.digests(key), after.digests(key)
    found = []
    for name in sorted(connections):
        was, will_be = old.get(name, {}), new.get(name, {})
        peers = sorted(who for who in {**was, **will_be} if was.get(who) != will_be.get(who))
        if peers:
            found.append(Fresh(name, () if EVERYBODY in peers else tuple(peers)))
    return tuple(found)
