"""A peer that is dead is found dead, and nothing grows, however often addresses and NATs come and go meanwhile."""

from ipaddress import ip_address

import pytest
from ladder_net import A, B
from ladder_roam import A2, has, roaming
from ladder_wishes import rekey_child

from rhp.ike.events import IkeClosed
from rhp.ike.exchange import MOST_RESTARTS
from rhp.ike.path import Endpoint

AT_MOST = (MOST_RESTARTS + 1) * 31.5 + 30.0
"""Seconds: every start of the tries had all of its own, and then some."""


def flap(link, move, period):
    """`move` once every `period` seconds, with the number of the move, until nobody is left or far too long after."""
    for number in range(int(2 * AT_MOST / period)):
        if not link.a.states() and not link.b.states():
            break
        move(number)
        link.flight.clear()
        link.advance(period)


@pytest.mark.parametrize("period", [0.3, 7.0, 25.0])
@pytest.mark.parametrize("mobike", [True, False])
def test_our_own_address_flaps_and_the_peer_is_dead(ladder, mobike, period):
    # a --- CREATE_CHILD_SA ---> nobody, from A and from A2 in turn, which begins the tries again each time
    link = roaming(ladder, both={"mobike": mobike, "encapsulation": "udp"}).establish()
    link.b.restart()
    link.lost = lambda packet: True
    rekey_child(link, link.a)
    before, began = link.a.sizes(), link.now
    flap(link, lambda number: has(link, link.a, (A, A2)[number % 2 == 0]), period)
    assert link.a.states() == []
    assert [event.reason for event in link.a.happened(IkeClosed)] == ["peer-unresponsive"]
    assert link.now - began <= AT_MOST
    assert all(size <= before[name] for name, size in link.a.sizes().items())


@pytest.mark.parametrize("period", [0.3, 7.0])
def test_a_peer_that_sends_esp_from_everywhere_and_answers_nothing(ladder, period):
    # b --- CREATE_CHILD_SA ---> a, which answers nothing; authentic ESP of a comes from another address each time
    link = roaming(ladder).establish()
    link.lost = lambda packet: packet.sender == "b"
    rekey_child(link, link.b)
    spi_in, before, began = link.b.child().spi_in, link.b.sizes(), link.now

    def move(number):
        if spi_in in link.b.sas:
            source = Endpoint(ip_address(f"203.0.113.{number % 250 + 1}"), 4500)
            link.call(link.b, "nat_moved", spi_in, source)
            assert len(link.b.sa().queue or ()) <= 1
            assert all(size <= before[name] + 2 for name, size in link.b.sizes().items())

    link.a.restart()
    flap(link, move, period)
    assert link.b.states() == []
    assert [event.reason for event in link.b.happened(IkeClosed)] == ["peer-unresponsive"]
    assert link.now - began <= AT_MOST


def test_a_change_that_is_answered_begins_with_all_tries_again(ladder):
    # The limit is one request's: who moves all day and is answered moves all day.
    link = roaming(ladder).establish()
    for number in range(3 * MOST_RESTARTS):
        has(link, link.a, (A, A2)[number % 2 == 0])
        link.settle()
        link.advance(10)
    assert link.a.status().path.local.ip == A
    assert link.a.status().path.remote.ip == B
    assert link.a.count("resent-too-often") == 0
    link.check_established()
