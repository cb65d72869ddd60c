"""Payloads that we do not know, critical or not, and contents that cannot be read, inside and outside of the seal."""

from dataclasses import replace

import pytest

from rhp.ike.events import AuthenticationFailed, HandshakeRefused, IkeClosed, InitiationFailed
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.message import build_message, build_payloads, parse_message
from rhp.wire.notify import Notify
from rhp.wire.skf import SKF
from rhp.wire.unknown import Unknown

CRITICAL, MEEK = Unknown(200, True, b"mysterious"), Unknown(200, False, b"mysterious")


def unsupported(message):
    """The payload type that a message complains of."""
    return message.notify(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD).data


def extended(message, payload):
    return replace(message, payloads=(*message.payloads, payload))


def test_critical_in_ike_sa_init(ladder):
    link = ladder()
    link.initiate()
    message = parse_message(link.drop().datagram)
    link.inject(link.b, build_message(extended(message, CRITICAL)))
    answer = link.read(link.drop())
    assert unsupported(answer) == b"\xc8"
    assert answer.spi_r == bytes(8)
    link.b.check_empty()


def test_not_critical_in_ike_sa_init(ladder):
    link = ladder()
    link.initiate()
    message = parse_message(link.drop().datagram)
    link.inject(link.b, build_message(extended(message, MEEK)))
    assert link.b.states() == ["half-open"]


def test_critical_in_the_answer_to_ike_sa_init(ladder):
    # Unprotected, so it is dropped and the true answer may still come.
    link = ladder()
    link.initiate()
    link.deliver()
    packet = link.drop()
    link.inject(link.a, build_message(extended(parse_message(packet.datagram), CRITICAL)))
    assert link.a.states() == ["connecting"]
    link.hand_over(packet)
    link.settle()
    link.check_established()


@pytest.mark.parametrize("payload", [CRITICAL, MEEK], ids=["critical", "meek"])
def test_in_ike_auth(ladder, payload):
    link = ladder()
    link.initiate()
    link.deliver()
    link.deliver()
    message = link.read(link.drop())
    link.inject(link.b, link.seal(extended(message, payload)), natt=True)
    if payload is MEEK:
        assert link.b.states() == ["established"]
        link.settle()
        link.check_established()
        return
    assert unsupported(link.read(link.flight[0])) == b"\xc8"
    link.settle()
    assert link.a.states() == link.b.states() == []
    assert len(link.b.happened(HandshakeRefused)) == len(link.a.happened(InitiationFailed)) == 1
    assert link.b.sas == {}


@pytest.mark.parametrize("exchange", [ExchangeType.INFORMATIONAL, ExchangeType.CREATE_CHILD_SA])
def test_critical_in_a_later_request(ladder, exchange):
    link = ladder().establish()
    answer = link.say(link.a, [CRITICAL], exchange)
    assert unsupported(answer) == b"\xc8"
    assert len(answer.payloads) == 1
    # The SA survives and the window has moved on.
    link.check_established()
    link.call(link.a, "rekey_child", link.a.child().child_id)
    link.settle()
    link.check_established()
    assert link.b.happened(IkeClosed) == []


def test_meek_in_a_later_request(ladder):
    link = ladder().establish()
    link.call(link.a, "rekey_child", link.a.child().child_id)
    message = link.read(link.drop())
    answer = link.ask(link.b, link.seal(replace(message, payloads=(MEEK, *message.payloads, MEEK))))
    assert answer.notify(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD) is None
    assert len(link.b.sas) == 2


def test_critical_bit_on_payloads_that_we_know_is_ignored(ladder):
    # Section 2.5: it must be ignored there. The octet after the type of each payload holds the bit.
    link = ladder()
    link.initiate()
    datagram = bytearray(link.drop().datagram)
    offset = 28
    while offset < len(datagram):
        datagram[offset + 1] |= 0x80
        offset += int.from_bytes(datagram[offset + 2 : offset + 4])
    link.inject(link.b, bytes(datagram))
    assert link.b.states() == ["half-open"]


@pytest.mark.parametrize(
    "inside", [b"\x00", b"\x00\x00\x00\x03", b"\x00\x00\x00\xff", b"\x29\x00\x00\x08\x00\x00\x40"], ids=repr
)
def test_unreadable_inside_the_seal(ladder, inside):
    # Only the peer can have sealed it: INVALID_SYNTAX, and nothing more can be relied on (section 2.21.3).
    link = ladder().establish()
    answer = link.ask(link.b, link.seal_raw(link.frame(link.a), 41, inside))
    assert answer.notify(NotifyType.INVALID_SYNTAX) is not None
    assert link.b.states() == [] and link.b.sas == {}
    assert len(link.b.happened(IkeClosed)) == 1


def test_unreadable_answer_inside_the_seal(ladder):
    link = ladder().establish()
    link.call(link.a, "rekey_child", link.a.child().child_id)
    request = link.drop()
    header = request.header
    frame = replace(link.read(request), initiator=False, response=True, payloads=())
    link.inject(link.a, link.seal_raw(frame, 33, b"\x00\x00\x00\x02"), request.target, natt=True)
    link.settle()
    assert link.a.states() == [] and link.a.sas == {}
    assert header.message_id == 2


def test_unreadable_ike_auth(ladder):
    link = ladder()
    link.initiate()
    link.deliver()
    link.deliver()
    frame = link.read(link.drop())
    link.inject(link.b, link.seal_raw(replace(frame, payloads=()), 35, b"\x00\x00\x00\x01"), natt=True)
    assert link.read(link.flight[0]).notify(NotifyType.INVALID_SYNTAX) is not None
    link.settle()
    assert link.a.states() == link.b.states() == []
    assert link.b.sas == {}


def test_payloads_outside_of_the_seal_are_not_read(ladder):
    # N(AUTHENTICATION_FAILED) in front of the SK payload is not protected by what is in it, and so it is nothing.
    link = ladder().establish()
    frame = link.frame(link.a)
    first, inside = build_payloads(())
    sealed = parse_message(link.seal_raw(frame, first, inside))
    forged = build_message(replace(sealed, payloads=(Notify(NotifyType.AUTHENTICATION_FAILED), *sealed.payloads)))
    link.inject(link.b, forged, natt=True)
    assert link.b.states() == ["established"]
    assert link.b.happened(AuthenticationFailed, IkeClosed) == []
    assert link.flight == []


def test_request_in_the_clear_on_an_sa_with_keys(ladder):
    link = ladder().establish()
    link.inject(link.b, build_message(link.frame(link.a)), natt=True)
    assert link.flight == []
    link.check_established()


def test_fragment(ladder):
    # We do not announce support for fragments, so one is dropped and the SA does not mind.
    link = ladder().establish()
    frame = link.frame(link.a)
    link.inject(link.b, build_message(replace(frame, payloads=(SKF(0, 1, 2, bytes(64)),))), natt=True)
    assert link.flight == []
    link.check_established()
