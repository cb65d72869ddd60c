"""The generator of datagrams counts what is sent and what arrives, and the search finds the edge of a program."""

import pytest

from bench.netns.datagrams import Burst, Datagrams, highest_carried
from rhp.lab.lab import Lab
from rhp.lab.topology import cable


class Program:
    """Carries so many datagrams a second, and half of them when it is asked for more."""

    def __init__(self, capacity, stumbles=()):
        self.capacity = capacity
        self.stumbles = set(stumbles)
        self.bursts = 0

    def __call__(self, rate):
        self.bursts += 1
        rate = int(min(rate, 500_000))
        good = rate <= self.capacity and self.bursts not in self.stumbles
        return Burst(rate, rate if good else min(rate, self.capacity) // 2, 1.0)


@pytest.mark.parametrize("capacity", [10_000, 75_000, 280_000])
def test_the_search_comes_close_from_below(capacity):
    found = highest_carried(Program(capacity)) * 1e3
    assert 0.94 * capacity <= found <= capacity


def test_one_stumble_is_forgiven():
    assert highest_carried(Program(75_000, stumbles=(3,))) == highest_carried(Program(75_000))


def test_what_carries_everything_is_not_searched():
    program = Program(1_000_000)
    assert highest_carried(program) == 500.0
    assert program.bursts == 1


def test_a_burst_that_loses_more_than_one_in_a_thousand_is_not_carried():
    assert Burst(10_000, 9_990, 1.0).carried
    assert not Burst(10_000, 9_989, 1.0).carried
    assert not Burst(0, 0, 1.0).carried


@pytest.mark.netns
def test_a_paced_burst_over_a_cable():
    with Lab() as lab:
        client, server = cable(lab)
        with Datagrams(client, server, "192.0.2.2") as datagrams:
            burst = datagrams.burst(5000, 0.4)
            again = datagrams.burst(5000, 0.2)
    # A sender that has to wait for a processor sends less, but never more.
    assert 200 <= burst.sent <= 5000 * burst.seconds
    assert 100 <= again.sent <= 5000 * again.seconds
    assert (burst.arrived, again.arrived) == (burst.sent, again.sent)


@pytest.mark.netns
def test_what_does_not_arrive_is_not_counted():
    with Lab() as lab:
        client, server = cable(lab)
        with Datagrams(client, server, "192.0.2.2") as datagrams:
            datagrams.burst(1000, 0.1)
            server.ip("link set eth0 down")
            burst = datagrams.burst(1000, 0.1)
    assert burst.arrived == 0
    assert not burst.carried
