"""SK and SKF: always last, never inside one another, and their prefix the same on both sides (RFC 7296, RFC 7383)."""

import pytest

from rhp.wire.errors import DecodeError
from rhp.wire.header import HEADER_LENGTH
from rhp.wire.message import (
    Message,
    build_message,
    build_payloads,
    parse_message,
    parse_payloads,
    sealed_offset,
    sealed_prefix,
)
from rhp.wire.notify import Notify
from rhp.wire.sk import SK
from rhp.wire.skf import SKF
from rhp.wire.vendor import Vendor

SPI_I, SPI_R = bytes(range(1, 9)), bytes(range(17, 25))


def message(*payloads):
    return Message(SPI_I, SPI_R, 37, True, False, 5, payloads)


def reworked(datagram, chain):
    """The datagram with another chain and the length that goes with it."""
    return datagram[:24] + (HEADER_LENGTH + len(chain)).to_bytes(4, "big") + chain


def refusal(call, *arguments):
    with pytest.raises(DecodeError) as caught:
        call(*arguments)
    return caught.value.reason


@pytest.mark.parametrize("size", [0, 1, 28, 1200, 65531])
def test_a_sealed_message_is_its_prefix_and_its_body(size):
    body = bytes(index & 0xFF for index in range(size))
    whole = build_message(message(SK(41, body)))
    prefix = sealed_prefix(message(), 41, size)
    assert prefix + body == whole
    assert sealed_offset(whole) == len(prefix) == 32
    assert parse_message(whole).first(SK) == SK(41, body)


@pytest.mark.parametrize(("number", "total"), [(1, 1), (1, 2), (2, 2), (65535, 65535)])
def test_a_fragment_is_its_prefix_and_its_body(number, total):
    inner = 35 if number == 1 else 0
    body = b"iv and ciphertext"
    whole = build_message(message(SKF(inner, number, total, body)))
    prefix = sealed_prefix(message(), inner, len(body), (number, total))
    assert prefix + body == whole
    assert sealed_offset(whole) == len(prefix) == 36
    assert parse_message(whole).first(SKF) == SKF(inner, number, total, body)


def test_the_offset_is_found_behind_payloads_in_the_clear():
    whole = build_message(message(Notify(16390, b"cookie"), Vendor(b"v"), SK(0, b"sealed")))
    assert whole[sealed_offset(whole) :] == b"sealed"
    assert parse_message(whole).payloads == (Notify(16390, b"cookie"), Vendor(b"v"), SK(0, b"sealed"))


def test_the_payloads_in_the_message_do_not_change_the_prefix():
    assert sealed_prefix(message(Vendor(b"v")), 41, 9) == sealed_prefix(message(), 41, 9)


def test_there_is_no_offset_without_a_sealed_payload():
    assert refusal(sealed_offset, build_message(message(Vendor(b"v")))) == "no-sk"
    assert refusal(sealed_offset, build_message(message())) == "no-sk"
    assert refusal(sealed_offset, bytes(27)) == "short-header"


@pytest.mark.parametrize(("number", "total"), [(0, 0), (0, 1), (1, 0), (2, 1), (65535, 65534)])
def test_fragment_numbers_that_cannot_be_are_refused(number, total):
    whole = build_message(message(SKF(35, number, total, b"body")))
    assert refusal(parse_message, whole) == "bad-fragment-number"


@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_fragment_without_its_numbers_is_refused(size):
    whole = build_message(message(SKF(35, 1, 1, b"")))
    chain = bytes((35, 0)) + (4 + size).to_bytes(2, "big") + bytes(size)
    cut = reworked(whole, chain)
    assert refusal(parse_message, cut) == "truncated"
    assert refusal(sealed_offset, cut) == "truncated"


@pytest.mark.parametrize("sealed", [SK(43, b"body"), SKF(43, 1, 2, b"body")])
def test_nothing_comes_after_a_sealed_payload(sealed):
    whole = build_message(message(sealed))
    chain = whole[HEADER_LENGTH:]
    for more in (b"\0", build_payloads((Vendor(b"v"),))[1], chain):
        longer = reworked(whole, chain + more)
        assert refusal(parse_message, longer) == "octets-after-sk"


@pytest.mark.parametrize("sealed", [SK(0, b"body"), SKF(0, 1, 2, b"body")])
def test_a_sealed_payload_within_another_is_refused(sealed):
    alone = build_payloads((sealed,))
    behind = build_payloads((Vendor(b"v"), sealed))
    assert refusal(parse_payloads, *alone) == "nested-sk"
    assert refusal(parse_payloads, *behind) == "nested-sk"


def test_the_first_type_inside_does_not_lead_on():
    """An SK payload's next-payload names what is sealed: nothing in the clear is looked for, whatever it says."""
    for inner in (0, 33, 46, 53, 255):
        assert parse_message(build_message(message(SK(inner, b"x")))).payloads == (SK(inner, b"x"),)


def test_a_body_that_does_not_fit_has_no_prefix():
    with pytest.raises(ValueError, match="65531"):
        sealed_prefix(message(), 41, 65532)
    with pytest.raises(ValueError, match="65531"):
        sealed_prefix(message(), 41, 65528, (1, 1))
