"""The long-term secrets: pre-shared keys by connection and pair of identities, private keys by connection.

They are read once, when the guard starts or gets another policy, and every mistake is told at once. No method returns
a secret: the store signs, proves and compares.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from rhp.crypto.algorithms import prf
from rhp.crypto.auth import psk_auth
from rhp.crypto.errors import CryptoError
from rhp.crypto.secret import Secret
from rhp.crypto.signature import MINIMUM_RSA_BITS, sign
from rhp.crypto.signature import PrivateKey as SigningKey
from rhp.guard.keyfile import decode_psk, read_secret_file
from rhp.guard.policy import GuardPolicy, PrivateKey, PskSecret
from rhp.guard.protocol import Accepted, AuthData, CheckPsk, IdentityPair, ProvePsk, Refused, SignOctets
from rhp.pki.identity import IdentityPattern, format_identity
from rhp.wire.iana import AuthMethod
from rhp.wire.identity import Identity

__all__ = ["SecretStore", "SecretsError", "decode_psk"]

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


class SecretStore:
    """Loads a policy's secrets; raises `SecretsError` with every problem."""

    def __init__(self, policy: GuardPolicy) -> None:
        self._psks: dict[str, list[_Psk]] = {}
        self._keys: dict[str, SigningKey] = {}
        self._pss = frozenset(item.connection for item in policy.keys if item.rsa_pss)
        problems: list[str] = []
        for entry in policy.psks:
            psk = _attempt(entry.connection, problems, partial(_load_psk, entry))
            if psk is not None:
                self._psks.setdefault(entry.connection, []).append(psk)
        for item in policy.keys:
            key = _attempt(item.connection, problems, partial(_load_key, item))
            if key is not None:
                self._keys[item.connection] = key
        for psks in self._psks.values():
            psks.sort(key=lambda psk: (psk.remote.specificity, psk.local.specificity), reverse=True)
        if problems:
            self.wipe()
            raise SecretsError(problems)

    def wipe(self) -> None:
        """Overwrite the pre-shared keys and forget the private ones."""
        for psks in self._psks.values():
            for psk in psks:
                psk.key.wipe()
        self._psks.clear()
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
        return Refused(f"the pre-shared key of {peer} is not ours")

    def _expected(self, question: ProvePsk | CheckPsk) -> bytes | Refused:
        local, remote = Identity(*question.local_id), Identity(*question.remote_id)
        for psk in self._psks.get(question.connection, ()):
            if psk.local.matches(local) and psk.remote.matches(remote):
                break
        else:
            pair = f"{format_identity(local)} and {format_identity(remote)}"
            return Refused(f'connection "{question.connection}" has no pre-shared key for {pair}')
        try:
            return psk_auth(prf(question.prf_id), psk.key, question.octets)
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
    if (entry.key is None) == (entry.file is None):
        raise ValueError("a pre-shared key comes either from the configuration or from a file")
    key = entry.key
    if key is None:
        path = str(entry.file)
        try:
            key = decode_psk(read_secret_file(path))
        except ValueError as error:
            raise ValueError(str(error) if path in str(error) else f"{path}: {error}") from None
    if not key:
        raise ValueError("the pre-shared key is empty")
    return _Psk(IdentityPattern.parse(entry.local_id), IdentityPattern.parse(entry.remote_id), Secret(key))


def _load_key(entry: PrivateKey) -> SigningKey:
    if (entry.pem is None) == (entry.file is None):
        raise ValueError("a private key comes either as PEM or from a file")
    pem = read_secret_file(entry.file) if entry.file is not None else entry.pem or b""
    where = entry.file or "the private key"
    try:
        key = load_pem_private_key(pem, None)
    except TypeError:
        raise ValueError(f"{where} is protected by a passphrase: store it without one, with mode 0600") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{where} is not a private key in PEM") from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < MINIMUM_RSA_BITS:
        raise ValueError(f"{where} is an RSA key of {key.key_size} bits; {MINIMUM_RSA_BITS} are the least")
    if not isinstance(
        key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
    ):
        raise ValueError(f"{where} is of a kind that IKE cannot sign with")
    return key
