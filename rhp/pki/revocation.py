"""Revocation by list (RFC 5280 section 5): what an issuer has taken back, as far as a list of it is known.

A list counts for certificates whose issuer it names and whose issuer's key has signed it. A certificate whose issuer
has no list here passes. A list that has run out refuses all of its issuer's certificates: whoever keeps it from being
renewed must not gain by that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from rhp.pki.certificate import UNREADABLE, subject_text

_PEM_CRL = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)
_KEPT = 64


class Revoked(Exception):
    """A certificate is taken back, or nobody can tell; the text is one sentence."""


def holds_crl(content: bytes) -> bool:
    """Whether a file has a list in it, in PEM."""
    return b"-----BEGIN X509 CRL-----" in content


def holds_only_crls(content: bytes) -> bool:
    """Whether there is nothing but lists in it."""
    return holds_crl(content) and b"-----BEGIN CERTIFICATE-----" not in content


def read_crls(content: bytes, name: str) -> list[bytes]:
    """The DER of every list in a PEM file; ValueError with a sentence that names the file."""
    try:
        return [x509.load_pem_x509_crl(block).public_bytes(Encoding.DER) for block in _PEM_CRL.findall(content)]
    except UNREADABLE as error:
        raise ValueError(f"{name}: the revocation list cannot be read: {error}; fetch it again") from None


def ended(der: bytes, now: datetime) -> str | None:
    """A sentence when a list has run out, or never does, so that all of its issuer's certificates are refused.

    `now` is aware.
    """
    crl = _list(der)
    try:
        _last(crl, now)
    except Revoked as error:
        return str(error)
    return None


def check_path(path: Sequence[x509.Certificate], crls: tuple[bytes, ...], now: datetime) -> datetime | None:
    """Look every certificate of a verified path up but the last, whose issuer is not there. `now` is aware.

    Gives the moment when the first of the lists that said so runs out, None where no list did. Raises `Revoked`.
    """
    ends: list[datetime] = []
    for certificate, issuer in pairwise(path):
        for crl in map(_list, crls):
            if crl.issuer == issuer.subject and _signed(crl, issuer):
                ends.append(_check(certificate, crl, now))
    return min(ends, default=None)


def _check(certificate: x509.Certificate, crl: x509.CertificateRevocationList, now: datetime) -> datetime:
    last = _last(crl, now)
    if crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
        raise Revoked(f"the certificate of {subject_text(certificate)} was revoked by its issuer")
    return last


def _last(crl: x509.CertificateRevocationList, now: datetime) -> datetime:
    last = crl.next_update_utc
    if last is None or last < now:
        when = f"ended on {last:%Y-%m-%d}" if last is not None else "has no end"
        raise Revoked(f"the revocation list of {crl.issuer.rfc4514_string()} {when}; fetch a new one")
    return last


def _signed(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # Others raise TypeError.
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False


@lru_cache(_KEPT)
def _list(der: bytes) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl(der)
