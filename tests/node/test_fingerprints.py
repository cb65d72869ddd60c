"""Each connection with tickets gets the guard's digest of its keys, and none that the guard cannot vouch for."""

import asyncio
from dataclasses import replace

import pytest

from rhp.guard.local import LocalGuard
from rhp.guard.policy import GuardPolicy, PskSecret
from rhp.ike.config import EngineConfig
from rhp.node.fingerprints import bind_to_secrets

KEY = b"k" * 32


@pytest.fixture
def bound(make_connection):
    """What becomes of two connections, the second of which has no tickets, with these keys."""
    connections = (
        replace(make_connection("up", "a.example", "b.example"), resumption=True),
        replace(make_connection("plain", "a.example", "c.example"), resumption=False),
    )

    def bind(secret=b"swordfish", key=KEY):
        psks = PskSecret("up", key=secret), PskSecret("plain", key=secret)
        guard = LocalGuard(GuardPolicy(psks=psks))
        return asyncio.run(bind_to_secrets(EngineConfig(connections), guard, key)).connections

    return bind


def test_a_connection_with_tickets_is_bound_to_its_keys(bound):
    up, plain = bound()
    assert len(up.secrets) == 32 and up.resumption
    assert plain.secrets == b""
    assert bound() == (up, plain)
    assert bound(b"marlin")[0].secrets != up.secrets
    assert bound(key=b"l" * 32)[0].secrets != up.secrets
    assert "secrets" not in repr(up)


def test_there_are_no_tickets_where_the_guard_says_nothing(bound):
    up, _ = bound(key=b"short")
    assert not up.resumption
