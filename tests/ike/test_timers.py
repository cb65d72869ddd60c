"""The heap of deadlines."""

from rhp.ike.timers import Timers


def run(timers, now):
    """Run what is due; how many there were."""
    count = 0
    while (action := timers.pop_due(now)) is not None:
        action(now)
        count += 1
    return count


def test_runs_in_order_of_time_then_of_starting():
    timers, ran = Timers(), []
    timers.start(3.0, lambda now: ran.append("c"))
    timers.start(1.0, lambda now: ran.append("a"))
    timers.start(2.0, lambda now: ran.append("b1"))
    timers.start(2.0, lambda now: ran.append("b2"))
    assert timers.next_deadline() == 1.0
    assert run(timers, 0.9) == 0
    assert run(timers, 2.0) == 3
    assert ran == ["a", "b1", "b2"]
    assert timers.next_deadline() == 3.0


def test_an_action_gets_the_time_and_runs_once():
    timers, ran = Timers(), []
    timers.start(1.0, ran.append)
    assert run(timers, 7.0) == 1
    assert run(timers, 8.0) == 0
    assert ran == [7.0]
    assert timers.next_deadline() is None


def test_cancelled_timers_neither_run_nor_count():
    timers, ran = Timers(), []
    first = timers.start(1.0, ran.append)
    timers.start(2.0, ran.append)
    assert len(timers) == 2
    timers.cancel(first)
    timers.cancel(first)
    timers.cancel(None)
    assert len(timers) == 1
    assert timers.next_deadline() == 2.0
    assert run(timers, 5.0) == 1
    assert len(timers) == 0


def test_cancelling_what_has_run_is_harmless():
    timers = Timers()
    timer = timers.start(1.0, lambda now: None)
    run(timers, 1.0)
    timers.cancel(timer)
    assert len(timers) == 0
    timers.start(2.0, lambda now: None)
    assert len(timers) == 1


def test_an_action_may_start_another_that_is_due_at_once():
    timers, ran = Timers(), []
    timers.start(1.0, lambda now: timers.start(now, ran.append))
    assert run(timers, 1.0) == 2
    assert ran == [1.0]


def test_the_heap_does_not_keep_what_is_cancelled():
    timers = Timers()
    keep = [timers.start(1e6 + number, lambda now: None) for number in range(10)]
    for number in range(50_000):
        timers.cancel(timers.start(1e5 + number, lambda now: None))
    assert len(timers) == len(keep)
    assert len(timers._heap) < 5_000
    assert timers.next_deadline() == 1e6


def test_a_tick_with_nothing_due_looks_at_one_entry():
    class Counted(float):
        compared = 0

        def __le__(self, other):
            Counted.compared += 1
            return float(self) <= other

    timers = Timers()
    for number in range(1000):
        timers.start(Counted(100.0 + number), lambda now: None)
    Counted.compared = 0
    assert timers.pop_due(50.0) is None
    assert Counted.compared == 1
