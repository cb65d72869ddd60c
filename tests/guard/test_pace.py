"""How often something may be done."""

from rhp.guard.pace import Pace


def test_some_at_once_and_then_one_after_the_other():
    now = 100.0
    pace = Pace(3, 2.0, lambda: now)
    assert [pace.wait() for _ in range(3)] == [0.0, 0.0, 0.0]
    assert pace.wait() == 2.0
    now += 2.0  # It waited.
    assert pace.wait() == 2.0
    now += 1000.0
    assert [pace.wait() for _ in range(4)] == [0.0, 0.0, 0.0, 2.0]
