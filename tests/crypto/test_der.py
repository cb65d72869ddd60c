"""The little DER coder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhp.crypto import der


@given(st.sampled_from([2, 5, 6, 12, 0x30, 0x31, 0xA0]), st.binary(max_size=400))
def test_an_element_reads_back(tag, content):
    element = der.encode(tag, content)
    assert der.read(element) == (tag, content, len(element))
    assert der.expect(element, tag) == content
    assert der.read_all(element + element) == [(tag, content)] * 2


def test_long_lengths():
    for size in (127, 128, 255, 256, 65535, 65536):
        element = der.encode(der.SEQUENCE, bytes(size))
        assert der.read(element)[1] == bytes(size)


@pytest.mark.parametrize(
    "wrong", ["", "30", "3001", "308101ff", "3080", "30840000000100", "30820001ff", "3085000000000100", "3002aa"]
)
def test_malformed_elements_are_refused(wrong):
    with pytest.raises(ValueError, match=r"."):
        der.read(bytes.fromhex(wrong))


def test_expect_wants_the_tag_and_nothing_behind():
    for wrong in (der.encode(der.SET), der.encode(der.SEQUENCE) + b"\x00"):
        with pytest.raises(ValueError, match="tag"):
            der.expect(wrong, der.SEQUENCE)


@given(
    st.tuples(st.integers(0, 2), st.integers(0, 39), st.lists(st.integers(0, 2**40), max_size=6)).map(
        lambda parts: ".".join(map(str, (parts[0], parts[1], *parts[2])))
    )
)
def test_object_identifiers_read_back(dotted):
    assert der.decode_oid(der.expect(der.encode_oid(dotted), der.OID)) == dotted


def test_known_object_identifiers():
    assert der.encode_oid("1.2.840.113549.1.1.11").hex() == "06092a864886f70d01010b"
    assert der.encode_oid("1.3.101.112").hex() == "06032b6570"
    assert der.encode_oid("2.999.3").hex() == "0603883703"
    assert der.decode_oid(bytes.fromhex("883703")) == "2.999.3"


def test_an_endless_object_identifier_is_refused_at_once():
    """Any peer may name itself by one before it is authenticated, and long numbers take quadratic time."""
    assert der.decode_oid(b"\x88\x37" + b"\x01" * 126).count(".") == 127
    with pytest.raises(ValueError, match="too long"):
        der.decode_oid(b"\xff" * 128 + b"\x01")


@pytest.mark.parametrize("wrong", ["1", "3.1", "0.40", "1.-2", "a.b", ""])
def test_malformed_dotted_texts(wrong):
    with pytest.raises(ValueError, match=r"."):
        der.encode_oid(wrong)


@pytest.mark.parametrize("wrong", ["", "80", "2a86"])
def test_truncated_object_identifiers(wrong):
    with pytest.raises(ValueError, match="identifier"):
        der.decode_oid(bytes.fromhex(wrong))


@given(st.binary(max_size=60))
def test_any_octets_are_read_or_refused(data):
    for reading in (der.read_all, der.decode_oid, lambda octets: der.expect(octets, der.SEQUENCE)):
        try:
            reading(data)
        except ValueError:
            continue
