"""The choice between offered and configured proposals."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhp.crypto.errors import NoProposalChosen
from rhp.crypto.proposal import (
    accept_esp,
    accept_ike,
    choose_esp,
    choose_ike,
    default_esp_proposals,
    default_ike_proposals,
    parse_esp_proposal,
    parse_ike_proposal,
)
from rhp.wire.iana import Protocol, TransformType
from rhp.wire.message import parse_payloads
from rhp.wire.sa import SA, Proposal, Transform

SPI = b"\x00\x00\x12\x34"


def ike(*texts):
    return tuple(parse_ike_proposal(text) for text in texts)


def esp(*texts):
    return tuple(parse_esp_proposal(text) for text in texts)


def offer_ike(*texts):
    return SA(tuple(item.to_wire(number) for number, item in enumerate(ike(*texts), 1)))


def offer_esp(*texts, with_key_exchange=True):
    return SA(tuple(item.to_wire(n, SPI, with_key_exchange) for n, item in enumerate(esp(*texts), 1)))


def answer(suite, number=1, protocol=Protocol.IKE, spi=b""):
    return SA((Proposal(number, protocol, spi, suite.transforms()),))


def test_our_own_order_wins_within_a_proposal():
    offered = offer_ike("aes256gcm16-aes128gcm16-prfsha512-prfsha256-modp2048-x25519")
    number, suite = choose_ike(offered, ike("aes128gcm16-aes256gcm16-prfsha256-prfsha512-x25519-modp2048"))
    assert (number, suite.name) == (1, "aes128gcm16-prfsha256-x25519")


def test_an_ike_sa_without_a_key_exchange_is_neither_offered_nor_taken():
    # RFC 7296 section 2.18: neither NONE nor silence will do.
    own = ike("aes128gcm16-prfsha256-x25519")
    (whole,) = offer_ike("aes128gcm16-prfsha256-x25519").proposals
    silent = tuple(one for one in whole.transforms if one.type != TransformType.KE)
    for transforms in (silent, (*silent, Transform(TransformType.KE, 0))):
        with pytest.raises(NoProposalChosen):
            choose_ike(SA((Proposal(1, Protocol.IKE, b"", transforms),)), own)
    for proposal in default_ike_proposals():
        offered = {one.id for one in proposal.to_wire(1).transforms if one.type == TransformType.KE}
        assert offered and 0 not in offered


def test_our_own_order_wins_among_proposals():
    offered = offer_ike("aes256-sha256-modp2048", "aes256gcm16-prfsha256-x25519", "aes128gcm16-prfsha256-x25519")
    assert choose_ike(offered, default_ike_proposals())[0] == 3
    assert choose_ike(offered, ike("aes256-sha256-modp2048", "aes128gcm16-prfsha256-x25519"))[0] == 1


def test_defaults_of_both_ends_meet_at_the_fastest():
    offered = SA(tuple(item.to_wire(n) for n, item in enumerate(default_ike_proposals(), 1)))
    number, suite = choose_ike(offered, default_ike_proposals())
    assert (number, suite.name) == (1, "aes128gcm16-prfsha256-x25519-ke1_mlkem768")
    assert accept_ike(answer(suite, number), default_ike_proposals()) == suite
    offered = SA(tuple(item.to_wire(n, SPI) for n, item in enumerate(default_esp_proposals(), 1)))
    number, spi, suite = choose_esp(offered, default_esp_proposals())
    assert (number, spi, suite.name) == (1, SPI, "aes128gcm16-x25519-esn")
    assert accept_esp(answer(suite, 1, Protocol.ESP, SPI), default_esp_proposals()) == (SPI, suite)


def test_the_key_exchange_that_was_sent_may_be_preferred():
    offered = offer_ike("aes128gcm16-prfsha256-modp2048-x25519")
    configured = ike("aes128gcm16-prfsha256-x25519-modp2048")
    assert choose_ike(offered, configured)[1].key_exchange == 31
    assert choose_ike(offered, configured, sent_key_exchange=14)[1].key_exchange == 14
    assert choose_ike(offered, configured, sent_key_exchange=2)[1].key_exchange == 31
    strict = ike("aes128gcm16-prfsha256-x25519")
    assert choose_ike(offered, strict, sent_key_exchange=14)[1].key_exchange == 31


def test_nothing_in_common_says_what_was_offered_and_configured():
    with pytest.raises(NoProposalChosen) as caught:
        choose_ike(offer_ike("aes256-sha1-modp1024"), ike("aes128gcm16-prfsha256-x25519"))
    assert "aes256-prfsha1-sha1-modp1024" in str(caught.value)
    assert "configured is aes128gcm16-prfsha256-x25519" in str(caught.value)
    with pytest.raises(NoProposalChosen):
        choose_ike(SA(()), default_ike_proposals())
    with pytest.raises(NoProposalChosen):
        choose_ike(offer_ike("aes128gcm16-prfsha256-x25519"), ())


def test_a_flood_of_offers_is_told_in_a_line_of_bearable_length():
    many = tuple(Transform(TransformType.ENCR, number, 128) for number in range(1000, 1255))
    with pytest.raises(NoProposalChosen) as caught:
        choose_ike(SA(tuple(Proposal(1, Protocol.IKE, b"", many) for _ in range(128))), default_ike_proposals())
    assert "transform1:1000/128" in str(caught.value)
    assert len(str(caught.value)) < 6000


@pytest.mark.parametrize("missing", [TransformType.ENCR, TransformType.PRF, TransformType.KE])
def test_a_kind_that_is_not_offered_cannot_be_chosen(missing):
    full = offer_ike("aes128gcm16-prfsha256-x25519").proposals[0]
    cut = Proposal(1, full.protocol, b"", tuple(item for item in full.transforms if item.type != missing))
    with pytest.raises(NoProposalChosen):
        choose_ike(SA((cut,)), default_ike_proposals())


def with_extra(*extra):
    base = offer_ike("aes128gcm16-prfsha256-x25519").proposals[0]
    return SA((Proposal(1, base.protocol, b"", (*extra, *base.transforms)),))


@pytest.mark.parametrize(
    "extra",
    [
        Transform(TransformType.ENCR, 999, 128),
        Transform(TransformType.ENCR, 20, 64),
        Transform(TransformType.ENCR, 20, None),
        Transform(TransformType.ENCR, 28, 256),
        Transform(TransformType.PRF, 5, 128),
        Transform(TransformType.PRF, 77, None),
        Transform(TransformType.KE, 1000, None),
        Transform(TransformType.INTEG, 0, None),
    ],
)
def test_an_unknown_transform_is_passed_over(extra):
    assert choose_ike(with_extra(extra), default_ike_proposals())[1].name == "aes128gcm16-prfsha256-x25519"


def on_the_wire(*prf_attributes):
    """An SA payload whose AEAD, key exchange and PRF transforms are plain but for the PRF's attributes."""
    bodies = [
        bytes.fromhex("01000014800e0080"),  # AES-GCM-16, Key Length 128
        bytes.fromhex("0400001f"),  # X25519
        *(bytes.fromhex("02000005" + attribute) for attribute in prf_attributes),
    ]
    packed = b"".join(
        bytes((0 if body is bodies[-1] else 3, 0)) + (len(body) + 4).to_bytes(2, "big") + body for body in bodies
    )
    proposal = bytes((0, 0)) + (len(packed) + 8).to_bytes(2, "big") + bytes((1, 1, 0, len(bodies))) + packed
    (offered,) = parse_payloads(33, bytes((0, 0)) + (len(proposal) + 4).to_bytes(2, "big") + proposal)
    return offered


def test_a_transform_with_an_unknown_attribute_is_not_the_plain_one():
    assert choose_ike(on_the_wire(""), default_ike_proposals())[1].prf.name == "prfsha256"
    for attribute in ("80630001", "0063000400000001", "800e0080"):
        with pytest.raises(NoProposalChosen):
            choose_ike(on_the_wire(attribute), default_ike_proposals())
        assert choose_ike(on_the_wire(attribute, ""), default_ike_proposals())[1].prf.name == "prfsha256"


@pytest.mark.parametrize("kind", [6, 12, 5, 200])
def test_an_unknown_kind_of_transform_spoils_its_proposal_only(kind):
    spoiled = with_extra(Transform(kind, 1, None))
    with pytest.raises(NoProposalChosen):
        choose_ike(spoiled, default_ike_proposals())
    plain = offer_ike("aes256-sha512-modp3072").proposals[0]
    both = SA((*spoiled.proposals, Proposal(2, plain.protocol, plain.spi, plain.transforms)))
    assert choose_ike(both, default_ike_proposals())[0] == 2


def test_an_aead_with_integrity_but_not_none_is_refused():
    with pytest.raises(NoProposalChosen):
        choose_ike(with_extra(Transform(TransformType.INTEG, 12, None)), default_ike_proposals())
    allowed = with_extra(Transform(TransformType.INTEG, 12, None), Transform(TransformType.INTEG, 0, None))
    assert choose_ike(allowed, default_ike_proposals())[1].integrity is None


def test_an_aead_with_integrity_of_an_unknown_attribute_is_refused():
    strange = Transform(TransformType.INTEG, 12, None, ((77, b"x"),))
    proposal = ike("aes128gcm16-prfsha256-x25519")[0].to_wire(1)
    offered = SA((Proposal(1, Protocol.IKE, b"", (*proposal.transforms, strange)),))
    with pytest.raises(NoProposalChosen):
        choose_ike(offered, ike("aes128gcm16-prfsha256-x25519"))


def test_a_cipher_needs_integrity_with_a_name():
    base = offer_ike("aes256-sha256-modp2048").proposals[0]
    none = tuple(
        Transform(TransformType.INTEG, 0, None) if item.type == TransformType.INTEG else item
        for item in base.transforms
    )
    with pytest.raises(NoProposalChosen):
        choose_ike(SA((Proposal(1, base.protocol, b"", none),)), default_ike_proposals())


def test_protocols_are_not_confused():
    ike_offer, esp_offer = offer_ike("aes128gcm16-prfsha256-x25519"), offer_esp("aes128gcm16")
    with pytest.raises(NoProposalChosen):
        choose_ike(esp_offer, default_ike_proposals())
    with pytest.raises(NoProposalChosen):
        choose_esp(ike_offer, default_esp_proposals())
    as_ah = SA((Proposal(1, Protocol.AH, SPI, esp_offer.proposals[0].transforms),))
    with pytest.raises(NoProposalChosen):
        choose_esp(as_ah, default_esp_proposals())


@pytest.mark.parametrize("spi", [b"", b"\0\0\0\0", b"\0\0\0\xff", b"\1\2\3", b"\0\0\0\1\0"])
def test_esp_wants_an_spi_that_may_be_used(spi):
    transforms = offer_esp("aes128gcm16").proposals[0].transforms
    with pytest.raises(NoProposalChosen):
        choose_esp(SA((Proposal(1, Protocol.ESP, spi, transforms),)), default_esp_proposals())


@pytest.mark.parametrize(
    ("offered", "configured", "expected"),
    [
        ("aes128gcm16-esn-noesn", "aes128gcm16-noesn", False),
        ("aes128gcm16-noesn-esn", "aes128gcm16-esn-noesn", True),
        ("aes128gcm16-noesn", "aes128gcm16", False),
        ("aes128gcm16-esn", "aes128gcm16-noesn", None),
    ],
)
def test_extended_sequence_numbers(offered, configured, expected):
    if expected is None:
        with pytest.raises(NoProposalChosen):
            choose_esp(offer_esp(offered), esp(configured))
    else:
        assert choose_esp(offer_esp(offered), esp(configured))[2].esn is expected


def test_a_proposal_without_an_esn_transform_means_none():
    base = offer_esp("aes128gcm16").proposals[0]
    silent = Proposal(1, base.protocol, SPI, tuple(t for t in base.transforms if t.type != TransformType.ESN))
    assert choose_esp(SA((silent,)), default_esp_proposals())[2].esn is False
    with pytest.raises(NoProposalChosen):
        choose_esp(SA((silent,)), esp("aes128gcm16-esn"))


@pytest.mark.parametrize(
    ("offered", "configured", "expected"),
    [
        ("aes128gcm16-x25519", "aes128gcm16-x25519", 31),
        ("aes128gcm16", "aes128gcm16", None),
        ("aes128gcm16", "aes128gcm16-x25519-modpnone", None),
        ("aes128gcm16-x25519-modpnone", "aes128gcm16", None),
        ("aes128gcm16-x25519-modpnone", "aes128gcm16-x25519", 31),
        ("aes128gcm16-x25519", "aes128gcm16", "refused"),
        ("aes128gcm16", "aes128gcm16-x25519", "refused"),
        ("aes128gcm16-modp2048", "aes128gcm16-x25519-modpnone", "refused"),
    ],
)
def test_the_key_exchange_of_a_child(offered, configured, expected):
    if expected == "refused":
        with pytest.raises(NoProposalChosen):
            choose_esp(offer_esp(offered), esp(configured))
    else:
        assert choose_esp(offer_esp(offered), esp(configured))[2].key_exchange == expected


def test_in_ike_auth_key_exchange_plays_no_part():
    for offered in ("aes128gcm16-modp2048", "aes128gcm16"):
        suite = choose_esp(offer_esp(offered), esp("aes128gcm16-x25519"), with_key_exchange=False)[2]
        assert suite.key_exchange is None
        assert TransformType.KE not in [item.type for item in suite.transforms()]


def test_accept_refuses_what_was_not_offered():
    configured = ike("aes128gcm16-prfsha256-x25519")
    good = parse_ike_proposal("aes128gcm16-prfsha256-x25519").to_wire(1)
    assert accept_ike(SA((good,)), configured).name == "aes128gcm16-prfsha256-x25519"
    for text in ("aes256gcm16-prfsha256-x25519", "aes128gcm16-prfsha512-x25519", "aes128gcm16-prfsha256-modp2048"):
        with pytest.raises(NoProposalChosen, match="which was not offered"):
            accept_ike(SA((parse_ike_proposal(text).to_wire(1),)), configured)


def test_accept_wants_exactly_one_proposal_with_one_transform_of_a_kind():
    configured = default_ike_proposals()
    good = parse_ike_proposal("aes128gcm16-prfsha256-x25519").to_wire(1)
    for chosen in (SA(()), SA((good, good))):
        with pytest.raises(NoProposalChosen, match="instead of one"):
            accept_ike(chosen, configured)
    doubled = parse_ike_proposal("aes128gcm16-aes256gcm16-prfsha256-x25519").to_wire(1)
    with pytest.raises(NoProposalChosen, match="two transforms"):
        accept_ike(SA((doubled,)), configured)


def test_accept_does_not_mix_two_of_our_proposals():
    configured = ike("aes128gcm16-prfsha256-x25519", "aes256-sha512-modp2048")
    mixed = parse_ike_proposal("aes128gcm16-prfsha512-modp2048").to_wire(1)
    with pytest.raises(NoProposalChosen):
        accept_ike(SA((mixed,)), configured)


def test_suites_name_themselves_and_list_their_transforms():
    suite = choose_ike(offer_ike("aes256-sha384-ecp384"), ike("aes256-sha384-ecp384"))[1]
    assert suite.name == "aes256-sha384-prfsha384-ecp384"
    assert [(t.type, t.id, t.key_length) for t in suite.transforms()] == [
        (TransformType.ENCR, 12, 256),
        (TransformType.PRF, 6, None),
        (TransformType.INTEG, 13, None),
        (TransformType.KE, 20, None),
    ]
    child = choose_esp(offer_esp("aes128-sha256-noesn"), esp("aes128-sha256"))[2]
    assert child.name == "aes128-sha256-noesn"
    assert [(t.type, t.id, t.key_length) for t in child.transforms()] == [
        (TransformType.ENCR, 12, 128),
        (TransformType.INTEG, 12, None),
        (TransformType.ESN, 0, None),
    ]


transforms = st.builds(
    Transform,
    st.integers(0, 7),
    st.sampled_from([0, 1, 2, 5, 6, 12, 14, 19, 20, 28, 31, 300]),
    st.sampled_from([None, None, 128, 256, 0]),
)
offers = st.builds(
    SA,
    st.lists(
        st.builds(
            Proposal,
            st.integers(1, 4),
            st.sampled_from([1, 2, 3]),
            st.sampled_from([b"", SPI, b"12345678"]),
            st.lists(transforms, max_size=10).map(tuple),
        ),
        max_size=4,
    ).map(tuple),
)


@given(offers)
@settings(max_examples=300, deadline=None)
def test_any_offer_is_chosen_from_or_refused(offered):
    """What is chosen was offered, all of it in the one proposal that is named, and lies in the configuration."""
    try:
        number, suite = choose_ike(offered, default_ike_proposals())
    except NoProposalChosen:
        pass
    else:
        accept_ike(answer(suite, number), default_ike_proposals())
        assert any(
            item.number == number and set(suite.transforms()) <= set(item.transforms) for item in offered.proposals
        )
    try:
        number, spi, suite = choose_esp(offered, default_esp_proposals())
    except NoProposalChosen:
        pass
    else:
        assert spi == SPI
        offered_keys = [set(item.transforms) for item in offered.proposals if item.number == number]
        assert any({t for t in suite.transforms() if t.type != TransformType.ESN} <= keys for keys in offered_keys)
