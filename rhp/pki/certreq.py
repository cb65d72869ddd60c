"""CERTREQ: which CAs we accept (RFC 7296 section 3.7).

The data of a CERTREQ of encoding 4 is a row of SHA-1 hashes, each over the SubjectPublicKeyInfo of a CA. The hash is
a name here, not a protection.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rhp.pki.certificate import load_certificate


def key_hash(der: bytes) -> bytes:
    """Return the 20 octets by which a CERTREQ names the CA with this certificate; ValueError when it cannot be read."""
    public = load_certificate(der).public_key()
    info = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha1(info, usedforsecurity=False).digest()


def certreq_data(ca_ders: Iterable[bytes]) -> bytes:
    """Return the data of our CERTREQ payload for the CAs that we trust; ValueError when one cannot be read."""
    return b"".join(dict.fromkeys(map(key_hash, ca_ders)))
