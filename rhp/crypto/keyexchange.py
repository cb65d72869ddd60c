"""Key exchange: an ephemeral key pair, and the secret it shares with the peer's public value.

Who begins makes a key pair (`start`), sends its public value and takes the peer's into it (`agree`); the other side
does both at once (`respond`). For most methods the two sides do the same. ML-KEM (FIPS 203) is a key encapsulation: the
initiator's public value is an encapsulation key, and the answer is a ciphertext that only its owner can open. A
ciphertext that was tampered with opens to another secret, not to an error, so it shows with the next message's seal.

Public values travel as the KE payload wants them: X25519 and X448 as 32 and 56 octets (RFC 8031), curves as x and y
without a leading octet (RFC 5903, RFC 6954), MODP as a number padded to the prime's length (RFC 7296 section 3.4),
ML-KEM's as FIPS 203 encodes them. Every peer value is checked before it is used: a point must lie on its curve, an
X25519 result must not be zero, a MODP value lies strictly between 1 and p - 1 (RFC 6989), an encapsulation key has
its length and coefficients below q (FIPS 203 section 7.2), a ciphertext its length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec, mlkem
from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey, X448PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from rhp._fast import dh
from rhp.crypto.errors import KeyExchangeFailed
from rhp.crypto.secret import Secret
from rhp.wire.iana import KeMethod


class KeyExchange(Protocol):
    """One ephemeral key pair of ours."""

    @property
    def method(self) -> int:
        """The key exchange method's number (transform type 4)."""
        ...

    @property
    def public(self) -> bytes:
        """Our public value as it stands in the KE payload."""
        ...

    def agree(self, peer_public: bytes) -> Secret:
        """Return the shared secret; raises `KeyExchangeFailed` for a malformed or unsafe public value."""
        ...


class _X25519:
    method = int(KeMethod.X25519)

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()
        self.public = self._private.public_key().public_bytes_raw()

    def agree(self, peer_public: bytes) -> Secret:
        try:
            return Secret(self._private.exchange(X25519PublicKey.from_public_bytes(peer_public)))
        except ValueError:
            raise KeyExchangeFailed("the peer's X25519 value is malformed or of small order") from None


class _X448:
    method = int(KeMethod.X448)

    def __init__(self) -> None:
        self._private = X448PrivateKey.generate()
        self.public = self._private.public_key().public_bytes_raw()

    def agree(self, peer_public: bytes) -> Secret:
        try:
            return Secret(self._private.exchange(X448PublicKey.from_public_bytes(peer_public)))
        except ValueError:
            raise KeyExchangeFailed("the peer's X448 value is malformed or of small order") from None


class _EllipticCurve:
    def __init__(self, method: int, curve: ec.EllipticCurve) -> None:
        self.method = method
        self._curve = curve
        self._private = ec.generate_private_key(curve)
        numbers = self._private.public_key().public_numbers()
        size = (curve.key_size + 7) // 8
        self.public = numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")

    def agree(self, peer_public: bytes) -> Secret:
        if len(peer_public) != len(self.public):
            raise KeyExchangeFailed(f"the peer's {self._curve.name} value has a wrong length")
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(self._curve, b"\x04" + peer_public)
            return Secret(self._private.exchange(ec.ECDH(), point))
        except ValueError:
            raise KeyExchangeFailed(f"the peer's value is not a point of {self._curve.name}") from None


class _Modp:
    def __init__(self, method: int) -> None:
        self.method = method
        self._private, self.public = dh.generate(method)

    def agree(self, peer_public: bytes) -> Secret:
        if len(peer_public) != len(self.public):
            raise KeyExchangeFailed("the peer's MODP value has a wrong length")
        try:
            return Secret(dh.agree(self.method, self._private, peer_public))
        except ValueError:
            raise KeyExchangeFailed("the peer's MODP value is not between 1 and p - 1") from None


class _MlKem768:
    method = int(KeMethod.ML_KEM_768)

    def __init__(self) -> None:
        self._private = mlkem.MLKEM768PrivateKey.generate()
        self.public = self._private.public_key().public_bytes_raw()

    def agree(self, peer_public: bytes) -> Secret:
        try:
            return Secret(self._private.decapsulate(peer_public))
        except ValueError:
            raise KeyExchangeFailed("the peer's ML-KEM-768 ciphertext has a wrong length") from None


class _MlKem1024:
    method = int(KeMethod.ML_KEM_1024)

    def __init__(self) -> None:
        self._private = mlkem.MLKEM1024PrivateKey.generate()
        self.public = self._private.public_key().public_bytes_raw()

    def agree(self, peer_public: bytes) -> Secret:
        try:
            return Secret(self._private.decapsulate(peer_public))
        except ValueError:
            raise KeyExchangeFailed("the peer's ML-KEM-1024 ciphertext has a wrong length") from None


_CURVES: dict[int, ec.EllipticCurve] = {
    KeMethod.ECP_256: ec.SECP256R1(),
    KeMethod.ECP_384: ec.SECP384R1(),
    KeMethod.ECP_521: ec.SECP521R1(),
    KeMethod.BRAINPOOL_P256R1: ec.BrainpoolP256R1(),
    KeMethod.BRAINPOOL_P384R1: ec.BrainpoolP384R1(),
    KeMethod.BRAINPOOL_P512R1: ec.BrainpoolP512R1(),
}
_MODP = (KeMethod.MODP_1024, KeMethod.MODP_1536, KeMethod.MODP_2048, KeMethod.MODP_3072, KeMethod.MODP_4096)


def _curve_starter(method: int, curve: ec.EllipticCurve) -> Callable[[], KeyExchange]:
    return lambda: _EllipticCurve(method, curve)


def _modp_starter(method: int) -> Callable[[], KeyExchange]:
    return lambda: _Modp(method)


_STARTERS: dict[int, Callable[[], KeyExchange]] = {
    KeMethod.X25519: _X25519,
    KeMethod.X448: _X448,
    KeMethod.ML_KEM_768: _MlKem768,
    KeMethod.ML_KEM_1024: _MlKem1024,
    **{int(method): _curve_starter(int(method), curve) for method, curve in _CURVES.items()},
    **{int(method): _modp_starter(int(method)) for method in _MODP},
}

_RESPONDERS: dict[int, Callable[[bytes], tuple[bytes, Secret]]] = {}
"""What crypto providers added whose two sides do not do the same."""

_ENCAPSULATIONS: dict[int, type[mlkem.MLKEM768PublicKey | mlkem.MLKEM1024PublicKey]] = {
    KeMethod.ML_KEM_768: mlkem.MLKEM768PublicKey,
    KeMethod.ML_KEM_1024: mlkem.MLKEM1024PublicKey,
}


def implemented(method: int) -> bool:
    """Return whether there is such a method here."""
    return method in _STARTERS


def add(
    method: int, starter: Callable[[], KeyExchange], responder: Callable[[bytes], tuple[bytes, Secret]] | None
) -> None:
    """Know one more method, for `rhp.crypto.additions`."""
    _STARTERS[method] = starter
    if responder is not None:
        _RESPONDERS[method] = responder


def start(method: int) -> KeyExchange:
    """Make a fresh key pair for a method number; raises `KeyExchangeFailed` for a method that is not implemented."""
    starter = _STARTERS.get(method)
    if starter is None:
        raise KeyExchangeFailed(f"key exchange method {method} is not implemented")
    return starter()


def respond(method: int, peer_public: bytes) -> tuple[bytes, Secret]:
    """Answer the public value of who began: our own public value and the shared secret.

    Raises `KeyExchangeFailed` for a method that is not implemented, or a malformed or unsafe public value.
    """
    if method in _RESPONDERS:
        return _RESPONDERS[method](peer_public)
    encapsulation = _ENCAPSULATIONS.get(method)
    if encapsulation is None:
        own = start(method)
        return own.public, own.agree(peer_public)
    try:
        shared, ciphertext = encapsulation.from_public_bytes(peer_public).encapsulate()
    except ValueError:
        raise KeyExchangeFailed("the peer's ML-KEM encapsulation key is malformed") from None
    return ciphertext, Secret(shared)
