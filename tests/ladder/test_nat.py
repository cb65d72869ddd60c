"""NAT detection, the move to port 4500, forced and raw encapsulation, and a NAT that starts anew."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from ladder_nat import Nat
from ladder_net import A, B
from ladder_world import config, connection

from rhp.ike.effects import MigrateSA
from rhp.ike.events import PathChanged
from rhp.ike.path import Endpoint, Path
from rhp.wire.iana import NotifyType
from rhp.wire.message import build_message, parse_message
from rhp.wire.notify import Notify

OUTSIDE = "198.51.100.7"


def with_encapsulation(ladder, one, other, *, mobike=False, **more):
    """Without MOBIKE unless asked for: with it peers do not follow each other's messages (RFC 4555 section 3.8)."""
    return ladder(
        config(connection("a@x", "b@x", encapsulation=one, mobike=mobike)),
        config(connection("b@x", "a@x", encapsulation=other, mobike=mobike)),
        **more,
    )


@pytest.mark.parametrize(("one", "other"), [("udp", "udp"), ("udp", "auto"), ("auto", "udp")])
def test_forced_encapsulation(ladder, one, other):
    # One side's NAT_DETECTION_SOURCE_IP cannot match, so both believe in a NAT.
    link = with_encapsulation(ladder, one, other)
    link.initiate()
    assert [packet.natt for packet in link.flight] == [False]
    link.deliver()
    link.deliver()
    # a --- IKE_AUTH over 4500 ---> b
    request = link.flight[0]
    assert request.natt and request.source.port == request.target.port == 4500
    link.settle()
    link.check_established()
    for side in (link.a, link.b):
        assert side.child().encapsulation == "udp"
        assert side.child().path.natt
        assert side.child().path.local.port == side.child().path.remote.port == 4500


def test_raw_esp_where_there_is_no_nat(ladder):
    link = with_encapsulation(ladder, "auto", "auto").establish()
    link.check_established()
    assert not any(packet.natt for packet in link.sent)
    for side in (link.a, link.b):
        status = side.status()
        assert not status.nat_local and not status.nat_remote
        assert side.child().encapsulation == "esp"
        assert side.child().path.local.port == 500


@pytest.mark.parametrize("encapsulation", ["udp", "auto"])
def test_nat_in_front_of_the_initiator(ladder, encapsulation):
    # a --- 192.0.2.1:500 --- NAT --- 198.51.100.7:40001 ---> b
    link = with_encapsulation(ladder, encapsulation, encapsulation, nat=Nat(A)).establish()
    link.check_established()
    assert link.a.status().nat_local
    assert link.b.status().nat_remote
    if encapsulation == "auto":
        assert not link.a.status().nat_remote and not link.b.status().nat_local
    remote = link.b.status().path.remote
    assert str(remote.ip) == OUTSIDE and remote.port > 40001
    assert link.b.child().path.remote == remote
    assert link.b.child().encapsulation == "udp"


def test_nat_in_front_of_the_responder(ladder):
    nat = Nat(B)
    nat.mappings = {Endpoint(B, 500): Endpoint(nat.outside, 500), Endpoint(B, 4500): Endpoint(nat.outside, 4500)}
    link = with_encapsulation(ladder, "auto", "auto", nat=nat)
    link.a.engine.initiate("t", link.now, Path(Endpoint(A, 500), Endpoint(nat.outside, 500), False))
    link.collect(link.a)
    link.settle()
    link.check_established()
    assert link.a.status().nat_remote and not link.a.status().nat_local
    assert link.b.status().nat_local and not link.b.status().nat_remote
    assert link.a.child().encapsulation == link.b.child().encapsulation == "udp"


def test_begun_on_the_natt_port(ladder):
    link = with_encapsulation(ladder, "auto", "auto")
    link.establish(natt=True)
    link.check_established()
    assert all(packet.natt for packet in link.sent)


def test_peer_without_nat_detection(ladder):
    # b gets an IKE_SA_INIT without the hashes: it sends none either, and does not claim a NAT.
    link = with_encapsulation(ladder, "auto", "auto")
    link.initiate()
    message = parse_message(link.drop().datagram)
    kinds = (NotifyType.NAT_DETECTION_SOURCE_IP, NotifyType.NAT_DETECTION_DESTINATION_IP)
    kept = tuple(one for one in message.payloads if not (isinstance(one, Notify) and one.type in kinds))
    link.inject(link.b, build_message(replace(message, payloads=kept)))
    answer = link.read(link.flight[0])
    assert all(answer.notify(kind) is None for kind in kinds)
    assert not link.b.status().nat_remote and not link.b.status().nat_local


@pytest.mark.parametrize("first", [True, False])
def test_one_of_several_hashes_is_enough(ladder, first):
    # a --- IKE_SA_INIT: .., N(NAT_DETECTION_SOURCE_IP) twice ---> b: a does not know by which address it speaks
    link = with_encapsulation(ladder, "auto", "auto")
    link.initiate()
    message = parse_message(link.drop().datagram)
    other = Notify(NotifyType.NAT_DETECTION_SOURCE_IP, bytes(20))
    payloads = (other, *message.payloads) if first else (*message.payloads, other)
    link.inject(link.b, build_message(replace(message, payloads=payloads)))
    assert not link.b.status().nat_remote and not link.b.status().nat_local


def test_keepalives_come_from_behind_the_nat_only(ladder):
    link = with_encapsulation(ladder, "auto", "auto", nat=Nat(A)).establish()
    link.advance(61)
    assert len(link.a.keepalives) == 3
    assert all(one.path == link.a.status().path for one in link.a.keepalives)
    assert link.b.keepalives == []
    link.call(link.a, "close", link.a.status().ike_id)
    link.settle()
    link.advance(100)
    assert len(link.a.keepalives) == 3


def test_keepalives_go_on_after_a_rekey_and_only_once(ladder):
    link = with_encapsulation(ladder, "auto", "auto", nat=Nat(A)).establish()
    link.advance(30)
    link.call(link.a, "rekey_ike", link.a.status().ike_id)
    link.settle()
    before = len(link.a.keepalives)
    link.advance(60)
    assert len(link.a.keepalives) - before == 3


def test_keepalives_only_where_nothing_else_is_sent(ladder):
    # RFC 3948 section 4: whatever leaves through the NAT keeps its mapping.
    link = with_encapsulation(ladder, "auto", "auto", nat=Nat(A)).establish()
    for _ in range(20):
        link.advance(15)
        link.call(link.a, "seen_sending", link.a.child().spi_in)
    assert link.a.keepalives == []
    # IKE messages do as well, requests and answers.
    link.advance(15)
    link.call(link.a, "rekey_child", link.a.child().child_id)
    link.settle()
    link.advance(15)
    link.call(link.b, "rekey_child", link.b.child().child_id)
    link.settle()
    link.advance(19)
    assert link.a.keepalives == []
    # Packets of the peer do not: only its own NAT learns from them.
    link.call(link.a, "seen_alive", link.a.child().spi_in)
    link.advance(2)
    assert len(link.a.keepalives) == 1
    link.call(link.a, "seen_sending", 0xDEAD)
    link.advance(21)
    assert len(link.a.keepalives) == 2


def test_old_esp_is_no_reason_for_a_keepalive_later(ladder):
    # What the data plane tells late counts from when it was.
    link = with_encapsulation(ladder, "auto", "auto", nat=Nat(A)).establish()
    link.advance(10)
    link.a.engine.seen_sending(link.a.child().spi_in, link.now - 5.0)
    link.advance(14.9)
    assert link.a.keepalives == []
    link.advance(0.2)
    assert len(link.a.keepalives) == 1


def test_no_keepalives_when_they_are_off(ladder):
    a = config(connection("a@x", "b@x", encapsulation="auto", keepalive=0))
    link = ladder(a, config(connection("b@x", "a@x", encapsulation="auto")), nat=Nat(A)).establish()
    link.advance(100)
    assert link.a.keepalives == []


def test_nat_starts_anew(ladder):
    nat = Nat(A)
    link = with_encapsulation(ladder, "auto", "auto", nat=nat).establish()
    old = link.b.status().path
    nat.rebind()
    # a --- INFORMATIONAL ---> NAT with a new port ---> b, which follows because the message is authentic
    link.call(link.a, "rekey_child", link.a.child().child_id)
    link.settle()
    new = link.b.status().path
    assert new.remote.port != old.remote.port
    (event,) = link.b.happened(PathChanged)
    assert (event.old, event.new) == (old, new)
    assert isinstance(link.b.migrations[0], MigrateSA)
    assert all(sa.path == new for sa in link.b.sas.values())
    assert link.a.happened(PathChanged) == []
    link.check_established()


def test_old_message_from_elsewhere_moves_nobody(ladder):
    # An attacker repeats an authentic message of a from another address: its Message ID is used up.
    link = with_encapsulation(ladder, "auto", "auto", nat=Nat(A)).establish()
    link.call(link.a, "rekey_child", link.a.child().child_id)
    first = link.flight[0]
    link.settle()
    old = link.b.status().path
    link.inject(link.b, first.datagram, Endpoint(A, 6666), natt=True)
    link.inject(link.b, link.sent[2].datagram, Endpoint(A, 6666), natt=True)
    link.flight.clear()
    assert link.b.status().path == old
    assert link.b.happened(PathChanged) == []


def test_forged_message_from_elsewhere_moves_nobody(ladder):
    link = with_encapsulation(ladder, "auto", "auto", nat=Nat(A)).establish()
    old = link.b.status().path
    datagram = bytearray(link.forge(link.a, ()))
    datagram[-1] ^= 1
    link.inject(link.b, bytes(datagram), Endpoint(A, 6666), natt=True)
    assert link.b.status().path == old
    assert link.b.count("integrity-check-failed") == 1
    assert link.flight == []


def test_who_is_behind_a_nat_does_not_follow(ladder):
    # Section 2.23: only the side that is not behind a NAT follows the other one.
    link = with_encapsulation(ladder, "auto", "auto", nat=Nat(A)).establish()
    old = link.a.status().path
    link.inject(link.a, link.forge(link.b, ()), Endpoint(B, 7777), natt=True)
    assert link.a.status().path == old
    assert link.a.count("other-path") == 1
    # The request is answered, to where it came from (section 2.11).
    assert link.flight[0].target == Endpoint(B, 7777)


def test_no_nat_no_move(ladder):
    link = with_encapsulation(ladder, "auto", "auto").establish()
    old = link.b.status().path
    link.inject(link.b, link.forge(link.a, ()), Endpoint(A, 6666))
    assert link.b.status().path == old
    assert link.b.happened(PathChanged) == []


def test_esp_from_elsewhere_moves_the_path(ladder):
    link = with_encapsulation(ladder, "auto", "auto", nat=Nat(A)).establish()
    elsewhere = Endpoint(link.nat.outside, 50000)
    link.call(link.b, "nat_moved", link.b.child().spi_in, elsewhere)
    assert link.b.status().path.remote == link.b.child().path.remote == elsewhere
    # The other side is behind the NAT itself and stays.
    link.call(link.a, "nat_moved", link.a.child().spi_in, elsewhere)
    assert link.a.status().path.remote == Endpoint(B, 4500)
    link.call(link.b, "nat_moved", 0xDEAD, Endpoint(A, 1))
    assert link.b.status().path.remote == elsewhere


@pytest.mark.parametrize("encapsulation", ["udp", "auto"])
def test_over_ipv6(ladder, encapsulation):
    link = with_encapsulation(ladder, encapsulation, encapsulation)
    link.a.address, link.b.address = ip_address("2001:db8::a"), ip_address("2001:db8::b")
    link.establish()
    link.check_established()
    assert link.a.child().encapsulation == ("udp" if encapsulation == "udp" else "esp")
    link.call(link.b, "rekey_ike", link.b.status().ike_id)
    link.settle()
    link.check_established()
