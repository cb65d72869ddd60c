"""Who has lost an IKE SA that is young and begins again: the dead one must not win against the new one.

Two beginnings that cross are told from a restart by INITIAL_CONTACT and by who began when (RFC 7296 section 2.4).
"""

import pytest
from ladder_net import LOSE
from ladder_wishes import SIDES, sides
from ladder_world import config, connection

from rhp.ike.events import IkeClosed, IkeEstablished

SEEDS = pytest.mark.parametrize("seed", range(8))


def one_is_left(link):
    """One IKE SA between the two, the same for both, and nobody waits for a liveness check."""
    link.check_established()
    assert link.a.status().spi_i == link.b.status().spi_i
    assert link.a.sizes()["ike"] == link.b.sizes()["ike"] == 1


@SEEDS
@SIDES
def test_who_was_called_crashes_at_once_and_calls(ladder, who, seed):
    # other --- the whole handshake ---> side, which crashes three seconds later, and begins when it is there again
    link = ladder(seed=seed)
    side, other = sides(link, who)
    link.initiate(other)
    link.settle()
    link.advance(3)
    side.restart()
    link.advance(3)
    # side --- IKE_AUTH, N(INITIAL_CONTACT) ---> other: there is one IKE SA too many here, and it is not this one
    link.initiate(side)
    link.settle()
    link.advance(2)
    one_is_left(link)
    assert side.status().role == "initiator"
    assert [event.reason for event in other.happened(IkeClosed)] == ["initial-contact"]


@SEEDS
@pytest.mark.parametrize("age", [2, 100])
@SIDES
def test_who_crashed_calls_and_is_called_at_once(ladder, who, age, seed):
    # An old IKE SA is at b alone; both begin in the same moment: the old one and one of the new ones go.
    link = ladder(seed=seed)
    link.initiate(sides(link, who)[0])
    link.settle()
    old = link.b.status().ike_id
    link.advance(age)
    link.a.restart()
    link.initiate(link.a)
    link.initiate(link.b)
    link.settle()
    link.advance(40)
    one_is_left(link)
    assert link.b.status().ike_id != old


@SEEDS
def test_both_crash_and_both_call(ladder, seed):
    link = ladder(seed=seed).establish()
    link.advance(20)
    for side in link.sides:
        side.restart()
    link.initiate(link.a)
    link.advance(link.chance.random())
    link.initiate(link.b)
    link.settle()
    link.advance(5)
    one_is_left(link)


@pytest.mark.parametrize("seed", range(30))
def test_a_young_one_is_lost_over_a_bad_network(ladder, seed):
    # As above, with every third message lost and the rest out of order, either side crashing.
    link = ladder(seed=seed)
    link.initiate(link.chance.choice(link.sides))
    link.settle()
    link.advance(link.chance.uniform(0, 9))
    dead = link.chance.choice(link.sides)
    dead.restart()
    link.fate = lambda packet: LOSE if link.chance.random() < 0.3 else "deliver"
    link.initiate(dead)
    link.advance(link.chance.random())
    link.initiate(link.other(dead))
    for _ in range(8):
        link.chance.shuffle(link.flight)
        link.advance(1)
    link.fate = lambda packet: "deliver"
    link.advance(200)
    one_is_left(link)


@SEEDS
def test_beginnings_that_really_cross_are_no_restart(ladder, seed):
    # Both say INITIAL_CONTACT, for neither knew of the other's: the lower SPI wins, and both agree on which.
    link = ladder(seed=seed)
    link.initiate(link.a)
    link.advance(0.1, settle=False)
    link.initiate(link.b)
    link.settle()
    assert [len(side.happened(IkeEstablished)) for side in link.sides] == [2, 2]
    link.advance(5)
    one_is_left(link)
    assert link.a.status().spi_i == min(packet.header.spi_i for packet in link.sent)


@SEEDS
def test_without_uniqueness_nothing_of_this_happens(ladder, seed):
    link = ladder(
        config(connection("a@x", "b@x", unique="never")), config(connection("b@x", "a@x", unique="never")), seed=seed
    )
    link.initiate(link.a)
    link.initiate(link.b)
    link.settle()
    link.advance(40)
    assert link.a.states() == link.b.states() == ["established"] * 2
