"""Plain facts about certificates, in and out as octets and text."""

from __future__ import annotations

from datetime import datetime

from rhp.wire.identity import Identity


def read_certificates(data: bytes) -> tuple[bytes, ...]:
    """Return the DER of every certificate in a PEM bundle, or of one in DER.

    ValueError with a sentence when there is none.
    """
    raise NotImplementedError


def identity_in_certificate(der: bytes, identity: Identity) -> bool:
    """Whether the subject or a subjectAltName of the certificate is this identity."""
    raise NotImplementedError


def certificate_names(der: bytes) -> tuple[str, ...]:
    """Return the identities a certificate may speak for, as `parse_identity` reads them."""
    raise NotImplementedError


def certificate_validity(der: bytes) -> tuple[datetime, datetime]:
    """Return the first and the last moment of validity, in UTC."""
    raise NotImplementedError


def key_matches_certificate(private_pem: bytes, der: bytes) -> bool:
    """Whether the private key belongs to the certificate; ValueError when the key cannot be read."""
    raise NotImplementedError
