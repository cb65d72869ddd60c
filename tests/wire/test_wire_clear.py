"""A sealed message as if it had been sent in the clear (RFC 9242 section 3.3.2)."""

import pytest

from rhp.wire.errors import DecodeError
from rhp.wire.iana import PayloadType
from rhp.wire.message import Message, build_message, build_payloads, in_the_clear, parse_message, sealed_prefix
from rhp.wire.notify import Notify
from rhp.wire.sk import SK
from rhp.wire.skf import SKF

FRAME = Message(b"initiato", b"responde", 43, True, False, 1, ())
INSIDE = (Notify(40_000, b"what is inside"), Notify(40_001, b""))


def test_one_sk_payload():
    first, inside = build_payloads(INSIDE)
    sealed = sealed_prefix(FRAME, first, 100) + bytes(100)
    clear = in_the_clear(sealed, inside)
    assert clear == sealed_prefix(FRAME, first, len(inside)) + inside
    assert parse_message(clear).payloads == (SK(first, inside),)


def test_a_fragment_is_seen_as_the_whole():
    first, inside = build_payloads(INSIDE)
    sealed = sealed_prefix(FRAME, first, 50, (1, 3)) + bytes(50)
    assert in_the_clear(sealed, inside) == sealed_prefix(FRAME, first, len(inside)) + inside


@pytest.mark.parametrize("kind", [SK, SKF])
def test_payloads_in_front_stay(kind):
    first, inside = build_payloads(INSIDE)
    sealed = SK(first, bytes(60)) if kind is SK else SKF(first, 1, 2, bytes(60))
    datagram = build_message(Message(*fields(), (Notify(40_002, b"in the clear"), sealed)))
    clear = parse_message(in_the_clear(datagram, inside))
    assert clear.payloads == (Notify(40_002, b"in the clear"), SK(first, inside))


def test_what_stands_in_reserved_places_stays_too():
    first, inside = build_payloads(INSIDE)
    sealed = bytearray(sealed_prefix(FRAME, first, 100) + bytes(100))
    sealed[17] = 0x21  # a minor version
    sealed[29] = 0x80  # the SK payload's critical bit
    clear = in_the_clear(bytes(sealed), inside)
    assert (clear[17], clear[29], clear[16]) == (0x21, 0x80, PayloadType.SK)


def test_a_message_without_protection():
    with pytest.raises(DecodeError, match="no-sk"):
        in_the_clear(build_message(Message(*fields(), INSIDE)), b"")


def fields():
    return FRAME.spi_i, FRAME.spi_r, FRAME.exchange, FRAME.initiator, FRAME.response, FRAME.message_id
