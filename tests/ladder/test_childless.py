"""Childless initiation (RFC 6023): the IKE SA first, every Child SA by CREATE_CHILD_SA."""

from dataclasses import replace

import pytest
from ladder_net import LOSE, TWICE
from ladder_world import child, config, connection

from rhp.ike.events import ChildFailed, InitiationFailed
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.ke import KE
from rhp.wire.message import build_message, parse_message
from rhp.wire.notify import Notify
from rhp.wire.sa import SA

SUPPORTED = NotifyType.CHILDLESS_IKEV2_SUPPORTED


def initiator(wish, **more):
    return config(connection("a@x", "b@x", childless=wish, **more))


def without_support(link):
    """Deliver IKE_SA_INIT, and its answer as a peer gives it that knows no RFC 6023."""
    link.deliver()
    answer = link.drop()
    message = parse_message(answer.datagram)
    rest = tuple(one for one in message.payloads if not (isinstance(one, Notify) and one.type == SUPPORTED))
    assert len(rest) == len(message.payloads) - 1
    # AUTH covers the answer as it was on the wire, so the responder has to believe that it sent this one.
    datagram = build_message(replace(message, payloads=rest))
    link.b.sa().shake.message_r = datagram
    link.inject(link.a, datagram)


@pytest.mark.parametrize("wish", ["prefer", "force"])
def test_first_child_has_a_key_exchange_of_its_own(ladder, wish):
    esp = (child(esp=("aes128gcm16-x25519",)),)
    link = ladder(
        initiator(wish, children=esp), config(connection("b@x", "a@x", children=(child(esp=("aes128gcm16-x25519",)),)))
    )
    # a --- IKE_SA_INIT ---> b
    link.initiate()
    link.deliver()
    # a <--- .. N(CHILDLESS_IKEV2_SUPPORTED) --- b
    assert parse_message(link.deliver().datagram).notify(SUPPORTED) is not None
    # a --- IKE_AUTH without SA, TSi, TSr ---> b
    assert link.read(link.deliver()).first(SA) is None
    assert link.read(link.deliver()).first(SA) is None
    assert link.a.states() == link.b.states() == ["established"]
    assert link.a.sas == link.b.sas == {}
    assert link.a.happened(ChildFailed) == link.b.happened(ChildFailed) == []
    # a --- CREATE_CHILD_SA: SA, Ni, KE, TSi, TSr ---> b
    link.call(link.a, "create_child", link.a.status().ike_id, "ethernet")
    assert link.read(link.flight[0]).first(KE) is not None
    link.settle()
    link.check_established()
    assert link.a.status().children[0].suite == "aes128gcm16-x25519-esn"


def test_nobody_asks_for_it(ladder):
    link = ladder().establish()
    assert link.read(link.sent[2]).first(SA) is not None
    assert parse_message(link.sent[1].datagram).notify(SUPPORTED) is not None
    link.check_established()


def test_preferred_where_the_peer_cannot(ladder):
    link = ladder(initiator("prefer"))
    link.initiate()
    without_support(link)
    assert link.read(link.flight[0]).first(SA) is not None
    link.settle()
    link.check_established()


def test_forced_where_the_peer_cannot(ladder):
    link = ladder(initiator("force"))
    link.initiate()
    without_support(link)
    link.flight.clear()
    # Anybody can send such an answer, so a better one may still come for two seconds.
    assert link.a.states() == ["connecting"]
    link.lost = lambda packet: True
    link.advance(3)
    assert [event.reason for event in link.a.happened(InitiationFailed)] == ["childless-unsupported"]
    assert link.a.states() == []


def test_forged_answer_without_support_is_outlived(ladder):
    link = ladder(initiator("force"))
    link.initiate()
    link.deliver()
    true = link.flight[0]
    message = parse_message(true.datagram)
    rest = tuple(one for one in message.payloads if not (isinstance(one, Notify) and one.type == SUPPORTED))
    link.inject(link.a, build_message(replace(message, payloads=rest)))
    link.settle()
    assert link.a.states() == link.b.states() == ["established"]


@pytest.mark.parametrize("fate", [LOSE, TWICE])
@pytest.mark.parametrize("number", range(6))
def test_loss_and_duplication(ladder, fate, number):
    link = ladder(initiator("force"))
    link.fate = lambda packet: fate if packet.number == number else "deliver"
    link.initiate()
    link.settle()
    link.advance(3)
    link.call(link.a, "create_child", link.a.status().ike_id, "ethernet")
    link.settle()
    link.advance(3)
    link.check_established()


def test_childless_peer_stays_childless(ladder):
    # As responder there is nothing to allow: an IKE SA may always be all that the peer wants.
    link = ladder(initiator("prefer"), config(connection("b@x", "a@x", childless="force"))).establish()
    assert link.a.sas == link.b.sas == {}
    link.advance(600)
    assert link.a.states() == link.b.states() == ["established"]
    assert parse_message(link.sent[0].datagram).exchange == ExchangeType.IKE_SA_INIT
