"""Helpers for tests with tickets."""

from ladder_world import config, connection

from rhp.ike.events import IkeEstablished, InitiationFailed
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.message import parse_message
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify

RESUME = ExchangeType.IKE_SESSION_RESUME


def sides(**more):
    return {
        "a": config(connection("a@x", "b@x", resumption=True, **more)),
        "b": config(connection("b@x", "a@x", resumption=True, **more)),
    }


def crash(link, side=None):
    """One side starts anew and the other finds out; nothing of the IKE SA is left."""
    side = side or link.b
    link.advance(60)
    other = link.other(side)
    spi = other.child().spi_out
    side.restart()
    link.call(side, "unknown_spi", spi, side.path_to(other, natt=True))
    link.settle()
    assert other.states() == []
    return link


def resumed(side):
    return [event.resumed for event in side.happened(IkeEstablished)]


def exchanges(link, since=0):
    return [packet.header.exchange for packet in link.sent[since:] if not packet.header.response]


def refused(link, reason):
    """Initiate, see the ticket refused, and a full handshake in its place."""
    link.initiate()
    ticket = link.deliver()
    assert ticket.header.exchange == RESUME
    # a <--- N(TICKET_NACK) --- b, which keeps nothing
    answer = parse_message(link.deliver().datagram)
    assert (answer.exchange, [one.type for one in answer.all(Notify)]) == (RESUME, [NotifyType.TICKET_NACK])
    assert link.b.states() == []
    assert link.b.count(reason) == 1
    # a --- IKE_SA_INIT ---> b at once, with Message ID 0 and a nonce of its own
    full = parse_message(link.flight[0].datagram)
    assert (full.exchange, full.message_id) == (ExchangeType.IKE_SA_INIT, 0)
    assert full.first(Nonce) != parse_message(ticket.datagram).first(Nonce)
    return ticket


def settles_in_full(link):
    link.settle()
    assert resumed(link.a)[-1] is resumed(link.b)[-1] is False
    link.check_established()
    assert link.a.happened(InitiationFailed) == []


def crash_by_silence(link):
    link.b.restart()
    link.call(link.a, "rekey_child", link.a.status().children[0].child_id)
    link.lost = lambda packet: True
    link.advance(60)
    link.flight.clear()
    link.lost = lambda packet: False
    assert link.a.states() == []
