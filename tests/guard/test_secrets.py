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
from rhp.crypto.auth import pad_psk, psk_auth
from rhp.crypto.keymat import mix_ppk
from rhp.crypto.secret import Secret
from rhp.crypto.sigalg import decode_algorithm
from rhp.crypto.signature import verify
from rhp.guard import secrets
from rhp.guard.local import LocalGuard
from rhp.guard.policy import GuardPolicy, PpkSecret, PrivateKey, PskSecret
from rhp.guard.protocol import (
    Accepted,
    AuthData,
    CheckPsk,
    Fingerprint,
    FingerprintSecrets,
    MixPpk,
    PpkKeys,
    ProvePsk,
    Refused,
    SignOctets,
)
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


def test_a_key_is_padded_once_for_each_function_and_wiped_with_what_came_of_it(ask, monkeypatch):
    used = []
    monkeypatch.setattr(secrets, "pad_psk", lambda prf, psk: used.append((psk, pad_psk(prf, psk))) or used[-1][1])
    office, home = PskSecret("office", key=b"swordfish"), PskSecret("home", key=b"sharkfish")
    guard = LocalGuard(GuardPolicy(psks=(office, home)))
    for prf_id in (5, 7, 5):
        for connection, key in (("office", b"swordfish"), ("home", b"sharkfish")):
            proof = expected(key, prf_id)
            assert ask(guard, ProvePsk(connection, A, B, prf_id, OCTETS)) == AuthData(2, proof)
            assert ask(guard, CheckPsk(connection, A, B, prf_id, OCTETS, proof)) == Accepted()
    assert len(used) == 4
    assert all(len(psk) and len(padded) for psk, padded in used)
    guard._secrets.wipe()
    assert [(len(psk), len(padded)) for psk, padded in used] == [(0, 0)] * 4


@pytest.mark.parametrize(
    "wrong", [b"", b"x", expected(b"sharkfish"), expected(b"swordfish")[:-1], expected(b"swordfish") + b"\0"]
)
def test_a_wrong_proof_is_refused_without_a_secret(guard, ask, wrong):
    answer = ask(guard, CheckPsk("office", A, B, 5, OCTETS, wrong))
    assert answer == Refused("the pre-shared key of b.example.org is not ours")
    assert ask(guard, CheckPsk("office", A, B, 5, OCTETS + b"x", expected(b"swordfish"))) == answer


def test_where_a_ppk_is_mixed_in_it_may_be_the_wrong_one(ask):
    """AUTH is made with keys that the PPK is mixed into, so nobody can tell which of the two differs."""
    psks = PskSecret("office", key=b"swordfish"), PskSecret("home", key=b"swordfish")
    guard = LocalGuard(GuardPolicy(psks=psks, ppks=(PpkSecret("office", b"one", key=PPK),)))
    office, home = (ask(guard, CheckPsk(name, A, B, 5, OCTETS, b"x" * 32)) for name in ("office", "home"))
    assert office == Refused("the pre-shared key of b.example.org, or its post-quantum one (PPK), is not ours")
    assert home == Refused("the pre-shared key of b.example.org is not ours")


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


@pytest.mark.parametrize(("proves", "checks"), [(True, False), (False, True)])
def test_a_secret_of_one_side_serves_that_side_only(ask, proves, checks):
    guard = LocalGuard(GuardPolicy(psks=(PskSecret("office", key=b"swordfish", proves=proves, checks=checks),)))
    proof = ask(guard, ProvePsk("office", A, B, 5, OCTETS))
    judged = ask(guard, CheckPsk("office", A, B, 5, OCTETS, expected(b"swordfish")))
    if proves:
        assert proof == AuthData(2, expected(b"swordfish"))
        assert judged == Refused('in connection "office" the pre-shared key is not the peer\'s proof')
    else:
        assert proof == Refused('in connection "office" the pre-shared key is not our proof')
        assert judged == Accepted()


def test_an_anonymous_peer_has_no_key_of_anybody(ask):
    guard = LocalGuard(GuardPolicy(psks=(PskSecret("office", key=b"swordfish"),)))
    assert isinstance(ask(guard, ProvePsk("office", A, (13, b""), 5, OCTETS)), Refused)


PPK = bytes(range(32))
KEYS = bytes(32), b"i" * 32, b"r" * 32


@pytest.mark.parametrize("prf_id", [2, 5, 6, 7])
def test_a_ppk_is_mixed_into_three_keys(ask, secret_file, prf_id):
    stored = PpkSecret("office", b"one", key=PPK), PpkSecret("office", b"two", file=secret_file("ppk", b"0x00ff"))
    guard = LocalGuard(GuardPolicy(ppks=stored))
    algorithm = prf(prf_id)
    for name, key in ((b"one", PPK), (b"two", b"\0\xff")):
        mixed = ask(guard, MixPpk("office", name, prf_id, *KEYS))
        assert mixed == PpkKeys(*(mix_ppk(algorithm, Secret(key), Secret(one)).expose() for one in KEYS))
        # RFC 8784 section 3: prf+ (PPK, SK_d'), as long as SK_d' is.
        assert mixed.sk_d == algorithm.prf_plus(key, KEYS[0], 32)
        assert len({mixed.sk_d, mixed.sk_pi, mixed.sk_pr}) == 3
        assert PPK.hex() not in repr(mixed) and repr(mixed.sk_d) not in repr(mixed)


@pytest.mark.parametrize(
    ("connection", "name", "prf_id"),
    [("home", b"one", 5), ("office", b"One", 5), ("office", b"", 5), ("", b"one", 5), ("office", b"one", 99)],
)
def test_a_ppk_serves_its_name_and_connection_only(ask, connection, name, prf_id):
    guard = LocalGuard(GuardPolicy(ppks=(PpkSecret("office", b"one", key=PPK),)))
    question = MixPpk(connection, name, prf_id, *KEYS)
    assert isinstance(ask(guard, question), Refused)
    assert repr(KEYS[1]) not in repr(question)


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


def test_one_key_among_a_thousand_is_looked_up(ask):
    psks = [PskSecret("staff", remote_id=f"u{n}@example.org", key=b"key %d" % n) for n in range(1000)]
    guard = LocalGuard(GuardPolicy(psks=(PskSecret("staff", key=b"anybody"), *psks)))
    table = guard._secrets._found["staff"]
    for name, key in ((b"u999@example.org", b"key 999"), (b"U7@example.org", b"key 7"), (b"x@y", b"anybody")):
        before = table.tried
        assert ask(guard, ProvePsk("staff", A, (3, name), 5, OCTETS)).data == expected(key)
        assert table.tried - before <= 1


def test_a_private_key_that_many_share_is_read_once(ask, monkeypatch):
    read = []
    load = secrets.load_pem_private_key
    monkeypatch.setattr(secrets, "load_pem_private_key", lambda pem, word: read.append(pem) or load(pem, word))
    pem = pem_of(ec.generate_private_key(ec.SECP256R1()))
    guard = LocalGuard(GuardPolicy(keys=tuple(PrivateKey(f"r{n}", pem=pem) for n in range(20))))
    assert read == [pem]
    assert isinstance(ask(guard, SignOctets("r19", OCTETS, frozenset({2}))), AuthData)


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
        ppks=(PpkSecret("fifteen", b"x"), PpkSecret("sixteen", b"x", file=secret_file("open3", b"swordfish", 0o644))),
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
        ("fifteen", "a post-quantum preshared key comes either"),
        ("sixteen", "chmod 600"),
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


DIGEST_KEY = b"k" * 32
OFFICE = (PskSecret("office", key=b"swordfish"), PskSecret("home", key=b"marlin"))


def digest(ask, psks=OFFICE, ppks=(), key=DIGEST_KEY, connection="office"):
    answer = ask(LocalGuard(GuardPolicy(psks=psks, ppks=ppks)), FingerprintSecrets(connection, key))
    assert isinstance(answer, Fingerprint)
    assert len(answer.data) == 32
    return answer.data


def test_a_fingerprint_is_of_the_keys_of_one_connection(ask, secret_file):
    same = digest(ask)
    assert digest(ask) == same
    # Neither another connection's key nor where a key is kept makes a difference.
    assert digest(ask, (PskSecret("office", key=b"swordfish"), PskSecret("home", key=b"tuna"))) == same
    assert digest(ask, (PskSecret("office", file=secret_file("psk", b"swordfish")),)) == same
    pair = PskSecret("office", "a.example", "b.example", key=b"one"), PskSecret("office", key=b"two")
    assert digest(ask, pair) == digest(ask, pair[::-1])


def test_a_fingerprint_changes_with_every_key_and_name(ask):
    ppk = PpkSecret("office", b"one", key=PPK)
    found = [
        digest(ask),
        digest(ask, key=b"l" * 32),
        digest(ask, connection="home"),
        digest(ask, ()),
        digest(ask, (PskSecret("office", key=b"Swordfish"),)),
        digest(ask, (PskSecret("office", "%any", "b.example", key=b"swordfish"),)),
        digest(ask, ppks=(ppk,)),
        digest(ask, ppks=(PpkSecret("office", b"two", key=PPK),)),
        digest(ask, ppks=(PpkSecret("office", b"one", key=PPK[::-1]),)),
    ]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("key", [b"", b"k" * 31, b"k" * 33])
def test_a_fingerprint_without_a_proper_key_is_refused(guard, ask, key):
    assert isinstance(ask(guard, FingerprintSecrets("office", key)), Refused)
