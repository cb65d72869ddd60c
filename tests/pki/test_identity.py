"""Identities as text, and patterns that match them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhp.pki.dn import format_dn, parse_dn, read_dn
from rhp.pki.identity import ANONYMOUS, format_identity, parse_identity, same_identity
from rhp.realm.pattern import IdentityPattern
from rhp.wire.identity import Identity, IDi


@pytest.mark.parametrize(
    ("text", "id_type", "data"),
    [
        ("gate.example.org", 2, b"gate.example.org"),
        ("gate", 2, b"gate"),
        ("@10.0.0.1", 2, b"10.0.0.1"),
        ("alice@example.org", 3, b"alice@example.org"),
        ("a@x", 3, b"a@x"),
        ("192.0.2.7", 1, bytes((192, 0, 2, 7))),
        ("2001:db8::1", 5, bytes.fromhex("20010db8000000000000000000000001")),
        ("@#0A1b", 11, b"\x0a\x1b"),
        ("  gate.example.org ", 2, b"gate.example.org"),
    ],
)
def test_texts_of_every_kind(text, id_type, data):
    assert parse_identity(text) == Identity(id_type, data)


@pytest.mark.parametrize(
    "text",
    ["", "%any", "*", "*.x", "a b", "@#0", "@#xy", "@", "a@", "@@b", "10.0.0.999", "ü.example.org", "a@b@c", "x/y"],
)
def test_texts_that_are_no_identity(text):
    with pytest.raises(ValueError, match=r"."):
        parse_identity(text)


@pytest.mark.parametrize(
    "text",
    [
        "gate.example.org",
        "a@x",
        "192.0.2.7",
        "2001:db8::1",
        "@#0a1b",
        "C=CH, O=rhp, CN=gate",
        r"O=a\, b, CN=x\+y, E=a@b",
    ],
)
def test_text_reads_back(text):
    assert format_identity(parse_identity(text)) == text


@given(st.integers(0, 255), st.binary(max_size=300))
def test_formatting_never_raises_and_is_printable(id_type, data):
    text = format_identity(Identity(id_type, data))
    assert text.isprintable()
    assert len(text) <= 300


def test_formatting_does_not_let_a_peer_write_control_characters():
    assert format_identity(Identity(2, b"a\nb\x1b[31m")) == r"a\nb\x1b[31m"
    assert format_identity(Identity(3, b"\xff\xfe@x")) == r"\xff\xfe@x"
    assert format_identity(Identity(9, b"\x30\x05junk")) == "malformed DN #30056a756e6b"
    assert format_identity(Identity(1, b"abc")) == "ID type 1 #616263"
    assert format_identity(Identity(12, b"")) == "ID type 12, empty"
    assert format_identity(Identity(13, b"")) == "%null"
    assert format_identity(Identity(13, b"x")) == "ID type 13 #78"


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("%any", ["a.b", "a@b", "10.0.0.1", "CN=x"], []),
        ("a.example.org", ["a.example.org", "A.Example.ORG"], ["b.example.org", "a.example.org.x", "xa.example.org"]),
        ("a@x", ["a@x", "A@X"], ["b@x", "a.x", "a@x.y"]),
        ("*@x.org", ["a@x.org", "B@X.ORG"], ["a@y.x.org", "a.x.org", "x.org"]),
        ("*.x.org", ["a.x.org", "a.b.x.org", "A.X.ORG"], ["x.org", "a@x.org", "ax.org", "a.x.org.evil"]),
        ("10.0.0.1", ["10.0.0.1"], ["@10.0.0.1", "10.0.0.2"]),
        ("C=CH, CN=gate", ["C=CH, CN=gate", "c=ch,cn=GATE"], ["CN=gate", "C=CH, CN=gate, OU=x", "CN=gate, C=CH"]),
        ("C=CH, O=*, CN=*", ["C=CH, O=x, CN=y"], ["C=DE, O=x, CN=y", "C=CH, CN=y", "C=CH, O=x, CN=y, OU=z"]),
    ],
)
def test_patterns(pattern, matching, others):
    compiled = IdentityPattern.parse(pattern)
    for text in matching:
        assert compiled.matches(parse_identity(text)), text
    for text in others:
        assert not compiled.matches(parse_identity(text)), text


@pytest.mark.parametrize("text", ["", "*x", "a*", "%", "%ANY2", "*@", "*.", "*.*.x", "*@x@y", "a b"])
def test_malformed_patterns(text):
    with pytest.raises(ValueError, match=r"."):
        IdentityPattern.parse(text)


def test_a_pattern_takes_the_payloads_of_both_sides():
    assert IdentityPattern.parse("a.b").matches(IDi(2, b"a.b"))
    assert IdentityPattern.parse("*.b").matches(IDi(2, b"a.b"))


@pytest.mark.parametrize("data", [b"evil@other@x.org", b"@x.org", b"x.org"])
def test_a_mail_pattern_wants_exactly_one_name_before_the_domain(data):
    assert not IdentityPattern.parse("*@x.org").matches(Identity(3, data))


def test_who_has_no_name_fits_the_one_pattern_for_that():
    pattern = IdentityPattern.parse("%null")
    assert pattern.matches(ANONYMOUS)
    assert pattern.identity is None
    assert format_identity(ANONYMOUS) == pattern.text == "%null"
    for other in (Identity(13, b"x"), Identity(11, b""), Identity(2, b"%null"), parse_identity("a.b")):
        assert not pattern.matches(other)
    for text in ("%any", "*", "*@x.org", "*.x.org", "a.b", "CN=*", "10.0.0.1", "@#00"):
        for nameless in (ANONYMOUS, Identity(13, b"a.x.org")):
            assert not IdentityPattern.parse(text).matches(nameless)
    with pytest.raises(ValueError, match="not an identity"):
        parse_identity("%null")


def test_malformed_names_match_only_octet_by_octet():
    assert not IdentityPattern.parse("CN=x").matches(Identity(9, b"\x30\x01"))
    assert not IdentityPattern.parse("CN=*").matches(Identity(9, b"\x30\x01"))
    assert same_identity(Identity(9, b"\x30\x01"), Identity(9, b"\x30\x01"))
    assert not same_identity(Identity(9, b"\x30\x01"), Identity(9, b"\x30\x02"))
    assert not same_identity(Identity(2, b"a"), Identity(3, b"a"))
    assert not same_identity(Identity(11, b"a"), Identity(11, b"A"))


def test_the_narrower_pattern_has_the_greater_rank():
    texts = ["%any", "CN=*", "*.x.org", "*.a.x.org", "*@x.org", "a.x.org"]
    ranks = [IdentityPattern.parse(text).specificity for text in texts]
    assert ranks == sorted(ranks)
    assert IdentityPattern.parse("a.x.org").identity == parse_identity("a.x.org")
    assert IdentityPattern.parse("*.x.org").identity is None
    assert IdentityPattern.parse("CN=*").identity is None


def test_names_compare_whatever_their_string_type():
    printable = parse_dn("C=CH, CN=Gate  One")
    utf8 = printable.replace(b"\x13\x09Gate  One", b"\x0c\x09gate  one")
    assert printable != utf8
    assert same_identity(Identity(9, printable), Identity(9, utf8))
    assert same_identity(Identity(9, printable), parse_identity("C=ch, CN=gate one"))


def test_names_with_every_kind_of_character():
    text = r"O=Bücher\, Söhne \\ Co, CN=日本"
    data = parse_dn(text)
    assert format_dn(data) == text
    assert [value for _, value in read_dn(data)] == ["Bücher, Söhne \\ Co", "日本"]


@pytest.mark.parametrize("text", ["", "CN", "CN=", "=x", "XX=y", "CN=a,,=b", "E=ü", "1=x"])
def test_malformed_name_texts(text):
    with pytest.raises(ValueError, match=r"."):
        parse_dn(text)


def test_names_by_object_identifier():
    assert format_dn(parse_dn("2.5.4.3=x, 1.2.3.4=y")) == "CN=x, 1.2.3.4=y"


@given(st.binary(max_size=80))
def test_any_octets_are_a_name_or_refused(data):
    with suppress(ValueError):
        assert all(isinstance(value, str) for _, value in read_dn(data))
