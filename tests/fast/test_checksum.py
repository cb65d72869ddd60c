"""The Internet checksum against a plain reading of RFC 1071."""

from hypothesis import given
from hypothesis import strategies as st

from rhp._fast.checksum import checksum


def plain(data):
    data += b"\x00" * (len(data) % 2)
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def test_the_example_of_the_rfc():
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == ~0xDDF2 & 0xFFFF


@given(st.binary(max_size=3000))
def test_equals_the_plain_sum(data):
    assert checksum(data) == plain(data)


@given(st.binary(min_size=2, max_size=100).filter(lambda data: len(data) % 2 == 0))
def test_a_sum_with_its_checksum_adds_up(data):
    assert checksum(data + checksum(data).to_bytes(2, "big")) in (0, 0xFFFF)
