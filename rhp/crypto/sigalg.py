"""AlgorithmIdentifiers of RFC 7427: what stands in front of a signature of method 14.

    ASN.1 length (1 octet) | AlgorithmIdentifier (DER) | signature

The identifiers we send are those of RFC 7427 appendix A and RFC 8420; of RSASSA-PSS any parameters are understood
whose two hashes agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rhp.crypto import der
from rhp.wire.iana import HashAlgorithm

Scheme = Literal["rsa", "pss", "ecdsa", "ed25519", "ed448"]

_HASH_OIDS = {
    "2.16.840.1.101.3.4.2.1": int(HashAlgorithm.SHA2_256),
    "2.16.840.1.101.3.4.2.2": int(HashAlgorithm.SHA2_384),
    "2.16.840.1.101.3.4.2.3": int(HashAlgorithm.SHA2_512),
}
_SIGNATURE_OIDS: dict[str, tuple[Scheme, int]] = {
    "1.2.840.113549.1.1.11": ("rsa", int(HashAlgorithm.SHA2_256)),
    "1.2.840.113549.1.1.12": ("rsa", int(HashAlgorithm.SHA2_384)),
    "1.2.840.113549.1.1.13": ("rsa", int(HashAlgorithm.SHA2_512)),
    "1.2.840.10045.4.3.2": ("ecdsa", int(HashAlgorithm.SHA2_256)),
    "1.2.840.10045.4.3.3": ("ecdsa", int(HashAlgorithm.SHA2_384)),
    "1.2.840.10045.4.3.4": ("ecdsa", int(HashAlgorithm.SHA2_512)),
    "1.3.101.112": ("ed25519", int(HashAlgorithm.IDENTITY)),
    "1.3.101.113": ("ed448", int(HashAlgorithm.IDENTITY)),
}
_PSS = "1.2.840.113549.1.1.10"
_MGF1 = "1.2.840.113549.1.1.8"
_SALT_BYTES = {int(HashAlgorithm.SHA2_256): 32, int(HashAlgorithm.SHA2_384): 48, int(HashAlgorithm.SHA2_512): 64}
_NULL = der.encode(der.NULL)
_EXPLICIT = 0xA0
_KEPT = 64
"""There are about a dozen identifiers, and each handshake reads one and writes one."""


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """A signature scheme with its hash (number of the IKEv2 registry); `salt_bytes` counts for PSS only."""

    scheme: Scheme
    hash: int
    salt_bytes: int = 0


@lru_cache(_KEPT)
def encode_algorithm(scheme: Scheme, hash_number: int) -> bytes:
    """Return the AlgorithmIdentifier in DER.

    The PSS salt is as long as the hash. KeyError for a pair that does not exist.
    """
    if scheme == "pss":
        return _encode_pss(hash_number)
    oid = {value: key for key, value in _SIGNATURE_OIDS.items()}[scheme, hash_number]
    parameters = _NULL if scheme == "rsa" else b""
    return der.encode(der.SEQUENCE, der.encode_oid(oid), parameters)


def _encode_pss(hash_number: int) -> bytes:
    oid = {value: key for key, value in _HASH_OIDS.items()}[hash_number]
    digest = der.encode(der.SEQUENCE, der.encode_oid(oid), _NULL)
    mask = der.encode(der.SEQUENCE, der.encode_oid(_MGF1), digest)
    salt = der.encode(der.INTEGER, bytes((_SALT_BYTES[hash_number],)))
    parameters = der.encode(
        der.SEQUENCE, der.encode(_EXPLICIT, digest), der.encode(_EXPLICIT | 1, mask), der.encode(_EXPLICIT | 2, salt)
    )
    return der.encode(der.SEQUENCE, der.encode_oid(_PSS), parameters)


@lru_cache(_KEPT)
def decode_algorithm(data: bytes) -> SignatureAlgorithm:
    """Return what an AlgorithmIdentifier names; ValueError when it is malformed or none of ours."""
    parts = der.read_all(der.expect(data, der.SEQUENCE))
    if not parts or parts[0][0] != der.OID:
        raise ValueError("an algorithm identifier without an object identifier")
    oid = der.decode_oid(parts[0][1])
    if oid == _PSS and len(parts) == 2 and parts[1][0] == der.SEQUENCE:
        return _decode_pss(parts[1][1])
    if oid not in _SIGNATURE_OIDS:
        raise ValueError(f"signature algorithm {oid} is not implemented")
    scheme, hash_number = _SIGNATURE_OIDS[oid]
    if parts[1:] not in ([], [(der.NULL, b"")]):
        raise ValueError(f"signature algorithm {oid} with unexpected parameters")
    return SignatureAlgorithm(scheme, hash_number)


def _decode_pss(content: bytes) -> SignatureAlgorithm:
    fields = dict(der.read_all(content))
    if not {_EXPLICIT, _EXPLICIT | 1} <= fields.keys() <= {_EXPLICIT | number for number in range(4)}:
        raise ValueError("RSASSA-PSS with SHA-1, or with unknown parameters")
    hash_number = _decode_hash(fields[_EXPLICIT])
    mask = der.read_all(der.expect(fields[_EXPLICIT | 1], der.SEQUENCE))
    if len(mask) != 2 or mask[0][0] != der.OID or der.decode_oid(mask[0][1]) != _MGF1:
        raise ValueError("RSASSA-PSS with an unknown mask generation function")
    if _decode_hash(der.encode(*mask[1])) != hash_number:
        raise ValueError("RSASSA-PSS with two different hashes")
    salt = _small_integer(fields.get(_EXPLICIT | 2), 20)
    if _small_integer(fields.get(_EXPLICIT | 3), 1) != 1:
        raise ValueError("RSASSA-PSS with an unknown trailer")
    return SignatureAlgorithm("pss", hash_number, salt)


def _decode_hash(element: bytes) -> int:
    parts = der.read_all(der.expect(element, der.SEQUENCE))
    if not parts or parts[0][0] != der.OID or parts[1:] not in ([], [(der.NULL, b"")]):
        raise ValueError("a malformed hash algorithm")
    oid = der.decode_oid(parts[0][1])
    if oid not in _HASH_OIDS:
        raise ValueError(f"hash algorithm {oid} is not accepted")
    return _HASH_OIDS[oid]


def _small_integer(element: bytes | None, default: int) -> int:
    if element is None:
        return default
    content = der.expect(element, der.INTEGER)
    if not 1 <= len(content) <= 2 or content[0] & 0x80:
        raise ValueError("an integer out of range")
    return int.from_bytes(content, "big")
