"""Several addresses on both sides: a path falls silent, another one takes over, and the first one comes back."""

from ipaddress import ip_network

import pytest
from ladder_net import DELIVER, LOSE, TWICE, A, B
from ladder_roam import A2, B2, COOKIE2, UPDATE, check_at, ends, has, roaming, sent, silence, traffic
from ladder_wishes import rekey_child, rekey_ike

from rhp.ike.events import IkeClosed, PathChanged

PATHS = [(A, B), (A2, B), (A, B2), (A2, B2)]


def hosts(*addresses):
    return tuple(ip_network(address) for address in addresses)


def two_by_two(ladder, **at_a):
    """Each side has two addresses; a knows both of b's by its configuration."""
    at_a = {"remote_addrs": hosts(B, B2), "dpd_delay": 30.0, **at_a}
    return roaming(ladder, at_a=at_a, at_b={"dpd_delay": 0}, a=(A, A2), b=(B, B2)).establish()


def alone(link, *works):
    """Only these pairs of addresses reach each other."""
    silence(link, *(pair for pair in PATHS if pair not in works))


@pytest.mark.parametrize("works", PATHS[1:])
def test_silence_leads_to_the_path_that_works(ladder, works):
    link = two_by_two(ladder)
    alone(link, works)
    # With another path at hand the check comes after ten seconds of silence, and its third copy goes everywhere.
    link.advance(9.9)
    assert link.a.count("liveness-checked") == 0
    link.advance(2.0)
    check_at(link, *works)
    assert [event.reason for event in link.a.happened(PathChanged)] == ["path-silent"]
    assert link.a.happened(IkeClosed) == link.b.happened(IkeClosed) == []
    # The copies say nothing of the path (section 3.7): an update over the one that answered settles it.
    (update,) = sent(link, link.a, UPDATE)
    assert (update.source.ip, update.target.ip) == works
    link.check_established()


def test_without_another_path_nothing_is_different(ladder):
    link = roaming(ladder, at_a={"dpd_delay": 30.0}, at_b={"dpd_delay": 0}).establish()
    link.advance(29.9)
    assert link.a.count("liveness-checked") == 0
    alone(link)
    link.advance(32)
    assert [event.reason for event in link.a.happened(IkeClosed)] == ["peer-unresponsive"]
    assert not [packet for packet in link.sent if packet.target.ip == B2]


def test_two_lost_messages_are_no_silence(ladder):
    link = two_by_two(ladder)
    lost = []
    link.lost = lambda packet: len(lost) < 2 and not lost.append(packet)
    rekey_child(link, link.a)
    link.settle()
    link.advance(5)
    check_at(link, A, B)
    assert link.a.happened(PathChanged) == []


def test_it_comes_back_when_the_first_path_does(ladder):
    link = two_by_two(ladder)
    alone(link, (A2, B2))
    link.advance(15)
    check_at(link, A2, B2)
    alone(link, *PATHS)
    since = len(link.sent)
    link.advance(25)
    check_at(link, A, B)
    assert [event.reason for event in link.a.happened(PathChanged)] == ["path-silent", "path-preferred"]
    # a --- COOKIE2 over the first path ---> b --- COOKIE2 ---> a --- UPDATE_SA_ADDRESSES ---> b
    tried, update, *_ = (packet for packet in sent(link, link.a, COOKIE2, since) if not packet.header.response)
    assert (tried.source.ip, tried.target.ip) == (update.source.ip, update.target.ip) == (A, B)
    link.advance(500)
    check_at(link, A, B)
    assert link.a.count("path-tried") == 1 + link.a.count("path-still-silent")
    link.check_established()


def test_a_path_that_stays_silent_is_tried_more_and_more_seldom(ladder):
    link = two_by_two(ladder)
    alone(link, (A2, B2))
    link.advance(3600)
    check_at(link, A2, B2)
    assert link.a.happened(IkeClosed) == []
    # 10, 20, 40 .. 320 seconds, then every 320: some fifteen in an hour.
    tried = link.a.count("path-tried")
    assert 12 <= tried <= 18
    assert link.a.count("path-still-silent") == tried
    assert len(link.a.happened(PathChanged)) == 1
    # Each try goes three times over the silent path, then once over the one in use, where it is answered.
    assert link.a.count("retransmitted") <= 3 * tried + 4


def test_a_flapping_path_is_left_alone_for_longer_each_time(ladder):
    link = two_by_two(ladder)
    used = []
    for _ in range(40):
        # The first path works for ten seconds and is silent for fifteen.
        alone(link, (A2, B2))
        link.advance(15)
        alone(link, *PATHS)
        link.advance(10)
        used.append(ends(link.a.status().path))
    moves = len(link.a.happened(PathChanged))
    # A thousand seconds; without patience it would move some eighty times.
    assert moves <= 14
    assert used.count((A2, B2)) > 20
    assert link.a.happened(IkeClosed) == []
    link.check_established()


@pytest.mark.parametrize("fate", [LOSE, TWICE])
@pytest.mark.parametrize("number", range(8))
def test_each_message_of_the_way_back_is_lost_once_or_doubled(ladder, fate, number):
    link = two_by_two(ladder)
    alone(link, (A2, B2))
    link.advance(13)
    check_at(link, A2, B2)
    first = len(link.sent)
    link.fate = lambda packet: fate if packet.number == first + number else DELIVER
    link.advance(60)
    check_at(link, A, B)
    link.check_established()
    assert len(link.a.happened(PathChanged)) == 2


@pytest.mark.parametrize("rekey", [rekey_child, rekey_ike])
@pytest.mark.parametrize("by", ["a", "b"])
def test_a_path_falls_silent_in_the_middle_of_a_rekey(ladder, rekey, by):
    link = two_by_two(ladder)
    rekey(link, getattr(link, by))
    link.deliver()
    alone(link, (A, B2))
    link.settle()
    # Both sides' requests, and the answers that were lost, find the other path.
    link.advance(30)
    check_at(link, A, B2)
    link.check_established()
    assert link.a.happened(IkeClosed) == link.b.happened(IkeClosed) == []


@pytest.mark.parametrize("rekey", [rekey_child, rekey_ike])
def test_the_responder_moves_in_the_middle_of_its_rekey(ladder, rekey):
    link = two_by_two(ladder)
    rekey(link, link.b)
    link.deliver()
    has(link, link.b, B2)
    link.settle()
    link.advance(30)
    link.check_established()
    assert traffic(link.b) <= {(B2, A), (B2, A2)}


def test_the_order_of_the_configuration_is_the_order_of_preference(ladder):
    # a was called by the secondary address at first: the primary is taken as soon as the tunnel has stood for a while.
    link = two_by_two(ladder, remote_addrs=hosts(B2, B))
    check_at(link, A, B)
    link.advance(11)
    check_at(link, A, B2)
    assert [event.reason for event in link.b.happened(PathChanged)][-1] == "peer-address"


def test_the_order_of_local_addrs_is_the_order_of_preference(ladder):
    link = two_by_two(ladder, local_addrs=hosts(A2, A))
    link.advance(11)
    check_at(link, A2, B)


def test_addresses_outside_of_local_addrs_are_neither_told_nor_used(ladder):
    link = two_by_two(ladder, local_addrs=hosts(A))
    assert link.b.status().peer_addresses == ()
    alone(link, (A2, B2))
    link.advance(60)
    assert not [packet for packet in link.sent if packet.source.ip == A2]
    assert [event.reason for event in link.a.happened(IkeClosed)] == ["peer-unresponsive"]


def test_addresses_that_the_peer_told_are_tried_as_well(ladder):
    link = two_by_two(ladder, remote_addrs=())
    alone(link, (A, B2))
    link.advance(15)
    check_at(link, A, B2)


def test_the_responder_tries_nothing_by_itself(ladder):
    # RFC 4555 section 2.2: the initiator decides; the responder's requests follow the path it is told.
    link = two_by_two(ladder)
    alone(link)
    rekey_child(link, link.b)
    link.settle()
    link.advance(8)
    assert {(packet.source.ip, packet.target.ip) for packet in link.sent if packet.sender == "b"} == {(B, A)}


def test_the_address_in_use_goes_and_the_next_one_is_at_hand(ladder):
    link = two_by_two(ladder)
    alone(link, *PATHS)
    has(link, link.a, A2)
    link.settle()
    # Not a moment passes.
    check_at(link, A2, B)
    has(link, link.a, A2, A)
    link.settle()
    check_at(link, A2, B)
