"""The Internet checksum against a plain reading of RFC 1071, in every way that this machine can sum."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhp._fast.checksum import checksum, ways

each_way = pytest.mark.parametrize("way", ways())


def plain(data):
    data += b"\x00" * (len(data) % 2)
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def processor_flags():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((set(line.split()) for line in lines if line.startswith(("flags", "Features"))), set())


def test_the_vectors_of_this_processor_are_in_use():
    vectors = {"avx2": "avx2", "asimd": "neon"}
    expected = [vectors[flag] for flag in vectors if flag in processor_flags()]
    assert ways() == ("generic", *expected)


def test_the_example_of_the_rfc():
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == ~0xDDF2 & 0xFFFF


def test_an_unknown_way_is_refused():
    with pytest.raises(ValueError, match="no way to sum here is called abacus"):
        checksum(b"", "abacus")


@each_way
@given(data=st.binary(max_size=3000))
def test_equals_the_plain_sum(way, data):
    assert checksum(data, way) == checksum(data) == plain(data)


@each_way
@pytest.mark.parametrize("octet", [0x00, 0x01, 0xFF])
def test_every_length_up_to_some_blocks(way, octet):
    # All ones make the most carries there can be; all zeros must not become the other zero.
    for length in range(300):
        data = bytes([octet]) * length
        assert checksum(data, way) == plain(data), length


@each_way
def test_the_longest_packet(way):
    for data in (b"\xff" * 65535, os.urandom(65535)):
        assert checksum(data, way) == plain(data)


@given(st.binary(min_size=2, max_size=100).filter(lambda data: len(data) % 2 == 0))
def test_a_sum_with_its_checksum_adds_up(data):
    assert checksum(data + checksum(data).to_bytes(2, "big")) in (0, 0xFFFF)
