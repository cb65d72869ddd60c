"""What does not hold together is refused by its name: lengths that lie, counts that run over, chains that go astray."""

import pytest

from rhp.wire.errors import DecodeError, UnsupportedCriticalPayload
from rhp.wire.identity import IDi, IDr
from rhp.wire.message import build_message, build_payloads, parse_header, parse_message, parse_payloads
from rhp.wire.notify import Notify
from rhp.wire.sa import SA, Proposal, Transform
from rhp.wire.unknown import Unknown
from rhp.wire.vendor import Vendor

SPIS = bytes(range(1, 17))
SELECTOR = "07 00 0010 0000 ffff 00000000 ffffffff"
TRANSFORM = "0000 0008 0200 0005"


def chained(*payloads, last=0):
    """A chain of (type, body as hex) pairs, in this order, and the type that the last one says comes next."""
    following = [*(kind for kind, _ in payloads[1:]), last]
    parts = []
    for (_, text), after in zip(payloads, following, strict=True):
        body = bytes.fromhex(text)
        parts.append(bytes((after, 0)) + (len(body) + 4).to_bytes(2, "big") + body)
    return b"".join(parts)


def framed(first, chain, *, length=None, version=0x20):
    whole = 28 + len(chain) if length is None else length
    return SPIS + bytes((first, version, 37, 8)) + bytes(4) + whole.to_bytes(4, "big") + chain


def refusal(call, *arguments):
    with pytest.raises(DecodeError) as caught:
        call(*arguments)
    return caught.value.reason


def test_each_truncation_of_a_message_is_refused():
    whole = framed(41, chained((41, "0000 4000 01"), (43, "0102"), (40, "55" * 16)))
    assert len(parse_message(whole).payloads) == 3
    for size in range(len(whole)):
        assert refusal(parse_message, whole[:size]) in ("short-header", "bad-message-length")
        # With a length that agrees it is the chain that ends too soon.
        cut = whole[:24] + size.to_bytes(4, "big") + whole[28:size]
        if size >= 28:
            assert refusal(parse_message, cut) in ("truncated", "bad-payload-length")


BODIES = {
    "sa": (33, "0000 0014 01 01 00 01 0000 000c 0100 0014 800e 0080"),
    "sa-spi": (33, "0000 0018 01 01 08 01 0102030405060708" + TRANSFORM),
    "tsi": (44, "01 000000" + SELECTOR),
    "tsr": (45, "02 000000" + SELECTOR * 2),
    "delete": (42, "03 04 0002 00000100 00000101"),
}


@pytest.mark.parametrize("name", BODIES)
def test_each_truncation_of_a_counted_payload_is_refused(name):
    kind, text = BODIES[name]
    octets = bytes.fromhex(text)
    parse_payloads(kind, chained((kind, text)))
    for size in range(len(octets)):
        refusal(parse_payloads, kind, chained((kind, octets[:size].hex())))
    # And so is one octet more.
    refusal(parse_payloads, kind, chained((kind, text + "00")))


@pytest.mark.parametrize(
    ("kind", "fixed"), [(34, 4), (35, 4), (36, 4), (37, 1), (38, 1), (39, 4), (41, 4), (47, 4)], ids=str
)
def test_a_payload_shorter_than_its_fixed_part_is_refused(kind, fixed):
    for size in range(fixed):
        assert refusal(parse_payloads, kind, chained((kind, "00" * size))) == "truncated"
    assert len(parse_payloads(kind, chained((kind, "00" * fixed)))) == 1


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        # A proposal: its length, its SPI, the number of transforms, what follows.
        (33, "", "truncated"),
        (33, "0000 0007 01 01 00 00", "bad-proposal-length"),
        (33, "0000 000b 01 01 04 00 0000 00", "bad-proposal-length"),
        (33, "0000 0009 01 01 00 00", "truncated"),
        (33, "0000 ffff 01 01 00 01" + TRANSFORM, "truncated"),
        (33, "0000 0019 01 01 11 00" + "00" * 17, "bad-proposal-length"),
        (33, "0100 0010 01 01 00 01" + TRANSFORM, "bad-proposal-chain"),
        (33, "0300 0010 01 01 00 01" + TRANSFORM, "bad-proposal-chain"),
        (33, "0200 0010 01 01 00 01" + TRANSFORM, "truncated"),
        (33, ("0000 0010 01 01 00 01" + TRANSFORM) * 2, "bad-proposal-chain"),
        (33, ("0200 0010 01 01 00 01" + TRANSFORM) * 128 + "0000 0010 01 01 00 01" + TRANSFORM, "too-many-proposals"),
        # The transforms: how many are said to follow, and their lengths.
        (33, "0000 0010 01 01 00 00" + TRANSFORM, "bad-transform-chain"),
        (33, "0000 0010 01 01 00 02" + TRANSFORM, "bad-transform-chain"),
        (33, "0000 0010 01 01 00 02 0300 0008 0200 0005", "truncated"),
        (33, "0000 0010 01 01 00 01 0300 0008 0200 0005", "bad-transform-chain"),
        (33, "0000 0010 01 01 00 01 0000 0007 0200 0005", "bad-transform-length"),
        (33, "0000 0010 01 01 00 01 0000 0009 0200 0005", "truncated"),
        # Attributes: half a head, a value that runs over.
        (33, "0000 0013 01 01 00 01 0000 000b 0100 0014 800e 00", "truncated"),
        (33, "0000 0014 01 01 00 01 0000 000c 0100 0014 0011 0001", "truncated"),
        # Nonces have 16 to 256 octets.
        (40, "00" * 15, "bad-nonce-length"),
        (40, "00" * 257, "bad-nonce-length"),
        (41, "03 04 4009 010203", "truncated"),
        (41, "03 11 4009" + "00" * 17, "bad-spi-size"),
        # SPIs of a Delete: their size, their number; an IKE SA has none.
        (42, "03 03 0001 010203", "bad-spi-size"),
        (42, "03 00 ffff", "bad-spi-size"),
        (42, "01 08 0001 0102030405060708", "bad-spi-size"),
        (42, "01 04 0001 01020304", "bad-spi-size"),
        (42, "03 04 0002 01020304", "bad-spi-count"),
        (42, "03 04 ffff 01020304", "bad-spi-count"),
        (42, "03 04 0000 01020304", "bad-spi-count"),
        # Traffic selectors.
        (44, "02 000000" + SELECTOR, "truncated"),
        (44, "00 000000" + SELECTOR, "bad-selector-count"),
        (44, "01 000000 07 00 0007 0000 ffff 00000000 ffffffff", "bad-selector-length"),
        (44, "01 000000 09 00 0003 0000 ffff", "bad-selector-length"),
        (44, "02 000000 09 00 0000 0000 ffff 09 00 0000 0000 ffff", "bad-selector-length"),
        (44, "01 000000 07 00 000c 0000 ffff 00000000", "bad-selector-length"),
        (44, "01 000000 07 00 0028 0000 ffff" + "00" * 32, "bad-selector-length"),
        (45, "01 000000 08 00 0010 0000 ffff 00000000 ffffffff", "bad-selector-length"),
        (45, "01 000000 08 00 0029 0000 ffff" + "00" * 32, "truncated"),
        # Configuration attributes.
        (47, "01 000000 0001 0004 000000", "truncated"),
        (47, "01 000000 0001 00", "truncated"),
        (47, "01 000000" + "0001 0000" * 513, "too-many-attributes"),
    ],
)
def test_a_payload_that_lies_is_refused_by_name(kind, text, reason):
    assert refusal(parse_payloads, kind, chained((kind, text))) == reason


def test_what_is_just_within_the_bounds_is_read():
    proposals = ("0200 0010 01 01 00 01" + TRANSFORM) * 127 + "0000 0010 01 01 00 01" + TRANSFORM
    transforms = "0000 0800 01 01 00 ff" + "0300 0008 0200 0005" * 254 + TRANSFORM
    assert len(parse_payloads(33, chained((33, proposals)))[0].proposals) == 128
    assert len(parse_payloads(33, chained((33, transforms)))[0].proposals[0].transforms) == 255
    assert len(parse_payloads(44, chained((44, "ff 000000" + SELECTOR * 255)))[0].selectors) == 255
    assert len(parse_payloads(47, chained((47, "01 000000" + "0001 0000" * 512)))[0].attributes) == 512
    assert len(parse_payloads(40, chained((40, "00" * 256)))[0].data) == 256


def test_five_hundred_and_twelve_payloads_are_read_and_no_more():
    assert len(parse_payloads(43, chained(*[(43, "")] * 512))) == 512
    assert refusal(parse_payloads, 43, chained(*[(43, "")] * 513)) == "too-many-payloads"


@pytest.mark.parametrize("length", [0, 1, 3])
def test_a_payload_that_would_not_move_on_is_refused(length):
    """With a length under four the chain could turn on the spot."""
    chain = bytes((43, 0)) + length.to_bytes(2, "big")
    assert refusal(parse_payloads, 43, chain) == "bad-payload-length"


def test_a_chain_must_end_where_its_octets_end():
    assert refusal(parse_payloads, 43, chained((43, "01"), last=43)) == "truncated"
    assert refusal(parse_payloads, 43, chained((43, "01")) + b"\0") == "trailing-octets"
    assert refusal(parse_payloads, 0, b"\0") == "trailing-octets"
    assert parse_payloads(0, b"") == ()
    assert refusal(parse_payloads, 43, b"\0\0\0\x05") == "bad-payload-length"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (33, "0000 0010 01 01 00 01" + TRANSFORM),
        (34, "001f 0000 00"),
        (35, "02 000000 61"),
        (36, "02 000000 61"),
        (39, "02 000000 61"),
        (40, "00" * 16),
        (44, "01 000000" + SELECTOR),
        (45, "01 000000" + SELECTOR),
        (47, "01 000000"),
        (48, "01 01 0004"),
    ],
    ids=str,
)
def test_a_second_one_is_refused_where_there_can_be_only_one(kind, text):
    other = (43, "00")
    assert refusal(parse_payloads, kind, chained((kind, text), other, (kind, text))) == "duplicate-payload"
    assert len(parse_payloads(kind, chained((kind, text), other))) == 2


def test_payloads_that_may_come_twice_keep_their_order():
    chain = chained((41, "0000 4004"), (43, "01"), (37, "04 01"), (41, "0000 4005"), (43, "02"), (37, "04 02"))
    read = parse_payloads(41, chain)
    assert [one.type for one in read if isinstance(one, Notify)] == [16388, 16389]
    assert [one.data for one in read if isinstance(one, Vendor)] == [b"\1", b"\2"]


def test_any_order_of_payloads_is_read():
    parts = [(40, "00" * 16), (34, "001f 0000"), (41, "0000 4004"), (33, "0000 0010 01 01 00 01" + TRANSFORM)]
    forth = parse_payloads(40, chained(*parts))
    back = parse_payloads(33, chained(*reversed(parts)))
    assert forth == tuple(reversed(back))


def test_an_unknown_payload_is_skipped_unless_it_is_critical():
    plain = chained((99, "cafe"), (43, "01"))
    assert parse_payloads(99, plain) == (Unknown(99, False, b"\xca\xfe"), Vendor(b"\1"))
    with pytest.raises(UnsupportedCriticalPayload) as caught:
        parse_payloads(99, plain[:1] + b"\x80" + plain[2:])
    assert caught.value.payload_type == 99
    assert caught.value.reason == "unsupported-critical-payload"
    # The payloads of IKEv1 (1 to 13) are unknown to IKEv2.
    assert parse_payloads(1, chained((1, "")))[0] == Unknown(1, False, b"")


def test_the_critical_bit_is_ignored_on_payloads_that_we_know():
    chain = chained((43, "01"))
    assert parse_payloads(43, chain[:1] + b"\x80" + chain[2:]) == (Vendor(b"\1"),)


def test_reserved_bits_are_ignored():
    chain = chained((43, "01"))
    assert parse_payloads(43, chain[:1] + b"\x7f" + chain[2:]) == (Vendor(b"\1"),)
    datagram = bytearray(framed(43, chain))
    plain = parse_message(bytes(datagram))
    datagram[19] |= 0xC7
    assert parse_message(bytes(datagram)) == plain


@pytest.mark.parametrize("error", [-1, 1, 1 << 31])
def test_the_length_of_the_header_is_that_of_the_datagram(error):
    chain = chained((43, "01"))
    wrong = framed(43, chain, length=28 + len(chain) + error)
    assert refusal(parse_message, wrong) == "bad-message-length"
    assert refusal(parse_message, framed(43, chain) + b"\0") == "bad-message-length"


@pytest.mark.parametrize("version", [0x00, 0x10, 0x30, 0xF0])
def test_another_major_version_is_refused_but_its_header_can_be_read(version):
    datagram = framed(0, b"", version=version)
    assert refusal(parse_message, datagram) == "wrong-major-version"
    header = parse_header(datagram)
    assert (header.major, header.spi_i, header.exchange) == (version >> 4, SPIS[:8], 37)


def test_a_higher_minor_version_is_read():
    assert parse_message(framed(0, b"", version=0x2F)).payloads == ()


def test_the_header_is_read_without_what_follows():
    header = parse_header(framed(43, b"", length=77))
    assert (header.next_payload, header.length, header.initiator, header.response) == (43, 77, True, False)
    assert header.build() == framed(43, b"", length=77)
    assert refusal(parse_header, bytes(27)) == "short-header"


def test_what_does_not_fit_is_not_written():
    with pytest.raises(ValueError, match="65531"):
        build_payloads((Vendor(bytes(65532)),))
    assert len(build_payloads((Vendor(bytes(65531)),))[1]) == 65535


def test_a_proposal_that_does_not_fit_is_not_written():
    transform = Transform(2, 5)
    assert len(SA((Proposal(1, 1, b"", (transform,) * 255),)).build()) == 8 + 8 * 255
    for wrong in (
        Proposal(1, 1, b"", (transform,) * 256),
        Proposal(256, 1, b"", (transform,)),
        Proposal(1, 1, b"", (Transform(2, 5, None, ((1, bytes(65500)),)), transform, transform, transform)),
    ):
        with pytest.raises(ValueError, match="255 transforms"):
            SA((wrong,)).build()


def test_a_selector_of_an_unknown_type_is_left_out():
    (read,) = parse_payloads(44, chained((44, "03 000000 09 00 000a 0000 ffff cafe" + SELECTOR + "0a 00 0005 61")))
    assert [one.ts_type for one in read.selectors] == [7]


def test_the_reserved_octets_of_an_identity_are_kept_but_not_compared():
    (read,) = parse_payloads(35, chained((35, "02 010203 612e62")))
    assert read == IDi(2, b"a.b")
    assert hash(read) == hash(IDi(2, b"a.b"))
    # AUTH covers these octets as the peer sent them (RFC 7296 section 2.15).
    assert read.build() == bytes.fromhex("02 010203 612e62")
    assert IDi(2, b"a.b").build() == bytes.fromhex("02 000000 612e62")
    assert read != IDr(2, b"a.b")
    assert read.identity == IDr(2, b"a.b").identity


def test_errors_and_statuses_meet_at_16384():
    assert Notify(16383).is_error
    assert not Notify(16384).is_error


def test_an_error_says_no_octets_of_the_message():
    with pytest.raises(DecodeError) as caught:
        parse_payloads(40, chained((40, "5ec2e7")))
    assert "5ec2e7" not in str(caught.value)
    assert repr(b"\x5e\xc2\xe7") not in repr(caught.value)


def test_a_message_can_be_written_once_it_was_read():
    datagram = framed(41, chained((41, "0000 4000 01"), (99, "0102")))
    assert build_message(parse_message(datagram)) == datagram
