"""The address of either side changes, and the tunnel stays (RFC 4555 section 3.5)."""

import pytest
from ladder_net import DELIVER, LOSE, TWICE, A, B
from ladder_roam import A2, A3, A6, B2, B6, COOKIE2, UPDATE, check_at, ends, has, notifies, roaming, sent, traffic

from rhp.ike import roaming as roaming_module
from rhp.ike.events import IkeClosed, PathChanged
from rhp.ike.path import Endpoint
from rhp.wire.iana import NotifyType

SUPPORTED = NotifyType.MOBIKE_SUPPORTED
ADDITIONAL4, ADDITIONAL6 = NotifyType.ADDITIONAL_IP4_ADDRESS, NotifyType.ADDITIONAL_IP6_ADDRESS


@pytest.mark.parametrize("encapsulation", ["auto", "udp"])
def test_the_initiator_moves(ladder, encapsulation):
    link = roaming(ladder, both={"encapsulation": encapsulation}).establish()
    carrier = link.a.child().encapsulation
    before = len(link.sent)
    has(link, link.a, A2)
    # a --- UPDATE_SA_ADDRESSES, hashes, COOKIE2 ---> b, from the new address; a's own traffic goes along at once
    (update,) = link.flight
    assert update.source == Endpoint(A2, 4500)
    assert notifies(link, update, UPDATE) == [b""] and len(notifies(link, update, COOKIE2)[0]) == 16
    assert notifies(link, update, NotifyType.NAT_DETECTION_DESTINATION_IP)
    assert traffic(link.a) == {(A2, B)}
    link.deliver()
    # b --- the hashes, the COOKIE2 ---> a; and its own COOKIE2 ---> a. Its traffic waits for the answer.
    answer, test = link.flight
    assert notifies(link, answer, COOKIE2) == notifies(link, update, COOKIE2)
    assert answer.header.response and answer.target == test.target == Endpoint(A2, 4500)
    assert notifies(link, test, COOKIE2) != notifies(link, update, COOKIE2)
    assert ends(link.b.status().path) == (B, A2) and traffic(link.b) == {(B, A)}
    assert link.b.happened(PathChanged) == []
    link.settle()
    check_at(link, A2, B)
    assert link.a.child().encapsulation == link.b.child().encapsulation == carrier
    assert len(link.sent) - before == 4
    (mine,), (theirs,) = link.a.happened(PathChanged), link.b.happened(PathChanged)
    assert (ends(mine.old), ends(mine.new), mine.reason) == ((A, B), (A2, B), "own-address")
    assert (ends(theirs.new), theirs.reason) == ((B, A2), "peer-address")
    link.advance(300)
    check_at(link, A2, B)


def test_a_move_of_a_child_keeps_its_pair(ladder):
    link = roaming(ladder).establish()
    pairs = set(link.a.sas), set(link.b.sas)
    has(link, link.a, A2)
    link.settle()
    assert (set(link.a.sas), set(link.b.sas)) == pairs
    assert link.a.gone == link.b.gone == []
    assert [effect.path for effect in link.b.migrations] == [link.b.status().path]


def test_from_ipv4_to_ipv6_and_back(ladder):
    link = roaming(ladder, b=(B, B6)).establish()
    has(link, link.a, A6)
    link.settle()
    check_at(link, A6, B6)
    assert link.b.status().peer_addresses == ()
    has(link, link.a, A, A6)
    link.settle()
    # The path that works is kept; only after a while the other one is tried, which the order of addresses prefers.
    check_at(link, A6, B6)
    link.advance(15)
    check_at(link, A, B)


@pytest.mark.parametrize("who", ["a", "b"])
@pytest.mark.parametrize("fate", [LOSE, TWICE])
@pytest.mark.parametrize("number", range(4))
def test_each_message_of_a_move_is_lost_once_or_doubled(ladder, who, fate, number):
    link = roaming(ladder, b=(B, B2)).establish()
    side = getattr(link, who)
    first = len(link.sent)
    link.fate = lambda packet: fate if packet.number == first + number else DELIVER
    has(link, side, A2 if who == "a" else B2)
    link.settle()
    link.advance(10)
    check_at(link, A2 if who == "a" else A, B if who == "a" else B2)
    assert link.a.happened(IkeClosed) == link.b.happened(IkeClosed) == []
    link.check_established()
    link.advance(100)
    assert len(link.b.happened(PathChanged)) == len(link.a.happened(PathChanged)) == 1


def test_two_moves_in_a_row(ladder):
    # The answer to the first update comes when it is out of date; only the second one counts.
    link = roaming(ladder).establish()
    has(link, link.a, A2)
    has(link, link.a, A3)
    link.settle()
    check_at(link, A3, B)
    assert len(sent(link, link.a, UPDATE)) == 3  # The first one is sent again over the new path.
    link.check_established()


def test_the_responder_moves_to_an_address_that_it_had_told(ladder):
    link = roaming(ladder, b=(B, B2)).establish()
    has(link, link.b, B2)
    # b --- NO_ADDITIONAL_ADDRESSES ---> a, from its other address; a moves the SA there.
    (told,) = link.flight
    assert told.source.ip == B2 and notifies(link, told, NotifyType.NO_ADDITIONAL_ADDRESSES) == [b""]
    link.settle()
    check_at(link, A, B2)
    assert link.a.status().peer_addresses == ()
    assert [event.reason for event in link.a.happened(PathChanged)] == ["peer-address"]


def test_the_responder_moves_to_an_address_that_nobody_knew(ladder):
    # Its list is as empty as before, and is told nevertheless: what matters is where it comes from.
    link = roaming(ladder).establish()
    has(link, link.b, B2)
    (told,) = link.flight
    assert told.source.ip == B2 and notifies(link, told, NotifyType.NO_ADDITIONAL_ADDRESSES) == [b""]
    assert traffic(link.b) == {(B2, A)}
    link.deliver()
    # a --- UPDATE_SA_ADDRESSES ---> b, and only with the answer its traffic goes there.
    assert traffic(link.a) == {(A, B)} and link.a.happened(PathChanged) == []
    link.settle()
    check_at(link, A, B2)


def test_the_responder_moves_and_its_old_address_comes_back(ladder):
    link = roaming(ladder).establish()
    has(link, link.b, B2)
    lost = link.drop()
    assert notifies(link, lost, NotifyType.NO_ADDITIONAL_ADDRESSES)
    has(link, link.b, B, B2)
    link.settle()
    link.advance(5)
    # The list says that the old address is there, and comes from the new one: both sides use that for now.
    check_at(link, A, B2)
    link.advance(15)
    check_at(link, A, B)


def test_the_responder_tells_of_a_new_address_and_nobody_moves(ladder):
    link = roaming(ladder).establish()
    has(link, link.b, B, B2, B6)
    link.settle()
    assert link.a.status().peer_addresses == (B2, B6)
    check_at(link, A, B)
    has(link, link.b, B)
    link.settle()
    assert link.a.status().peer_addresses == ()
    assert link.a.happened(PathChanged) == link.b.happened(PathChanged) == []


def test_both_move_at_once_when_they_know_where_to(ladder):
    link = roaming(ladder, a=(A, A2), b=(B, B2)).establish()
    has(link, link.a, A2)
    has(link, link.b, B2)
    link.settle()
    link.advance(10)
    check_at(link, A2, B2)
    link.check_established()


def test_both_move_at_once_and_nobody_knows_where_to(ladder):
    # Nothing can save that; it ends by itself, and whoever keeps the connection up calls again.
    link = roaming(ladder).establish()
    has(link, link.a, A2)
    has(link, link.b, B2)
    link.settle()
    link.advance(300)
    for side in (link.a, link.b):
        assert [event.reason for event in side.happened(IkeClosed)] == ["peer-unresponsive"]
    link.check_empty()


def test_many_look_around_one_after_the_other(ladder, monkeypatch):
    monkeypatch.setattr(roaming_module, "AT_ONCE", 0)
    link = roaming(ladder).establish()
    has(link, link.a, A2)
    assert link.flight == []
    link.advance(0.001)
    check_at(link, A2, B)


def test_the_address_comes_back_as_it_was(ladder):
    link = roaming(ladder).establish()
    has(link, link.a)
    link.advance(20)
    has(link, link.a, A)
    link.settle()
    link.advance(60)
    check_at(link, A, B)
    link.check_established()
