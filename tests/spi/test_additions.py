"""Algorithms that a crypto provider adds: they join the tables, and nobody's number or name changes its meaning."""

import dataclasses
import os
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from ladder_world import child, config, connection, pubkey_side
from spi_install import kept_tables

from rhp.crypto import additions, algorithms, keyexchange, signature
from rhp.crypto.additions import AdditionRefused, AeadCipher, KeyExchangeMethod, PseudoRandom, SignatureScheme
from rhp.crypto.cipher import IkeCipher
from rhp.crypto.errors import AuthenticationFailed, CryptoError, KeyExchangeFailed
from rhp.crypto.proposal import parse_esp_proposal, parse_ike_proposal
from rhp.crypto.secret import Secret
from rhp.guard import shape
from rhp.guard.process import _add_algorithms
from rhp.node.errors import StartError
from rhp.node.providers import load_algorithms
from rhp.node.share import read_share
from rhp.spi import find
from rhp.wire.errors import DecodeError

WORDS = "aes256gcmsiv16-prfsha3256-secp256k1"


@pytest.fixture(autouse=True)
def tables():
    with kept_tables():
        yield


@pytest.fixture
def added(extended):
    """The example's algorithms, in their tables."""
    provider = find.load(find.CRYPTO, "more-algorithms")
    for _ in range(2):
        additions.add(provider.transforms())
    return provider


class Pair:
    """A key exchange that shares nothing: what is wrong with it is what the tests are about."""

    method, public = 1500, b"public"

    def agree(self, peer_public):
        if peer_public == b"raise":
            raise IndexError("a secret detail")
        return Secret(b"shared")


def key_exchange(**more):
    return KeyExchangeMethod(**{"name": "made", "number": 1500, "start": Pair, **more})


def prf(**more):
    return PseudoRandom(
        **{"name": "prfmade", "number": 1500, "output_bytes": 32, "function": lambda k, d: b"x", **more}
    )


def cipher(**more):
    sizes = {"key_bits": 256, "salt_bytes": 4, "icv_bytes": 16}
    return AeadCipher(**{"name": "ciphermade", "number": 1500, **sizes, "primitive": AESGCM, **more})


def scheme(**more):
    verbs = {"fits": lambda key: True, "sign": lambda key, octets: b"", "verify": lambda key, said, octets: None}
    return SignatureScheme(**{"name": "made", "identifier": b"\x30\x03\x06\x01\x2a", "hash": 1500, **verbs, **more})


def test_a_handshake_with_nothing_but_added_algorithms(ladder, added):
    children = (child(esp=("aes128gcm16-secp256k1",)),)
    sides = [config(connection(*ends, ike=(WORDS,), children=children)) for ends in (("a@x", "b@x"), ("b@x", "a@x"))]
    link = ladder(*sides).establish()
    link.check_established()
    assert link.a.status().suite == WORDS
    link.call(link.a, "rekey_child", link.a.child().child_id)
    link.settle()
    link.call(link.b, "rekey_ike", link.b.status().ike_id)
    link.settle()
    link.check_established()
    assert link.b.status().suite == WORDS


def test_a_peer_that_does_not_know_them_is_told_by_name(ladder, added):
    link = ladder(config(connection("a@x", "b@x", ike=(WORDS,))), config(connection("b@x", "a@x")))
    link.establish()
    assert any(WORDS.split("-")[0] in repr(event) for event in link.b.events)


def test_it_comes_second_like_any_other(ladder, added):
    ike = ("aes128gcm16-prfsha256-x25519-ke1_secp256k1",)
    link = ladder(config(connection("a@x", "b@x", ike=ike)), config(connection("b@x", "a@x", ike=ike))).establish()
    link.check_established()
    assert link.a.status().suite == ike[0]


def test_certificates_prove_by_the_added_scheme(ladder, added, monkeypatch):
    """Both ends announce SHA3-256, so their ECDSA keys sign with it."""
    seen, real = [], signature.sign

    def noted(*args, **kwargs):
        method, data = real(*args, **kwargs)
        seen.append(data[1 : 1 + data[0]])
        return method, data

    monkeypatch.setattr("rhp.guard.secrets.sign", noted)
    a, policy_a = pubkey_side("a.example.org", "b.example.org")
    b, policy_b = pubkey_side("b.example.org", "a.example.org")
    ladder(config(a), config(b), policy_a, policy_b).establish().check_established()
    assert seen == [added.transforms()[3].identifier] * 2


def test_a_signature_of_an_added_scheme_is_verified(added):
    key = ec.generate_private_key(ec.SECP256R1())
    method, data = signature.sign(key, b"octets", signature.announced_hashes())
    assert method == 14
    signature.verify(key.public_key(), method, data, b"octets")
    with pytest.raises(AuthenticationFailed, match="by ecdsa-sha3-256 is wrong"):
        signature.verify(key.public_key(), method, data, b"other octets")
    with pytest.raises(AuthenticationFailed):
        signature.verify(ec.generate_private_key(ec.SECP256R1()).public_key(), method, data, b"octets")
    # A key that it does not fit, and a peer that did not announce the hash: as if it were not there.
    other = rsa.generate_private_key(65537, 2048)
    with pytest.raises(AuthenticationFailed):
        signature.verify(other.public_key(), method, data, b"octets")
    _, usual = signature.sign(key, b"octets", signature.SUPPORTED_HASHES)
    assert usual[1 : 1 + usual[0]] != data[1 : 1 + data[0]]
    assert signature.announced_hashes() == {2, 3, 4, 5, 1025}


def test_the_prf_makes_as_much_as_is_asked_for(added):
    made = algorithms.prf(1025)
    long = made.prf_plus(b"key", b"seed", 100)
    first = made.prf(b"key", b"seed\x01")
    assert long == (first + made.prf(b"key", first + b"seed\x02"))[:64] + long[64:]
    assert (len(long), made.prf_plus(b"key", b"seed", 33)) == (100, long[:33])
    with pytest.raises(ValueError):
        made.prf_plus(b"key", b"seed", 255 * 32 + 1)


def test_the_cipher_seals_and_refuses(added):
    item = algorithms.encryption(1025, 256)
    key = Secret(bytes(item.material_bytes))
    sealed = IkeCipher(item, None, key, None).seal(b"prefix", b"inside")
    assert IkeCipher(item, None, key, None).open(b"prefix", sealed) == b"inside"
    for prefix, body in ((b"prefiX", sealed), (b"prefix", sealed[:-1] + b"!"), (b"prefix", sealed[:20])):
        with pytest.raises(AuthenticationFailed):
            IkeCipher(item, None, key, None).open(prefix, body)


def test_words_of_ike_are_not_words_of_esp(added):
    assert parse_ike_proposal(WORDS).name == WORDS
    for word, why in (("aes256gcmsiv16", "the ESP provider's to say"), ("aes128gcm16-prfsha3256", "the IKE SA's PRF")):
        with pytest.raises(ValueError, match=why):
            parse_esp_proposal(word)
    assert parse_esp_proposal("aes128gcm16-secp256k1").key_exchanges == (1025,)


def test_without_the_provider_the_words_mean_nothing():
    for word in WORDS.split("-"):
        with pytest.raises(ValueError, match=f'"{word}" is not an algorithm'):
            parse_ike_proposal(f"aes128gcm16-prfsha256-x25519-{word}")


def test_a_large_method_comes_second():
    additions.add([key_exchange(large=True, respond=lambda public: (b"answer", Secret(b"s")))])
    with pytest.raises(ValueError, match='too long for IKE_SA_INIT; write "x25519-ke1_made"'):
        parse_ike_proposal("aes128gcm16-prfsha256-made")
    assert parse_ike_proposal("aes128gcm16-prfsha256-x25519-ke1_made").additional == ((1500,),)
    assert keyexchange.respond(1500, b"public")[0] == b"answer"


def test_what_code_of_others_raises_stays_with_the_handshake():
    additions.add([key_exchange(respond=lambda public: 1 / 0), prf()])
    with pytest.raises(KeyExchangeFailed, match=r"the peer's made value was not taken \(ZeroDivisionError\)"):
        keyexchange.respond(1500, b"public")
    with pytest.raises(KeyExchangeFailed, match=r"\(IndexError\)$") as caught:
        keyexchange.start(1500).agree(b"raise")
    assert caught.value.__cause__ is None
    assert keyexchange.start(1500).agree(b"fine") == Secret(b"shared")
    with pytest.raises(CryptoError, match="prfmade gave 1 octets"):
        algorithms.prf(1500).prf(b"key", b"data")


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (key_exchange(name="x25519"), 'an algorithm is called "x25519" already'),
        (key_exchange(name="curve25519"), 'is called "curve25519" already'),
        (key_exchange(name="mlkem768"), 'is called "mlkem768" already'),
        (key_exchange(name="none"), 'is called "none" already'),
        (key_exchange(name="ke1_made"), "is no name for an algorithm"),
        (key_exchange(name="Made"), "is no name for an algorithm"),
        (key_exchange(number=31), 'key exchange method 31 of "made" is another one\'s'),
        (key_exchange(number=0), "is no key exchange method; write 1 to 65535"),
        (key_exchange(number=1 << 16), "is no key exchange method"),
        (prf(number=5), 'pseudo-random function 5 of "prfmade" is another one\'s'),
        (prf(name="prfsha256"), "already"),
        (prf(output_bytes=256), "gives 256 octets; a PRF gives 16 to 255"),
        (cipher(number=20, key_bits=128), 'encryption algorithm 20 of "ciphermade" is another one\'s'),
        (cipher(number=20, fixed_key=True), "is another one's"),
        (cipher(key_bits=100), "has sizes that IKE cannot use"),
        (cipher(icv_bytes=4), "has sizes that IKE cannot use"),
        (scheme(hash=2), 'hash 2 of "made" is announced for other schemes'),
        (scheme(identifier=bytes.fromhex("300a06082a8648ce3d040302")), "is known already, or none"),
        (scheme(identifier=b""), "is known already, or none"),
        ("a word", "str is no kind of algorithm"),
    ],
)
def test_a_clash_is_one_sentence(item, words):
    with pytest.raises(AdditionRefused) as caught:
        additions.add([item])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_providers_with_one_number():
    for item in (key_exchange(), prf(), cipher(), scheme()):
        additions.add([item, item])
        with pytest.raises(AdditionRefused):
            additions.add([dataclasses.replace(item)])
        more = {"name": "another"} if not isinstance(item, AeadCipher) else {"name": "another", "primitive": bytes}
        with pytest.raises(AdditionRefused):
            additions.add([dataclasses.replace(item, **more)])
    # One cipher with another key length is another row of the same table.
    additions.add([cipher(name="cipher128", key_bits=128)])
    assert algorithms.encryption(1500, 128).name == "cipher128"


SHARES = """
import sys
from pathlib import Path

from rhp.config.apart import apart
from rhp.config.loading import load
from rhp.guard.brief import write_revision

sys.stdout.buffer.write(write_revision(apart(load(Path(sys.argv[1]))).node))
"""


def test_the_nodes_share_names_algorithms_that_the_node_has_to_load_first(extended, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{extended}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    file = tmp_path / "rhp.toml"
    file.write_text(
        '[node]\ncrypto_providers = ["more-algorithms"]\n[connections.x]\nlocal.id = "a"\nremote.id = "b"\n'
        'psk = "a shared key for both of them"\nproposals = ["aes256gcmsiv16-prfsha3256-secp256k1"]\n'
    )
    # As the process that reads the configuration does it, which leaves nothing here.
    octets = subprocess.run([sys.executable, "-c", SHARES, str(file)], stdout=subprocess.PIPE, check=True).stdout
    with pytest.raises(DecodeError):
        read_share(octets)
    share = read_share(octets, load_algorithms)
    assert share.settings.crypto_providers == ("more-algorithms",)
    (proposal,) = share.engine.connections[0].proposals
    assert proposal.name == "aes256gcmsiv16-prfsha3256-secp256k1"


def test_the_guard_knows_how_long_proofs_by_added_functions_are(extended):
    before = dict(shape.PRF_OCTETS)
    _add_algorithms(())
    assert before == shape.PRF_OCTETS
    _add_algorithms(("more-algorithms",))
    (number,) = set(shape.PRF_OCTETS) - set(before)
    assert (algorithms.prf(number).name, shape.PRF_OCTETS[number]) == ("prfsha3256", 32)
    with pytest.raises(StartError, match='no crypto provider "nobody"'):
        _add_algorithms(("nobody",))
