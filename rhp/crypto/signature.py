"""Signatures in AUTH payloads: RFC 7427 (method 14) and the older methods 1 and 9 to 11."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey

SUPPORTED_HASHES = frozenset({2, 3, 4, 5})
"""Hash algorithm numbers to announce: SHA2-256, SHA2-384, SHA2-512 and Identity (RFC 8420)."""


def sign(private_key: PrivateKey, octets: bytes, peer_hashes: frozenset[int] | None) -> tuple[int, bytes]:
    """Return the AUTH payload's method and data; raises `CryptoError` when the peer announced no hash that the key can use."""
    raise NotImplementedError


def verify(public_key: PublicKey, method: int, auth_data: bytes, octets: bytes) -> None:
    """Return when the signature is right; raises `AuthenticationFailed` otherwise."""
    raise NotImplementedError
