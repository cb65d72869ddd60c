"""An address changes while something else is under way: a request, a rekey, a handshake, a farewell (RFC 4555)."""

import pytest
from ladder_net import A, B
from ladder_roam import A2, B2, check_at, has, roaming, traffic
from ladder_wishes import SIDES, close, rekey_child, rekey_ike, sides
from ladder_world import tunnel

from rhp.ike.events import IkeClosed, InitiationFailed
from rhp.wire.iana import NotifyType

SUPPORTED = NotifyType.MOBIKE_SUPPORTED
ADDITIONAL4, ADDITIONAL6 = NotifyType.ADDITIONAL_IP4_ADDRESS, NotifyType.ADDITIONAL_IP6_ADDRESS


@SIDES
@pytest.mark.parametrize("exchange", [rekey_child, rekey_ike])
@pytest.mark.parametrize("lost", range(5))
def test_a_move_during_a_rekey(ladder, who, exchange, lost):
    # The move comes when `lost` messages of the rekey have been delivered; the next one finds nobody there.
    link = roaming(ladder).establish()
    side, _ = sides(link, who)
    exchange(link, side)
    for _ in range(lost):
        if link.flight:
            link.deliver()
    has(link, link.a, A2)
    link.settle()
    link.advance(40)
    link.check_established()
    check_at(link, A2, B)
    assert link.a.happened(IkeClosed) == []


@SIDES
def test_a_request_that_is_out_follows_the_move(ladder, who):
    link = roaming(ladder).establish()
    side, _ = sides(link, who)
    rekey_child(link, side)
    first = link.drop()
    has(link, link.a, A2)
    if who == "a":
        # It is sent again at once, octet by octet, over the new path; the update waits for the window.
        (again,) = link.flight
        assert again.datagram == first.datagram and again.source.ip == A2
    link.settle()
    link.advance(3)
    link.check_established()
    check_at(link, A2, B)
    assert side.status().rekey_at is not None


def test_a_farewell_does_not_wait_for_an_address(ladder):
    """A random life found it: what is being deleted is not moved, so it waited until its hard lifetime."""
    link = roaming(ladder).establish()
    link.call(link.b, "close", link.b.status().ike_id)
    link.drop()
    has(link, link.b)
    link.advance(1)
    has(link, link.b, B2)
    link.lost = lambda packet: True
    link.advance(60)
    assert link.b.states() == []
    assert len(link.b.happened(IkeClosed)) == 1


def test_a_request_waits_while_there_is_no_address(ladder):
    # Sleep: no address for ten minutes, with a request out. Nobody is given up for that.
    link = roaming(ladder, at_b={"dpd_delay": 0}).establish()
    has(link, link.a)
    rekey_child(link, link.a)
    link.settle()
    link.advance(600)
    assert link.a.states() == ["established"]
    before = link.a.count("retransmitted")
    assert before == 0 and link.a.count("no-address-left") == 1
    has(link, link.a, A2)
    link.settle()
    link.check_established()
    check_at(link, A2, B)


def test_an_sa_without_an_address_ends_with_its_lifetime(ladder):
    link = roaming(ladder, at_a={"life_time": 1000.0, "rekey_time": 0}, at_b={"dpd_delay": 0}).establish()
    has(link, link.a)
    link.advance(990)
    assert link.a.states() == ["established"]
    link.advance(120)
    assert link.a.states() == []


def test_a_handshake_whose_address_went_ends_at_once(ladder):
    link = roaming(ladder)
    link.initiate()
    has(link, link.a, A2)
    assert [event.reason for event in link.a.happened(InitiationFailed)] == ["own-address-gone"]
    assert link.a.states() == []
    link.settle()
    link.establish()
    check_at(link, A2, B)


@pytest.mark.parametrize("mobike", [True, False])
def test_the_responder_moves_while_its_guard_thinks(ladder, mobike):
    # a --- IKE_AUTH ---> b, whose guard takes its time; b moves; a <--x-- b: the answer leaves from where nobody is
    link = roaming(ladder, both={"mobike": mobike, "encapsulation": "udp"})
    link.b.guard_waits = True
    link.initiate()
    link.settle()
    has(link, link.b, B2)
    link.b.guard_waits = False
    link.answer_guards(link.b)
    assert link.b.states() == ["established"]
    link.advance(0)
    assert traffic(link.b) == {(B2, A)}
    # a asks in vain where b was, and b asks an a that has not heard of its answer: neither waits for ever.
    link.advance(60)
    assert [event.reason for event in link.a.happened(InitiationFailed)] == ["no-answer"]
    assert [event.reason for event in link.b.happened(IkeClosed)] == ["peer-unresponsive"]
    link.check_empty()


def test_the_responder_comes_up_elsewhere_and_its_answer_gets_through(ladder):
    # As before, but the answer leaves just before the address goes.
    link = roaming(ladder)
    link.b.guard_waits = True
    link.initiate()
    link.settle()
    link.call(link.b, "addresses_changed", (B2,))
    link.b.guard_waits = False
    link.answer_guards(link.b)
    assert link.read(link.deliver()).exchange == 35
    link.b.address = B2
    link.advance(0)
    check_at(link, A, B2)
    assert link.a.happened(IkeClosed) == link.b.happened(IkeClosed) == []


def test_an_address_that_came_during_ike_auth_is_told_after_it(ladder):
    link = roaming(ladder)
    link.initiate()
    while link.flight[0].header.exchange == 34:
        link.deliver()
    has(link, link.a, A, A2)
    # b --- IKE_AUTH ---> a --- N(ADDITIONAL_IP4_ADDRESS) ---> b
    link.settle()
    assert link.b.status().peer_addresses == link.a.status().told_addresses == (A2,)
    check_at(link, A, B)


@SIDES
def test_a_delete_that_is_out_follows_the_move(ladder, who):
    link = roaming(ladder).establish()
    side, other = sides(link, who)
    close(link, side)
    link.drop()
    has(link, side, A2 if who == "a" else B2)
    link.settle()
    assert other.states() == side.states() == []
    link.advance(60)
    link.check_empty()


@SIDES
def test_an_sa_that_is_ending_waits_for_no_address(ladder, who):
    link = roaming(ladder, both={"dpd_delay": 0}).establish()
    side, _ = sides(link, who)
    close(link, side)
    link.drop()
    has(link, side)
    link.advance(60)
    assert side.states() == []


@pytest.mark.parametrize("delivered", range(8))
def test_a_move_during_a_reauthentication(ladder, delivered):
    # Two children, of which the second one waits on the old IKE SA until it is made anew on the new one.
    link = roaming(
        ladder,
        at_a={"children": (tunnel("one"), tunnel("two", ("10.3.0.0/16",), ("10.4.0.0/16",)))},
        at_b={
            "children": (
                tunnel("one", ("10.2.0.0/16",), ("10.1.0.0/16",)),
                tunnel("two", ("10.4.0.0/16",), ("10.3.0.0/16",)),
            )
        },
    ).establish()
    link.call(link.a, "create_child", link.a.status().ike_id, "two")
    link.settle()
    link.call(link.a, "reauthenticate", link.a.status().ike_id)
    for _ in range(delivered):
        link.deliver()
    has(link, link.a, A2)
    link.settle()
    assert traffic(link.a) == {(A2, B)}
    link.advance(60)
    link.check_established(children=2)
    check_at(link, A2, B)
    assert link.a.happened(IkeClosed) == link.b.happened(IkeClosed) == []
