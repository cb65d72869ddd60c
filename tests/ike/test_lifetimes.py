"""Soft lifetimes, retries and their spread."""

import random
from ipaddress import ip_address
from types import SimpleNamespace

import pytest

from rhp.ike import lifetimes
from rhp.ike.config import EngineConfig
from rhp.ike.context import Context
from rhp.ike.ike_sa import NO_SPI, IkeSa
from rhp.ike.path import Endpoint, Path
from rhp.ike.upkeep import TimeKeeper

PATH = Path(Endpoint(ip_address("192.0.2.1"), 500), Endpoint(ip_address("192.0.2.2"), 500), natt=False)


@pytest.fixture
def ctx():
    return Context(EngineConfig(), lambda: 256, lambda: None, random.Random(5).randbytes, TimeKeeper())


def test_shares_are_spread_over_the_unit_interval(ctx):
    shares = [ctx.uniform() for _ in range(2000)]
    assert all(0.0 <= share < 1.0 for share in shares)
    assert 0.45 < sum(shares) / len(shares) < 0.55


def test_soft_lifetimes_are_shortened_by_up_to_the_jitter(ctx):
    found = [lifetimes.shortened(ctx, 3600.0, 0.1) for _ in range(500)]
    assert all(3240.0 < seconds <= 3600.0 for seconds in found)
    assert max(found) - min(found) > 300.0
    assert lifetimes.shortened(ctx, 3600.0, 0.0) == 3600.0


def test_the_initiator_comes_back_before_the_responder(ctx):
    initiator = IkeSa(ctx, 1, "initiator", None, (b"12345678", NO_SPI), None, 0.0)
    responder = IkeSa(ctx, 2, "responder", None, (b"12345678", b"87654321"), None, 0.0)
    first = [lifetimes.retry_delay(initiator) for _ in range(200)]
    second = [lifetimes.retry_delay(responder) for _ in range(200)]
    assert min(first) >= 1.0 and max(second) <= 8.0
    assert max(first) + 0.9 < min(second)


@pytest.mark.parametrize(
    ("one", "other", "first"),
    [(None, None, None), (1.0, None, 1.0), (None, 2.0, 2.0), (1.0, 2.0, 1.0), (2.0, 1.0, 1.0)],
)
def test_earliest(one, other, first):
    assert lifetimes.earliest(one, other) == first


def test_ids_are_never_given_twice(ctx):
    ids = [ctx.next_id() for _ in range(100)]
    assert len(set(ids)) == 100 and 0 not in ids


def test_ike_spis_are_never_zero_nor_taken(ctx):
    draws = iter([bytes(8), b"12345678", b"12345678", b"87654321"])
    ctx.spis = SimpleNamespace(strike=lambda: next(draws))
    spi = ctx.new_ike_spi()
    assert spi == b"12345678"
    ctx.table.add(IkeSa(ctx, 1, "initiator", None, (spi, NO_SPI), PATH, 0.0))
    assert ctx.new_ike_spi() == b"87654321"
