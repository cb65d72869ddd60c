"""MOBIKE (RFC 4555): agreed on in IKE_AUTH, with the addresses of both sides, and who may do what with it."""

from ipaddress import ip_network

import pytest
from ladder_nat import Nat
from ladder_net import A, B
from ladder_roam import A2, A3, A6, B2, COOKIE2, UPDATE, check_at, ends, has, notifies, roaming, sent, traffic
from ladder_wishes import close, rekey_child, rekey_ike

from rhp.ike.events import IkeClosed, PathRefused
from rhp.ike.path import Endpoint, Path
from rhp.ike.tasks.natd import endpoint_hash
from rhp.wire.iana import NotifyType
from rhp.wire.notify import Notify

SUPPORTED = NotifyType.MOBIKE_SUPPORTED
ADDITIONAL4, ADDITIONAL6 = NotifyType.ADDITIONAL_IP4_ADDRESS, NotifyType.ADDITIONAL_IP6_ADDRESS


def test_both_say_so_in_ike_auth_and_use_the_natt_ports(ladder):
    link = roaming(ladder).establish()
    # a --- IKE_AUTH N(MOBIKE_SUPPORTED) ---> b --- N(MOBIKE_SUPPORTED) ---> a, on 4500 though there is no NAT
    assert [packet.header.exchange for packet in sent(link, link.a, SUPPORTED)] == [35]
    assert [packet.header.exchange for packet in sent(link, link.b, SUPPORTED)] == [35]
    assert all(packet.natt for packet in link.sent[2:])
    for side in (link.a, link.b):
        assert side.status().mobike
        assert side.status().path.natt and not side.status().nat_local and not side.status().nat_remote
        # ESP needs no UDP for that.
        assert side.child().encapsulation == "esp"
    check_at(link, A, B)


@pytest.mark.parametrize(("at_a", "at_b"), [(True, False), (False, True), (False, False)])
def test_one_alone_has_no_mobike(ladder, at_a, at_b):
    link = roaming(ladder, at_a={"mobike": at_a}, at_b={"mobike": at_b}).establish()
    assert bool(sent(link, link.a, SUPPORTED)) == at_a
    assert not sent(link, link.b, SUPPORTED)
    assert not link.a.status().mobike and not link.b.status().mobike
    link.check_established()


def test_further_addresses_are_told(ladder):
    link = roaming(ladder, a=(A, A2, A6), b=(B, B2)).establish()
    assert link.a.status().peer_addresses == link.b.status().told_addresses == (B2,)
    assert link.b.status().peer_addresses == link.a.status().told_addresses == (A2, A6)


def test_a_peer_that_does_ike_auth_on_port_500(ladder):
    # The original Rockhopper goes to 4500 only after IKE_AUTH: we do so too, and its next message finds us there.
    link = roaming(ladder, at_a={"mobike": False}, at_b={"mobike": True})
    link.initiate()
    while link.flight[0].header.exchange == 34:
        link.deliver()
    request = link.flight.pop()
    offered = (*link.read(request).payloads, Notify(SUPPORTED))
    sa = link.a.sa()
    sa.requests.next_id = 1
    answer = link.ask(link.b, link.forge(link.a, offered, 35))
    assert answer.notify(SUPPORTED) is not None
    assert link.b.status().path == Path(Endpoint(B, 4500), Endpoint(A, 4500), True)
    assert link.b.child().encapsulation == "esp"


def test_hashes_and_cookies_are_answered_in_kind(ladder):
    # Rockhopper's liveness checks carry the hashes; the answer has those of the path on which they came.
    link = roaming(ladder).establish()
    path = link.b.status().path
    asked = [Notify(NotifyType.NAT_DETECTION_SOURCE_IP, bytes(20)), Notify(COOKIE2, b"12345678")]
    asked.append(Notify(NotifyType.NAT_DETECTION_DESTINATION_IP, bytes(20)))
    answer = link.say(link.a, asked)
    sa = link.b.sa()
    assert answer.notify(NotifyType.NAT_DETECTION_SOURCE_IP).data == endpoint_hash(sa.spi_i, sa.spi_r, path.local)
    assert answer.notify(NotifyType.NAT_DETECTION_DESTINATION_IP).data == endpoint_hash(sa.spi_i, sa.spi_r, path.remote)
    assert answer.notify(COOKIE2).data == b"12345678"
    # Nothing else comes of it.
    assert not link.b.status().nat_remote and not link.b.status().nat_local
    assert link.flight == []


def test_the_update_tells_the_new_list_too(ladder):
    link = roaming(ladder, a=(A, A2)).establish()
    has(link, link.a, A2, A3)
    (update,) = link.flight
    assert notifies(link, update, ADDITIONAL4) == [A3.packed]
    link.settle()
    assert link.b.status().peer_addresses == (A3,)
    check_at(link, A2, B)
    assert not [packet for packet in sent(link, link.a, ADDITIONAL4)[1:] if not notifies(link, packet, UPDATE)]


def test_messages_alone_move_nobody(ladder):
    # Section 3.8: an INFORMATIONAL exchange without UPDATE_SA_ADDRESSES changes nothing, so that paths can be tested.
    link = roaming(ladder, nat=Nat(A)).establish()
    old = link.b.status().path
    link.inject(link.b, link.forge(link.a, ()), Endpoint(A3, 4500), natt=True)
    assert link.flight.pop().target == Endpoint(A3, 4500)
    assert link.b.status().path == old
    assert link.b.count("other-path") == 1


def test_the_responder_may_not_move_the_sa(ladder):
    link = roaming(ladder).establish()
    answer = link.ask(link.a, link.forge(link.b, (Notify(UPDATE), Notify(COOKIE2, b"12345678"))))
    assert answer.notify(NotifyType.UNACCEPTABLE_ADDRESSES) is not None
    assert answer.notify(COOKIE2).data == b"12345678"
    assert link.a.count("update-from-responder") == 1
    check_at(link, A, B)


def test_after_a_rekey_by_the_responder_it_is_still_the_first_initiator_that_moves(ladder):
    link = roaming(ladder).establish()
    rekey_ike(link, link.b)
    link.settle()
    assert link.b.status().role == "initiator"
    has(link, link.a, A2)
    link.settle()
    check_at(link, A2, B)
    answer = link.ask(link.a, link.forge(link.b, (Notify(UPDATE),)))
    assert answer.notify(NotifyType.UNACCEPTABLE_ADDRESSES) is not None


def test_an_address_that_is_not_served_is_refused(ladder):
    link = roaming(ladder, at_b={"remote_addrs": (ip_network("192.0.2.0/24"),)}).establish()
    has(link, link.a, A, A2)
    link.settle()
    has(link, link.a, A2)
    link.settle()
    assert link.b.count("unacceptable-addresses") == 1
    assert [event.reason for event in link.a.happened(PathRefused)] == ["unacceptable-addresses"]
    assert traffic(link.b) == {(B, A)} and ends(link.b.status().path) == (B, A)
    # Back home all is well.
    has(link, link.a, A)
    link.settle()
    check_at(link, A, B)


def test_of_two_addresses_the_one_that_is_served_is_found(ladder):
    link = roaming(ladder, at_b={"remote_addrs": (ip_network("192.0.2.0/24"), ip_network("203.0.113.0/24"))})
    link.establish()
    has(link, link.a, A2, A3)
    link.settle()
    check_at(link, A3, B)
    assert [event.path.local.ip for event in link.a.happened(PathRefused)] == [A2]


def test_a_list_that_is_too_long_is_cut(ladder):
    link = roaming(ladder).establish()
    many = [Notify(ADDITIONAL4, bytes((203, 0, 113, number))) for number in range(1, 100)]
    many += [Notify(ADDITIONAL4, b"short"), Notify(ADDITIONAL6, bytes(4)), Notify(ADDITIONAL4, bytes(4))]
    many += [Notify(ADDITIONAL4, bytes((127, 0, 0, 1))), Notify(ADDITIONAL4, bytes((224, 0, 0, 1)))]
    answer = link.say(link.b, many)
    assert answer.payloads == ()
    assert len(link.a.status().peer_addresses) == 16
    assert link.a.count("too-many-additional-addresses") == 99 - 16
    assert link.a.count("bad-additional-address") == 5
    check_at(link, A, B)


def test_even_so_few_paths_are_tried(ladder):
    link = roaming(ladder).establish()
    link.say(link.b, [Notify(ADDITIONAL4, bytes((203, 0, 113, number))) for number in range(1, 100)])
    link.lost = lambda packet: True
    rekey_child(link, link.a)
    link.settle()
    link.advance(200)
    requests = [packet for packet in link.sent if packet.sender == "a" and packet.target.ip not in (A, B)]
    assert {packet.target.ip for packet in requests} <= set(link.a.table._by_spi) | {p.target.ip for p in requests}
    assert len({packet.target.ip for packet in requests}) == 7
    assert len(requests) <= 7 * 4
    assert [event.reason for event in link.a.happened(IkeClosed)] == ["peer-unresponsive"]


def test_notifies_of_mobike_without_mobike_do_nothing(ladder):
    link = roaming(ladder, both={"mobike": False}).establish()
    answer = link.say(link.a, (Notify(UPDATE), Notify(ADDITIONAL4, bytes((203, 0, 113, 1)))))
    assert answer.payloads == ()
    assert link.b.count("update-without-mobike") == 1
    assert link.b.status().peer_addresses == ()
    check_at(link, A, B)


def test_closing_leaves_nothing(ladder):
    link = roaming(ladder, a=(A, A2), b=(B, B2)).establish()
    has(link, link.a, A2)
    link.settle()
    link.advance(100)
    close(link, link.a)
    link.settle()
    link.advance(100)
    link.check_empty()
