"""The token bucket."""

from rhp.ike.limiter import Limiter


def test_as_many_at_once_as_the_rate_then_one_by_one():
    limiter = Limiter(5)
    assert [limiter.allow(0.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert limiter.allow(0.25)
    assert not limiter.allow(0.25)


def test_silence_fills_the_bucket_but_not_more():
    limiter = Limiter(5)
    for _ in range(5):
        limiter.allow(0.0)
    assert sum(limiter.allow(1000.0) for _ in range(20)) == 5


def test_refusals_cost_nothing():
    limiter = Limiter(1)
    assert limiter.allow(0.0)
    for step in range(1, 10):
        assert not limiter.allow(step / 10)
    assert limiter.allow(1.01)


def test_none_at_all():
    assert not Limiter(0).allow(0.0)
