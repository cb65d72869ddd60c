"""The store of secrets, through the guard's questions."""

import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from rhp.crypto.algorithms import prf
from rhp.crypto.auth import psk_auth
from rhp.crypto.secret import Secret
from rhp.crypto.sigalg import decode_algorithm
from rhp.crypto.signature import verify
from rhp.guard.local import LocalGuard
from rhp.guard.policy import GuardPolicy, PrivateKey, PskSecret
from rhp.guard.protocol import Accepted, AuthData, CheckPsk, ProvePsk, Refused, SignOctets
from rhp.guard.secrets import SecretsError

A, B, C = (2, b"a.example.org"), (2, b"b.example.org"), (3, b"c@example.org")
OCTETS = b"octets to authenticate"


def pem_of(key, password=None):
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def expected(key, prf_id=5, octets=OCTETS):
    return psk_auth(prf(prf_id), Secret(key), octets)


@pytest.fixture
def guard():
    return LocalGuard(GuardPolicy(psks=(PskSecret("office", "a.example.org", "b.example.org", b"swordfish"),)))


@pytest.mark.parametrize("prf_id", [2, 5, 6, 7])
def test_proving_and_checking(guard, ask, prf_id):
    proof = ask(guard, ProvePsk("office", A, B, prf_id, OCTETS))
    assert proof == AuthData(2, expected(b"swordfish", prf_id))
    assert ask(guard, CheckPsk("office", A, B, prf_id, OCTETS, proof.data)) == Accepted()


@pytest.mark.parametrize(
    "wrong", [b"", b"x", expected(b"sharkfish"), expected(b"swordfish")[:-1], expected(b"swordfish") + b"\0"]
)
def test_a_wrong_proof_is_refused_without_a_secret(guard, ask, wrong):
    answer = ask(guard, CheckPsk("office", A, B, 5, OCTETS, wrong))
    assert answer == Refused("the pre-shared key of b.example.org is not ours")
    assert ask(guard, CheckPsk("office", A, B, 5, OCTETS + b"x", expected(b"swordfish"))) == answer


def test_the_comparison_takes_constant_time(guard, ask, monkeypatch):
    calls = []
    genuine = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: calls.append((a, b)) or genuine(a, b))
    ask(guard, CheckPsk("office", A, B, 5, OCTETS, b"x" * 32))
    assert calls == [(expected(b"swordfish"), b"x" * 32)]


@pytest.mark.parametrize(
    ("connection", "local", "remote"),
    [("home", A, B), ("office", B, A), ("office", A, C), ("office", A, (3, b"b.example.org")), ("", A, B)],
)
def test_a_secret_serves_its_pair_and_connection_only(guard, ask, connection, local, remote):
    for question in (
        ProvePsk(connection, local, remote, 5, OCTETS),
        CheckPsk(connection, local, remote, 5, OCTETS, expected(b"swordfish")),
    ):
        answer = ask(guard, question)
        assert isinstance(answer, Refused)
        assert "has no pre-shared key for" in answer.reason


def test_an_unknown_prf_is_refused(guard, ask):
    assert isinstance(ask(guard, ProvePsk("office", A, B, 99, OCTETS)), Refused)


def test_the_narrowest_pattern_wins(ask):
    guard = LocalGuard(
        GuardPolicy(
            psks=(
                PskSecret("office", "%any", "%any", b"anybody"),
                PskSecret("office", "%any", "*.example.org", b"family"),
                PskSecret("office", "a.example.org", "b.example.org", b"friend"),
                PskSecret("office", "%any", "*@example.org", b"people"),
            )
        )
    )
    for remote, key in (
        (B, b"friend"),
        ((2, b"x.example.org"), b"family"),
        (C, b"people"),
        ((1, bytes(4)), b"anybody"),
    ):
        assert ask(guard, ProvePsk("office", A, remote, 5, OCTETS)).data == expected(key)
    assert ask(guard, ProvePsk("office", C, B, 5, OCTETS)).data == expected(b"family")


def test_a_psk_from_a_file(secret_file, ask):
    guard = LocalGuard(GuardPolicy(psks=(PskSecret("office", file=secret_file("psk", b"0x73776f7264\n")),)))
    assert ask(guard, ProvePsk("office", A, B, 5, OCTETS)).data == expected(b"sword")


def test_every_mistake_is_told_at_once(secret_file, tmp_path):
    locked = pem_of(ec.generate_private_key(ec.SECP256R1()), b"x")
    policy = GuardPolicy(
        psks=(
            PskSecret("one", file=secret_file("open", b"swordfish", 0o644)),
            PskSecret("two", file=str(tmp_path / "missing")),
            PskSecret("three", file=secret_file("empty", b"\n")),
            PskSecret("four", remote_id="*x", key=b"k"),
            PskSecret("five", key=b"k", file="/also"),
            PskSecret("six"),
            PskSecret("seven", key=b""),
            PskSecret("fine", key=b"k"),
        ),
        keys=(
            PrivateKey("eight", file=secret_file("key", b"junk")),
            PrivateKey("nine", pem=locked),
            PrivateKey("ten", pem=pem_of(rsa.generate_private_key(65537, 1024))),  # noqa: S505
            PrivateKey("eleven", pem=pem_of(dsa.generate_private_key(2048))),
            PrivateKey("twelve", pem=pem_of(x25519.X25519PrivateKey.generate())),
            PrivateKey("thirteen", file=secret_file("open2", pem_of(ed25519.Ed25519PrivateKey.generate()), 0o640)),
            PrivateKey("fourteen"),
        ),
    )
    with pytest.raises(SecretsError) as caught:
        LocalGuard(policy)
    problems = caught.value.problems
    words = (
        ("one", "chmod 600"),
        ("two", "No such file"),
        ("three", "empty"),
        ("four", "not a pattern"),
        ("five", "either"),
        ("six", "either"),
        ("seven", "empty"),
        ("eight", "not a private key in PEM"),
        ("nine", "passphrase"),
        ("ten", "1024 bits"),
        ("eleven", "kind that IKE cannot sign with"),
        ("twelve", "kind that IKE cannot sign with"),
        ("thirteen", "chmod 600"),
        ("fourteen", "either"),
    )
    assert len(problems) == len(words)
    for problem, (connection, word) in zip(problems, words, strict=True):
        assert problem.startswith(f'connection "{connection}": ')
        assert word in problem
        assert "swordfish" not in problem


@pytest.mark.parametrize(
    ("make", "old_method"),
    [
        (lambda: rsa.generate_private_key(65537, 2048), 1),
        (lambda: ec.generate_private_key(ec.SECP256R1()), 9),
        (ed25519.Ed25519PrivateKey.generate, None),
    ],
    ids=["rsa", "ecdsa", "ed25519"],
)
def test_signing(make, old_method, secret_file, ask):
    key = make()
    guard = LocalGuard(GuardPolicy(keys=(PrivateKey("office", file=secret_file("key.pem", pem_of(key))),)))
    answer = ask(guard, SignOctets("office", OCTETS, frozenset({2, 3, 4, 5})))
    assert answer.method == 14
    verify(key.public_key(), answer.method, answer.data, OCTETS)
    old = ask(guard, SignOctets("office", OCTETS, None))
    if old_method is None:
        assert isinstance(old, Refused)
    else:
        assert old.method == old_method
        verify(key.public_key(), old.method, old.data, OCTETS)
    assert isinstance(ask(guard, SignOctets("office", OCTETS, frozenset())), Refused)
    assert ask(guard, SignOctets("home", OCTETS, None)) == Refused('connection "home" has no private key')


def test_an_rsa_key_may_sign_with_pss(ask):
    key = rsa.generate_private_key(65537, 2048)
    guard = LocalGuard(GuardPolicy(keys=(PrivateKey("office", pem_of(key), rsa_pss=True),)))
    answer = ask(guard, SignOctets("office", OCTETS, frozenset({2})))
    assert decode_algorithm(answer.data[1 : 1 + answer.data[0]]).scheme == "pss"
    verify(key.public_key(), answer.method, answer.data, OCTETS)
    assert ask(guard, SignOctets("office", OCTETS, None)).method == 1


def test_an_update_replaces_all_or_nothing(guard, ask):
    with pytest.raises(SecretsError):
        guard.update(GuardPolicy(psks=(PskSecret("office"),)))
    assert ask(guard, ProvePsk("office", A, B, 5, OCTETS)).data == expected(b"swordfish")
    guard.update(GuardPolicy(psks=(PskSecret("office", key=b"other"),)))
    assert ask(guard, ProvePsk("office", A, B, 5, OCTETS)).data == expected(b"other")
    guard.update(GuardPolicy())
    assert isinstance(ask(guard, ProvePsk("office", A, B, 5, OCTETS)), Refused)
