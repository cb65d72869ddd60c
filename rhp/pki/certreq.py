"""CERTREQ: which CAs we accept, and which of our chains a peer can verify (RFC 7296 section 3.7).

The data of a CERTREQ of encoding 4 is a row of SHA-1 hashes, each over the SubjectPublicKeyInfo of a CA. The hash is
a name here, not a protection.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rhp.pki.certificate import load_certificate

_HASH_BYTES = 20


def key_hash(der: bytes) -> bytes:
    """Return the 20 octets by which a CERTREQ names the CA with this certificate; ValueError when it cannot be read."""
    public = load_certificate(der).public_key()
    info = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha1(info, usedforsecurity=False).digest()


def certreq_data(ca_ders: Iterable[bytes]) -> bytes:
    """Return the data of our CERTREQ payload for the CAs that we trust; ValueError when one cannot be read."""
    return b"".join(dict.fromkeys(map(key_hash, ca_ders)))


def read_certreq(data: bytes) -> frozenset[bytes]:
    """Return the hashes in a CERTREQ's data; an incomplete one at the end is ignored."""
    return frozenset(data[start : start + _HASH_BYTES] for start in range(0, len(data) - _HASH_BYTES + 1, _HASH_BYTES))


def choose_chain(chains: Sequence[Sequence[bytes]], wanted: frozenset[bytes]) -> tuple[bytes, ...]:
    """Return the first chain (DER, end entity first) that holds a wanted CA, else the first chain; () without chains.

    A peer that asks for nothing, or for CAs we do not know, still gets a chain: it may hold the CA itself, and several
    clients send no CERTREQ at all.
    """
    for chain in chains:
        if any(key_hash(der) in wanted for der in chain[1:]):
            return tuple(chain)
    return tuple(chains[0]) if chains else ()
