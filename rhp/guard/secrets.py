"""The long-term secrets: pre-shared keys by connection and pair of identities, private keys and PPKs by connection.

They are read once for each policy, and every mistake is told at once. No method returns
a secret: the store signs, proves and compares.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from rhp.crypto.algorithms import Prf, prf
from rhp.crypto.auth import pad_psk, padded_psk_auth
from rhp.crypto.errors import CryptoError
from rhp.crypto.keymat import mix_ppk
from rhp.crypto.secret import Secret
from rhp.crypto.signature import MINIMUM_RSA_BITS, sign
from rhp.crypto.signature import PrivateKey as SigningKey
from rhp.guard.keyfile import decode_psk, read_secret_file
from rhp.guard.policy import GuardPolicy, PpkSecret, PskSecret
from rhp.guard.protocol import (
    Accepted,
    AuthData,
    CheckPsk,
    Fingerprint,
    FingerprintSecrets,
    IdentityPair,
    MixPpk,
    PpkKeys,
    ProvePsk,
    Refused,
    SignOctets,
)
from rhp.pki.identity import format_identity
from rhp.realm.pattern import IdentityPattern
from rhp.realm.table import PatternTable
from rhp.wire.iana import AuthMethod
from rhp.wire.identity import Identity

FINGERPRINT_KEY_OCTETS = 32

EVERYBODY = ""
"""In `SecretStore.digests`: what is for every peer of a connection."""

_T = TypeVar("_T")


class SecretsError(Exception):
    """Some secrets cannot be used; `problems` holds one sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class _Psk:
    local: IdentityPattern
    remote: IdentityPattern
    key: Secret
    proves: bool
    checks: bool
    # As the key is used, by pseudo-random function: it is the same in every proof.
    _padded: dict[int, Secret] = field(default_factory=dict)

    def auth(self, algorithm: Prf, octets: bytes) -> bytes:
        """The authentication data of these octets."""
        padded = self._padded.get(algorithm.id)
        if padded is None:
            padded = self._padded[algorithm.id] = pad_psk(algorithm, self.key)
        return padded_psk_auth(algorithm, padded, octets)

    def wipe(self) -> None:
        """Overwrite the key and what was made of it."""
        for secret in (self.key, *self._padded.values()):
            secret.wipe()
        self._padded.clear()


class SecretStore:
    """Loads a policy's secrets; raises `SecretsError` with every problem."""

    def __init__(self, policy: GuardPolicy) -> None:
        self._psks: dict[str, list[_Psk]] = {}
        # By the peer's identity: a realm may have a key for each of a thousand.
        self._found: dict[str, PatternTable[_Psk]] = {}
        self._keys: dict[str, SigningKey] = {}
        self._ppks: dict[tuple[str, bytes], Secret] = {}
        self._pss = frozenset(item.connection for item in policy.keys if item.rsa_pss)
        problems: list[str] = []
        for entry in policy.psks:
            psk = _attempt(entry.connection, problems, partial(_load_psk, entry))
            if psk is not None:
                self._psks.setdefault(entry.connection, []).append(psk)
        # Realms share keys, and a large RSA key takes a while to be checked.
        load = cache(_load_key)
        for item in policy.keys:
            key = _attempt(item.connection, problems, partial(load, item.pem, item.file))
            if key is not None:
                self._keys[item.connection] = key
        for ppk in policy.ppks:
            mixed = _attempt(ppk.connection, problems, partial(_load_shared, ppk, "a post-quantum preshared key"))
            if mixed is not None:
                self._ppks[ppk.connection, ppk.ppk_id] = mixed
        for connection, psks in self._psks.items():
            psks.sort(key=lambda psk: psk.local.specificity, reverse=True)
            self._found[connection] = PatternTable((psk.remote, psk) for psk in psks)
        if problems:
            self.wipe()
            raise SecretsError(problems)

    def wipe(self) -> None:
        """Overwrite the keys that are shared and forget the private ones."""
        for psks in self._psks.values():
            for psk in psks:
                psk.wipe()
        for ppk in self._ppks.values():
            ppk.wipe()
        self._psks.clear()
        self._found.clear()
        self._ppks.clear()
        self._keys.clear()

    def sign(self, question: SignOctets) -> AuthData | Refused:
        """Sign with the connection's private key."""
        key = self._keys.get(question.connection)
        if key is None:
            return Refused(f'connection "{question.connection}" has no private key')
        try:
            pss = question.connection in self._pss
            return AuthData(*sign(key, question.octets, question.peer_hashes, rsa_pss=pss))
        except CryptoError as error:
            return Refused(str(error))

    def prove(self, question: ProvePsk) -> AuthData | Refused:
        """Make our AUTH data from the pre-shared key."""
        expected = self._expected(question)
        if isinstance(expected, Refused):
            return expected
        return AuthData(int(AuthMethod.SHARED_KEY), expected)

    def check(self, question: CheckPsk) -> Accepted | Refused:
        """Compare the peer's AUTH data with the right one, in constant time."""
        expected = self._expected(question)
        if isinstance(expected, Refused):
            return expected
        if hmac.compare_digest(expected, question.auth_data):
            return Accepted()
        peer = _text(question.remote_id)
        if any(connection == question.connection for connection, _ in self._ppks):
            return Refused(f"the pre-shared key of {peer}, or its post-quantum one (PPK), is not ours")
        return Refused(f"the pre-shared key of {peer} is not ours")

    def mix(self, question: MixPpk) -> PpkKeys | Refused:
        """Mix the connection's PPK of that name into the keys."""
        ppk = self._ppks.get((question.connection, question.ppk_id))
        if ppk is None:
            return Refused(f'connection "{question.connection}" has no post-quantum preshared key of that name')
        try:
            algorithm = prf(question.prf_id)
        except CryptoError as error:
            return Refused(f"unknown algorithm: {error}")
        keys = (Secret(key) for key in (question.sk_d, question.sk_pi, question.sk_pr))
        return PpkKeys(*(mix_ppk(algorithm, ppk, key).expose() for key in keys))

    def fingerprint(self, question: FingerprintSecrets) -> Fingerprint | Refused:
        """Digest the shared keys of a connection, whatever order they were loaded in; another key, another digest."""
        if len(question.key) != FINGERPRINT_KEY_OCTETS:
            return Refused(f"a fingerprint takes a key of {FINGERPRINT_KEY_OCTETS} octets")
        entries = [
            (b"psk", psk.local.text.encode(), psk.remote.text.encode(), psk.key.expose())
            for psk in self._psks.get(question.connection, ())
        ]
        entries += [
            (b"ppk", ppk_id, b"", ppk.expose())
            for (connection, ppk_id), ppk in self._ppks.items()
            if connection == question.connection
        ]
        digest = hmac.new(question.key, digestmod="sha256")
        for entry in sorted(entries):
            for part in entry:
                digest.update(len(part).to_bytes(4) + part)
        return Fingerprint(digest.digest())

    def digests(self, key: bytes) -> dict[str, dict[str, bytes]]:
        """By connection, and in it by the pattern of the peers that a secret is for: a digest keyed with 32 octets.

        Private keys and PPKs are for `EVERYBODY`, and so is the way of signing.
        """
        entries: dict[tuple[str, str], list[bytes]] = {}
        for connection, psks in self._psks.items():
            for psk in psks:
                entries.setdefault((connection, psk.remote.export()), []).append(psk.key.expose())
        for (connection, ppk_id), ppk in self._ppks.items():
            entries.setdefault((connection, EVERYBODY), []).append(b"ppk" + ppk_id + b":" + ppk.expose())
        for connection, private in self._keys.items():
            pss = b"pss" if connection in self._pss else b"key"
            public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            entries.setdefault((connection, EVERYBODY), []).append(pss + public)
        found: dict[str, dict[str, bytes]] = {}
        for (connection, who), parts in entries.items():
            digest = hmac.new(key, digestmod="sha256")
            for part in sorted(parts):
                digest.update(len(part).to_bytes(4) + part)
            found.setdefault(connection, {})[who] = digest.digest()
        return found

    def _expected(self, question: ProvePsk | CheckPsk) -> bytes | Refused:
        local, remote = Identity(*question.local_id), Identity(*question.remote_id)
        proving = isinstance(question, ProvePsk)
        table = self._found.get(question.connection)
        for _, psk in table.find(remote) if table is not None else ():
            if psk.local.matches(local):
                if not (psk.proves if proving else psk.checks):
                    whose = "our" if proving else "the peer's"
                    return Refused(f'in connection "{question.connection}" the pre-shared key is not {whose} proof')
                break
        else:
            pair = f"{format_identity(local)} and {format_identity(remote)}"
            return Refused(f'connection "{question.connection}" has no pre-shared key for {pair}')
        try:
            return psk.auth(prf(question.prf_id), question.octets)
        except CryptoError as error:
            return Refused(f"unknown algorithm: {error}")


def _text(pair: IdentityPair) -> str:
    return format_identity(Identity(*pair))


def _attempt(connection: str, problems: list[str], load: Callable[[], _T]) -> _T | None:
    try:
        return load()
    except ValueError as error:
        problems.append(f'connection "{connection}": {error}')
        return None


def _load_psk(entry: PskSecret) -> _Psk:
    key = _load_shared(entry, "a pre-shared key")
    return _Psk(
        IdentityPattern.parse(entry.local_id), IdentityPattern.parse(entry.remote_id), key, entry.proves, entry.checks
    )


def _load_shared(entry: PskSecret | PpkSecret, what: str) -> Secret:
    if (entry.key is None) == (entry.file is None):
        raise ValueError(f"{what} comes either from the configuration or from a file")
    key = entry.key
    if key is None:
        path = str(entry.file)
        try:
            key = decode_psk(read_secret_file(path), ppk=isinstance(entry, PpkSecret))
        except ValueError as error:
            raise ValueError(str(error) if path in str(error) else f"{path}: {error}") from None
    if not key:
        raise ValueError(f"{what} must not be empty")
    return Secret(key)


def _load_key(pem: bytes | None, file: str | None) -> SigningKey:
    if (pem is None) == (file is None):
        raise ValueError("a private key comes either as PEM or from a file")
    pem = read_secret_file(file) if file is not None else pem or b""
    where = file or "the private key"
    try:
        key = load_pem_private_key(pem, None)
    except TypeError:
        raise ValueError(f"{where} is protected by a passphrase: store it without one, with mode 0600") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{where} is not a private key in PEM; rhp keygen node makes one") from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < MINIMUM_RSA_BITS:
        raise ValueError(
            f"{where} is an RSA key of {key.key_size} bits; {MINIMUM_RSA_BITS} are the least; rhp keygen node makes one"
        )
    if not isinstance(
        key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
    ):
        raise ValueError(f"{where} is of a kind that IKE cannot sign with; rhp keygen node makes one")
    return key
