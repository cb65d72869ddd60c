"""Moves that are forged, claimed for others, or made without end: nobody is flooded, and nothing grows (RFC 4555)."""

from ipaddress import ip_address

import pytest
from ladder_nat import Nat
from ladder_net import A, B
from ladder_roam import A2, A3, COOKIE2, UPDATE, ends, has, roaming, traffic
from ladder_wishes import SIDES, sides

from rhp.ike.events import IkeClosed
from rhp.ike.path import Endpoint
from rhp.wire.iana import NotifyType
from rhp.wire.notify import Notify

SUPPORTED = NotifyType.MOBIKE_SUPPORTED
ADDITIONAL4, ADDITIONAL6 = NotifyType.ADDITIONAL_IP4_ADDRESS, NotifyType.ADDITIONAL_IP6_ADDRESS


def test_nobody_is_flooded_by_a_forged_source(ladder):
    # b gets authentic ESP that claims to be from a third party: that gets three small messages, and no traffic.
    link = roaming(ladder, nat=Nat(A)).establish()
    link.advance(20)
    old, victim = link.b.status().path, Endpoint(A3, 4500)
    link.call(link.b, "nat_moved", link.b.child().spi_in, victim)
    link.settle()
    link.advance(30)
    assert len([packet for packet in link.sent if packet.target == victim]) == 3
    assert link.b.status().path == old
    assert traffic(link.b) == {ends(old)}
    link.check_established()


def test_an_update_from_a_forged_source_moves_no_traffic(ladder):
    # a lies: its update comes from a third party's address, which never answers b's COOKIE2.
    link = roaming(ladder).establish()
    victim = Endpoint(A3, 4500)
    link.inject(link.b, link.forge(link.a, (Notify(UPDATE),)), victim, natt=True)
    link.settle()
    link.advance(60)
    assert traffic(link.b) <= {(B, A)} and link.b.migrations == []
    assert len([packet for packet in link.sent if packet.target == victim]) <= 8
    assert [event.reason for event in link.b.happened(IkeClosed)] == ["peer-unresponsive"]


def test_many_updates_from_forged_sources_are_answered_one_by_one(ladder):
    # Each gets the answer that any request gets; of b's own test at most a handful of copies go out in a second.
    link = roaming(ladder).establish()
    before = len(link.sent)
    for number in range(1, 51):
        victim = Endpoint(ip_address(f"203.0.113.{number}"), 4500)
        link.inject(link.b, link.forge(link.a, (Notify(UPDATE),)), victim, natt=True)
    sent_by_b = link.sent[before:]
    assert len([packet for packet in sent_by_b if packet.header.response]) == 50
    assert len([packet for packet in sent_by_b if not packet.header.response]) <= 6
    assert traffic(link.b) == {(B, A)} and link.b.migrations == []


@pytest.mark.parametrize(("mover", "said"), [("a", UPDATE), ("b", NotifyType.NO_ADDITIONAL_ADDRESSES)])
def test_who_moves_again_and_again_and_answers_nothing_fills_no_queue(ladder, mover, said):
    # mover --- INFORMATIONAL N(..), each from elsewhere ---> the other, whose own question nobody answers
    link = roaming(ladder).establish()
    moving, asking = sides(link, mover)
    for number in range(1, 51):
        source = Endpoint(ip_address(f"203.0.113.{number}"), 4500)
        link.inject(asking, link.forge(moving, (Notify(said),)), source, natt=True)
    # One question is out, and one waits; it will be about the path of its time.
    assert asking.sa().requests.outstanding
    assert len(asking.sa().queue) == 1


@pytest.mark.parametrize("returned", [(), (Notify(COOKIE2, bytes(16)),), (Notify(COOKIE2, b""),)])
@SIDES
def test_who_does_not_return_the_cookie_is_left(ladder, who, returned):
    # Section 3.7: if the values do not match, the IKE SA is closed.
    link = roaming(ladder).establish()
    side, _ = sides(link, who)
    has(link, link.a, A2)
    if who == "b":
        link.deliver()
        link.deliver()
    request = link.drop()
    assert request.sender == who
    link.reply(request, returned)
    link.settle()
    assert [event.reason for event in side.happened(IkeClosed)] == ["wrong-cookie2"]
    link.advance(40)
    assert link.a.states() == link.b.states() == []
    assert (B, A2) not in traffic(link.b)
