"""Additional key exchanges (RFC 9370): the notation, the choice, and the keys."""

import hmac
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhp.crypto.auth import auth_octets, int_auth, int_auth_chunk
from rhp.crypto.errors import NoProposalChosen
from rhp.crypto.keymat import derive_child_keys, derive_ike_keys, rederive_ike_keys, strengthen_ike_keys
from rhp.crypto.proposal import accept_ike, choose_esp, choose_ike, parse_esp_proposal, parse_ike_proposal
from rhp.crypto.secret import Secret
from rhp.wire.iana import Protocol, TransformType
from rhp.wire.sa import SA, Proposal, Transform

BASE = "aes128gcm16-prfsha256-x25519"
KEYS = ("sk_d", "sk_ai", "sk_ar", "sk_ei", "sk_er", "sk_pi", "sk_pr")
NI, NR, SPI_I, SPI_R = b"nonce of the initiator", b"nonce of the responder", b"IIIIIIII", b"RRRRRRRR"


def ike(*texts):
    return tuple(map(parse_ike_proposal, texts))


def offer(*texts):
    return SA(tuple(one.to_wire(number) for number, one in enumerate(ike(*texts), 1)))


def answer(suite, number=1):
    return SA((Proposal(number, Protocol.IKE, b"", suite.transforms()),))


# The notation.


def test_the_notation_is_read_and_written():
    text = f"{BASE}-ke1_mlkem768-ke1_mlkem1024-ke1_none-ke3_ecp384"
    proposal = parse_ike_proposal(text)
    assert proposal.additional == ((36, 37, 0), (), (20,))
    assert proposal.name == text
    kinds = [(one.type, one.id) for one in proposal.to_wire(1).transforms if one.type >= TransformType.ADDKE1]
    assert kinds == [(6, 36), (6, 37), (6, 0), (8, 20)]
    assert parse_ike_proposal(f"{BASE}-ke2_curve25519-ke2_ecp256").additional == ((), (31, 19))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("aes128gcm16-prfsha256-mlkem768", 'write "x25519-ke1_mlkem768"'),
        (f"{BASE}-ke1_mlkm768", 'did you mean "ke1_mlkem768"'),
        (f"{BASE}-ke8_mlkem768", "is not an algorithm"),
        (f"{BASE}-ke0_mlkem768", "is not an algorithm"),
        (f"{BASE}-ke1_x25519", "repeats the first key exchange"),
        (f"{BASE}-ke1_", "is not an algorithm"),
    ],
)
def test_mistakes_are_told(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_ike_proposal(text)


# The choice.


@pytest.mark.parametrize(
    ("offered", "configured", "chosen"),
    [
        ("ke1_mlkem768", "ke1_mlkem768", "ke1_mlkem768"),
        ("ke1_mlkem768-ke1_mlkem1024", "ke1_mlkem1024-ke1_mlkem768", "ke1_mlkem1024"),
        ("ke1_mlkem768-ke1_none", "ke1_mlkem768", "ke1_mlkem768"),
        ("ke1_mlkem768-ke1_none", "", ""),
        ("ke1_mlkem768-ke1_none", "ke1_mlkem1024-ke1_none", ""),
        ("", "ke1_mlkem768-ke1_none", ""),
        # The example of RFC 9370 section 2.2.1: the same two methods twice, and one that may be left out.
        ("ke2_mlkem768-ke2_mlkem1024-ke3_mlkem768-ke3_mlkem1024-ke5_ecp256-ke5_none",
         "ke2_mlkem1024-ke2_mlkem768-ke3_mlkem768-ke3_mlkem1024", "ke2_mlkem1024-ke3_mlkem768"),
    ],
)  # fmt: skip
def test_what_is_chosen(offered, configured, chosen):
    join = "-".join
    own = ike(join(filter(None, (BASE, configured))))
    _, suite = choose_ike(offer(join(filter(None, (BASE, offered)))), own)
    assert suite.name == join(filter(None, (BASE, chosen)))
    # The initiator agrees with what it is told.
    assert accept_ike(answer(suite), ike(join(filter(None, (BASE, offered))))).name == suite.name


@pytest.mark.parametrize(
    ("offered", "configured"),
    [
        ("ke1_mlkem768", ""),
        ("", "ke1_mlkem768"),
        ("ke1_mlkem768", "ke1_mlkem1024"),
        ("ke1_mlkem768", "ke2_mlkem768"),
        ("ke1_mlkem768-ke2_mlkem768", "ke1_mlkem768-ke2_mlkem768"),
        ("ke1_ecp256-ke1_mlkem768", "ke1_mlkem1024-ke1_none"),
    ],
)
def test_what_does_not_fit(offered, configured):
    join = "-".join
    with pytest.raises(NoProposalChosen):
        choose_ike(offer(join(filter(None, (BASE, offered)))), ike(join(filter(None, (BASE, configured)))))


def test_the_proposal_with_the_most_key_exchanges_is_preferred():
    optional = f"{BASE}-ke1_mlkem768-ke1_none"
    number, suite = choose_ike(offer(BASE, f"{BASE}-ke1_mlkem768"), ike(optional))
    assert (number, suite.rounds) == (2, (36,))
    # Also where the other one has the better cipher.
    wider = "aes128gcm16-aes256gcm16-prfsha256-x25519-ke1_mlkem768-ke1_none"
    number, suite = choose_ike(offer(BASE, "aes256gcm16-prfsha256-x25519-ke1_mlkem768"), ike(wider))
    assert (number, suite.name) == (2, "aes256gcm16-prfsha256-x25519-ke1_mlkem768")


def test_without_the_exchange_what_is_optional_is_left_out():
    (optional,) = ike(f"{BASE}-ke1_mlkem768-ke1_none")
    assert choose_ike(offer(f"{BASE}-ke1_mlkem768-ke1_none"), (optional.classical(),))[1].rounds == ()
    (required,) = ike(f"{BASE}-ke1_mlkem768")
    assert required.classical() is None
    assert ike(BASE)[0].classical() == ike(BASE)[0]


@pytest.mark.parametrize(
    "more",
    [
        (Transform(6, 37),),
        (),
        (Transform(6, 36), Transform(6, 37)),
        (Transform(6, 36), Transform(7, 37)),
        (Transform(6, 0),),
        (Transform(6, 36), Transform(13, 36)),
        (Transform(6, 36, 256),),
    ],
)
def test_an_answer_that_was_not_offered(more):
    (own,) = ike(f"{BASE}-ke1_mlkem768")
    suite = choose_ike(offer(BASE), ike(BASE))[1]
    chosen = SA((Proposal(1, Protocol.IKE, b"", (*suite.transforms(), *more)),))
    with pytest.raises(NoProposalChosen):
        accept_ike(chosen, (own,))


def test_an_old_peer_refuses_what_it_does_not_know():
    """A Child SA offered with ADDKE, where none is configured."""
    wire = parse_esp_proposal("aes128gcm16-x25519").to_wire(1, b"\0\0\1\0")
    extended = Proposal(1, Protocol.ESP, wire.spi, (*wire.transforms, Transform(6, 36)))
    with pytest.raises(NoProposalChosen):
        choose_esp(SA((extended,)), (parse_esp_proposal("aes128gcm16-x25519"),))
    number, _, suite = choose_esp(SA((extended, wire)), (parse_esp_proposal("aes128gcm16-x25519"),))
    assert (number, suite.additional) == (1, ())


methods = st.sampled_from((36, 37, 31, 19, 0, 99))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.builds(Transform, st.integers(1, 14), methods), max_size=20),
    st.lists(st.lists(methods, max_size=4, unique=True).map(tuple), max_size=7).map(tuple),
)
def test_whatever_is_offered_no_method_is_taken_twice(more, additional):
    (own,) = ike("aes128gcm16-prfsha256-x25519-ecp256")
    own = replace(own, additional=additional)
    (base,) = offer("aes128gcm16-prfsha256-x25519-ecp256").proposals
    try:
        _, suite = choose_ike(SA((replace(base, transforms=(*base.transforms, *more)),)), (own,))
    except NoProposalChosen:
        return
    rounds = (suite.key_exchange, *suite.rounds)
    assert len(set(rounds)) == len(rounds)
    for number, method in suite.additional:
        assert Transform(5 + number, method) in more
        assert method in (additional[number - 1] if number <= len(additional) and additional[number - 1] else (0,))


# The keys.


def mac(key, *data):
    return hmac.digest(key, b"".join(data), "sha256")


def expand(key, seed, length):
    found = block = b""
    counter = 1
    while len(found) < length:
        block = mac(key, block, seed, bytes((counter,)))
        found, counter = found + block, counter + 1
    return found[:length]


def cut(material):
    """SK_d to SK_pr of AES-128-GCM with PRF_HMAC_SHA2_256."""
    found = []
    for size in (32, 0, 0, 20, 20, 32, 32):
        found.append(material[:size])
        material = material[size:]
    return found


def exposed(keys):
    return [getattr(keys, name).expose() for name in KEYS]


def test_keys_after_each_round():
    """RFC 9370 section 2.2.2, written out a second time."""
    suite = choose_ike(offer(f"{BASE}-ke1_mlkem768-ke2_mlkem1024"), ike(f"{BASE}-ke1_mlkem768-ke2_mlkem1024"))[1]
    secrets = [bytes((number,)) * 32 for number in (1, 2, 3)]
    keys = derive_ike_keys(suite, Secret(secrets[0]), NI, NR, SPI_I, SPI_R)
    seed = mac(NI + NR, secrets[0])
    for secret in secrets[1:]:
        expected = cut(expand(seed, NI + NR + SPI_I + SPI_R, 136))
        assert exposed(keys) == expected
        keys = strengthen_ike_keys(suite, keys.sk_d, Secret(secret), NI, NR, SPI_I, SPI_R)
        seed = mac(expected[0], secret, NI, NR)
    assert exposed(keys) == cut(expand(seed, NI + NR + SPI_I + SPI_R, 136))


def test_keys_of_later_sas_with_several_secrets():
    """RFC 9370 section 2.2.4: SK(0) | Ni | Nr | SK(1) | ... | SK(n)."""
    suite = choose_ike(offer(BASE), ike(BASE))[1]
    old, first, more = Secret(b"d" * 32), Secret(b"0" * 32), [Secret(b"1" * 32), Secret(b"2" * 32)]
    keys = rederive_ike_keys(suite, suite.prf, old, first, NI, NR, SPI_I, SPI_R, more)
    seed = mac(b"d" * 32, b"0" * 32, NI, NR, b"1" * 32, b"2" * 32)
    assert exposed(keys) == cut(expand(seed, NI + NR + SPI_I + SPI_R, 136))
    proposal = parse_esp_proposal("aes128gcm16-x25519")
    esp = choose_esp(SA((proposal.to_wire(1, b"\0\0\1\0"),)), (proposal,))[2]
    child = derive_child_keys(esp, suite.prf, old, NI, NR, first, more)
    material = expand(b"d" * 32, b"0" * 32 + NI + NR + b"1" * 32 + b"2" * 32, 40)
    assert (child.encr_i.expose(), child.encr_r.expose()) == (material[:20], material[20:])


def test_int_auth_is_a_chain_and_follows_the_identity():
    suite = choose_ike(offer(BASE), ike(BASE))[1]
    share = int_auth_chunk(suite.prf, Secret(b"1"), b"", b"first")
    share = int_auth_chunk(suite.prf, Secret(b"2"), share, b"second")
    assert share == mac(b"2", mac(b"1", b"first"), b"second")
    said = int_auth(share, b"r" * 32, 3)
    assert said == share + b"r" * 32 + b"\0\0\0\3"
    octets = auth_octets(b"message", b"nonce", suite.prf, Secret(b"p"), b"id", said)
    assert octets == b"messagenonce" + mac(b"p", b"id") + said
