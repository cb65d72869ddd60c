"""Messages with octets changed, lost, doubled or swapped: they are read, or refused by DecodeError; nothing else."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhp.wire.errors import DecodeError
from rhp.wire.message import (
    build_message,
    build_payloads,
    parse_header,
    parse_message,
    parse_payloads,
    sealed_offset,
)

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "wire.json").read_text(encoding="ascii"))
DATAGRAMS = [bytes.fromhex(one["datagram"]) for one in VECTORS]
INNER = [(one["inner_first"], bytes.fromhex(one["inner"])) for one in VECTORS if one.get("inner")]

position = st.integers(0, 2047)
# Lengths and counts at the ends of their ranges find more than what is drawn evenly.
value = st.sampled_from((0, 1, 2, 3, 4, 7, 8, 0x7F, 0x80, 0xFE, 0xFF)) | st.integers(0, 255)
mutation = st.one_of(
    st.tuples(st.just("change"), position, value),
    st.tuples(st.just("cut"), position, st.integers(1, 40)),
    st.tuples(st.just("double"), position, st.integers(1, 40)),
    st.tuples(st.just("swap"), position, position),
)
mutations = st.lists(mutation, min_size=1, max_size=6)


def mutated(octets, changes):
    changed = bytearray(octets)
    for kind, at, number in changes:
        if not changed:
            break
        at %= len(changed)
        if kind == "change":
            changed[at] = number
        elif kind == "cut":
            del changed[at : at + number]
        elif kind == "double":
            changed[at:at] = changed[at : at + number]
        else:
            number %= len(changed)
            changed[at], changed[number] = changed[number], changed[at]
    return bytes(changed)


def with_its_length(datagram):
    """The header's length put right, so that the mutation is met behind it."""
    return datagram[:24] + len(datagram).to_bytes(4, "big") + datagram[28:] if len(datagram) >= 28 else datagram


def read_or_refuse(read, write):
    """Whatever is read can be written, and is then read again as the same."""
    try:
        found = read()
    except DecodeError as error:
        assert error.reason
        assert error.reason == error.reason.lower()
        return None
    write(found)
    return found


def check_message(datagram):
    message = read_or_refuse(lambda: parse_message(datagram), build_message)
    if message is not None:
        assert parse_message(build_message(message)).payloads == message.payloads
    read_or_refuse(lambda: parse_header(datagram), lambda header: header.build())
    offset = read_or_refuse(lambda: sealed_offset(datagram), int)
    assert offset is None or 32 <= offset <= len(datagram)


def check_payloads(first, chain):
    payloads = read_or_refuse(lambda: parse_payloads(first, chain), build_payloads)
    if payloads is not None:
        assert parse_payloads(*build_payloads(payloads)) == payloads


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(DATAGRAMS), mutations)
def test_a_mutated_datagram_is_read_or_refused(datagram, changes):
    check_message(mutated(datagram, changes))


@settings(max_examples=800, deadline=None)
@given(st.sampled_from(DATAGRAMS), mutations)
def test_a_mutated_datagram_of_the_right_length_is_read_or_refused(datagram, changes):
    check_message(with_its_length(mutated(datagram, changes)))


@settings(max_examples=800, deadline=None)
@given(st.sampled_from(INNER), mutations)
def test_mutated_payloads_are_read_or_refused(inner, changes):
    first, chain = inner
    check_payloads(first, mutated(chain, changes))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 255), st.binary(max_size=300))
def test_noise_is_read_or_refused(first, noise):
    check_payloads(first, noise)
    check_payloads(first, bytes(2) + (len(noise) + 4).to_bytes(2, "big") + noise)
    check_message(noise)


@pytest.mark.parametrize("octet", [0x00, 0x01, 0x7F, 0x80, 0xFF])
def test_each_octet_of_each_message_changed(octet):
    for datagram in DATAGRAMS[:2]:
        for at in range(len(datagram)):
            check_message(datagram[:at] + bytes((octet,)) + datagram[at + 1 :])
    for first, chain in INNER:
        for at in range(len(chain)):
            check_payloads(first, chain[:at] + bytes((octet,)) + chain[at + 1 :])
