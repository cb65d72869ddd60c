"""The rule for strangers as the engine publishes it."""

import os
import random
from hashlib import blake2s

import pytest

from rhp.ike.admission import SpiMint
from rhp.ike.config import EngineConfig
from rhp.ike.engine import Engine


@pytest.fixture
def engine():
    return Engine(
        EngineConfig(cookie_threshold=3, init_rate=7, cookie_lifetime=60.0),
        allocate_spi=lambda lane: 256,
        wall_clock=lambda: None,
        random=random.Random(1).randbytes,
    )


def test_an_spi_of_ours_bears_our_mark():
    mint = SpiMint(os.urandom)
    spis = {mint.strike() for _ in range(200)}
    assert len(spis) == 200
    assert all(spi[4:] == blake2s(spi[:4], key=mint.key, digest_size=4).digest() for spi in spis)


def test_the_rule_is_the_same_object_until_it_changes(engine):
    rule = engine.admission(0.0)
    assert engine.admission(59.0) is rule
    assert (rule.always, rule.rate, rule.number, rule.before) == (False, 7, 0, None)
    later = engine.admission(61.0)
    assert later is not rule
    assert (later.number, later.before) == (1, rule.newest)
    assert later.newest != rule.newest
    assert later.mark == rule.mark


def test_the_rule_does_not_show_its_secrets(engine):
    engine.admission(0.0)
    rule = engine.admission(61.0)
    shown = repr(rule)
    assert not any(repr(secret)[2:-1] in shown for secret in (rule.newest, rule.before, rule.mark))
