"""The notation of proposals, their mistakes, and the defaults."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhp.crypto.algorithms import ADDITIONAL_ONLY, ENCRYPTIONS, INTEGRITIES, KEY_EXCHANGE_NAMES, KEY_EXCHANGES, PRFS
from rhp.crypto.proposal import (
    default_esp_proposals,
    default_ike_proposals,
    parse_esp_proposal,
    parse_ike_proposal,
)
from rhp.wire.iana import Protocol, TransformType


def names(items):
    return [item.name for item in items]


def test_an_ike_proposal_with_an_aead():
    proposal = parse_ike_proposal("aes128gcm16-prfsha256-x25519")
    assert names(proposal.encryptions) == ["aes128gcm16"]
    assert proposal.integrities == ()
    assert names(proposal.prfs) == ["prfsha256"]
    assert proposal.key_exchanges == (31,)
    assert proposal.warnings == ()
    assert proposal.name == "aes128gcm16-prfsha256-x25519"


def test_the_prf_follows_from_the_integrity_algorithms():
    proposal = parse_ike_proposal("aes256-sha256-sha1-modp2048")
    assert names(proposal.encryptions) == ["aes256"]
    assert names(proposal.integrities) == ["sha256", "sha1"]
    assert names(proposal.prfs) == ["prfsha256", "prfsha1"]
    assert names(parse_ike_proposal("aes256-sha256-prfsha512-modp2048").prfs) == ["prfsha512"]


def test_several_of_a_kind_keep_their_order():
    proposal = parse_ike_proposal("aes256gcm16-aes128gcm16-chacha20poly1305-prfsha384-prfsha256-ecp384-x25519-ecp384")
    assert names(proposal.encryptions) == ["aes256gcm16", "aes128gcm16", "chacha20poly1305"]
    assert names(proposal.prfs) == ["prfsha384", "prfsha256"]
    assert proposal.key_exchanges == (20, 31)


@pytest.mark.parametrize(
    ("text", "esn", "methods"),
    [
        ("aes128gcm16", (True, False), ()),
        ("aes128gcm16-esn", (True,), ()),
        ("aes128gcm16-noesn", (False,), ()),
        ("aes128gcm16-noesn-esn", (False, True), ()),
        ("aes128gcm16-x25519-modpnone", (True, False), (31, 0)),
        ("aes128ctr-sha256", (True, False), ()),
        ("chacha20poly1305-x25519", (True, False), (31,)),
    ],
)
def test_esp_proposals(text, esn, methods):
    proposal = parse_esp_proposal(text)
    assert proposal.esn == esn
    assert proposal.key_exchanges == methods


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("aes-sha2_256", "aes128-sha256"),
        ("aes128gcm", "aes128gcm16"),
        ("aes256gcm128", "aes256gcm16"),
        ("aes192ccm96", "aes192ccm12"),
        ("aes128ccm64", "aes128ccm8"),
        ("aes256ccm", "aes256ccm16"),
        ("aes192cbc-sha", "aes192-sha1"),
        ("AES128GCM16-Curve25519", "aes128gcm16-x25519"),
        (" aes128-sha2_512-curve448 ", "aes128-sha512-x448"),
    ],
)
def test_other_spellings(alias, name):
    assert parse_esp_proposal(alias) == parse_esp_proposal(name)


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("aes129gcm16-prfsha256-x25519", ['"aes129gcm16" is not an algorithm', '"aes12', "did you mean"]),
        ("aes128gcm16-prfsha25-x25519", ['"prfsha25"', 'did you mean "prfsha256"?']),
        ("aes128gcm16-prfsha256-x2551", ['"x2551"', 'did you mean "x25519"?']),
        ("aes256-sha257-modp2049", ['"sha257"', '"modp2049"', 'did you mean "modp2048"?']),
        ("aes128gcm16-x25519", ['"aes128gcm16" needs a pseudo-random function']),
        (
            "aes128gcm16-sha256-x25519",
            ['"aes128gcm16" authenticates by itself', 'write "prfsha256" instead of "sha256"'],
        ),
        ("aes128gcm16-aes256-prfsha256-x25519", ['"aes128gcm16" and "aes256" cannot share a proposal']),
        ("aes256-modp2048", ['"aes256" needs an integrity algorithm']),
        ("aes256-sha256", ["a key exchange is missing"]),
        ("sha256-modp2048", ["an encryption algorithm is missing"]),
        ("aes128gcm16-prfsha256-x25519-esn", ['"esn" belongs to ESP proposals']),
        ("aes128gcm16-prfsha256-modpnone", ['"modpnone" belongs to ESP proposals']),
        ("aes128gcm16--prfsha256-x25519", ["an algorithm is missing between two hyphens"]),
        ("", ["an algorithm is missing"]),
        ("null-sha256-modp2048", ['"null" is not an algorithm']),
    ],
)
def test_mistakes_in_ike_proposals(text, fragments):
    with pytest.raises(ValueError) as caught:
        parse_ike_proposal(text)
    for fragment in fragments:
        assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("aes128gcm16-prfsha256", ['"prfsha256" belongs to IKE proposals']),
        ("aes128gcm16-sha256", ['"aes128gcm16" authenticates by itself', 'leave "sha256" away']),
        ("aes128gcm16-exn", ['"exn"', 'did you mean "esn"?']),
        ("aes256", ['"aes256" needs an integrity algorithm']),
        ("prfsha25", ['"prfsha25" is not an algorithm']),
    ],
)
def test_mistakes_in_esp_proposals(text, fragments):
    with pytest.raises(ValueError) as caught:
        parse_esp_proposal(text)
    for fragment in fragments:
        assert fragment in str(caught.value)
    assert "prfsha256?" not in str(caught.value)


def test_legacy_algorithms_come_with_a_warning_each():
    proposal = parse_ike_proposal("3des-aes128-sha1-modp1024-modp1536-modp2048")
    assert len(proposal.warnings) == 3
    assert [text.split()[0] for text in proposal.warnings] == ["3des", "modp1024", "modp1536"]
    assert parse_esp_proposal("3des-sha1").warnings
    assert not parse_esp_proposal("aes128-sha1").warnings


def test_defaults_are_safe():
    ike, esp = default_ike_proposals(), default_esp_proposals()
    assert len(ike) == 2 * len(esp) == 4
    used = {item.name for proposal in (*ike, *esp) for item in (*proposal.encryptions, *proposal.integrities)}
    assert used == {
        "aes128gcm16", "aes256gcm16", "chacha20poly1305", "aes256", "aes128", "sha256", "sha384", "sha512",
    }  # fmt: skip
    # First all with ML-KEM as well, then the same for peers that do not know it.
    assert [proposal.additional for proposal in ike] == [((36, 37),), ((36, 37),), (), ()]
    methods = [KEY_EXCHANGE_NAMES[number] for number in ike[2].key_exchanges]
    assert methods == ["x25519", "ecp256", "ecp384", "modp3072", "modp2048"]
    assert all(proposal.warnings == () for proposal in (*ike, *esp))
    assert ike[0].encryptions[0].name == esp[0].encryptions[0].name == "aes128gcm16"
    assert esp[0].esn == (True, False)
    assert esp[0].key_exchanges[-1] == 0
    assert {prf.name for prf in ike[0].prfs} == {"prfsha256", "prfsha384", "prfsha512"}


def test_to_wire_lists_every_choice_in_order():
    wire = parse_ike_proposal("aes256-aes128-sha256-x25519").to_wire(2, b"12345678")
    assert (wire.number, wire.protocol, wire.spi) == (2, Protocol.IKE, b"12345678")
    assert [(item.type, item.id, item.key_length) for item in wire.transforms] == [
        (TransformType.ENCR, 12, 256),
        (TransformType.ENCR, 12, 128),
        (TransformType.PRF, 5, None),
        (TransformType.INTEG, 12, None),
        (TransformType.KE, 31, None),
    ]


def test_esp_to_wire_with_and_without_key_exchange():
    proposal = parse_esp_proposal("chacha20poly1305-x25519-modpnone-noesn-esn")
    full = [(item.type, item.id, item.key_length) for item in proposal.to_wire(1, b"\0\0\1\0").transforms]
    assert full == [
        (TransformType.ENCR, 28, None),
        (TransformType.KE, 31, None),
        (TransformType.KE, 0, None),
        (TransformType.ESN, 0, None),
        (TransformType.ESN, 1, None),
    ]
    short = proposal.to_wire(1, b"\0\0\1\0", with_key_exchange=False)
    assert [item.type for item in short.transforms] == [TransformType.ENCR, TransformType.ESN, TransformType.ESN]
    assert short.protocol == Protocol.ESP


def test_a_lone_modpnone_offers_no_key_exchange():
    wire = parse_esp_proposal("aes128gcm16-modpnone").to_wire(1, b"\0\0\1\0")
    assert TransformType.KE not in [item.type for item in wire.transforms]


AEAD_NAMES = [item.name for item in ENCRYPTIONS if item.aead]
OTHER_NAMES = [item.name for item in ENCRYPTIONS if not item.aead]
some = {"min_size": 1, "max_size": 4, "unique": True}


@given(
    st.lists(st.sampled_from(AEAD_NAMES), **some),
    st.lists(st.sampled_from([item.name for item in PRFS]), **some),
    st.lists(
        st.sampled_from([name for name, method in KEY_EXCHANGES.items() if method not in ADDITIONAL_ONLY]), **some
    ),
    st.lists(
        st.sampled_from([f"ke{number}_mlkem{size}" for number in range(1, 8) for size in (768, 1024)]), unique=True
    ),
)
def test_names_read_back_to_the_same_ike_proposal(encryptions, prfs, methods, additional):
    text = "-".join([*encryptions, *prfs, *methods, *sorted(additional, key=lambda name: name[:3])])
    proposal = parse_ike_proposal(text)
    assert proposal.name == text
    assert parse_ike_proposal(proposal.name) == proposal


@given(
    st.lists(st.sampled_from(OTHER_NAMES), **some),
    st.lists(st.sampled_from([item.name for item in INTEGRITIES]), **some),
    st.lists(st.sampled_from(["esn", "noesn"]), **some),
)
def test_names_read_back_to_the_same_esp_proposal(encryptions, integrities, esn):
    text = "-".join([*encryptions, *integrities, *esn])
    assert parse_esp_proposal(text).name == text


@given(st.text(max_size=40))
def test_any_text_parses_or_is_refused_with_a_sentence(text):
    for parse in (parse_ike_proposal, parse_esp_proposal):
        try:
            parse(text)
        except ValueError as error:
            assert str(error)
