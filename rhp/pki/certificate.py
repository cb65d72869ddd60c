"""Plain facts about certificates, in and out as octets and text."""

from __future__ import annotations

import re
import warnings
from datetime import datetime
from ipaddress import ip_address
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.utils import CryptographyDeprecationWarning

from rhp.pki.identity import format_identity, same_identity
from rhp.wire.iana import IdType
from rhp.wire.identity import Identity

UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    CryptographyDeprecationWarning,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""Everything the library raises for a malformed certificate, here or in its lazy parts; only some are ValueErrors."""

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
_PEM_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def read_certificates(data: bytes) -> tuple[bytes, ...]:
    """Return the DER of every certificate in a PEM bundle, or of one in DER.

    ValueError with a sentence when there is none, or one of them cannot be read.
    """
    blocks = _PEM_CERTIFICATE.findall(data)
    if not blocks and data[:1] != b"\x30":
        raise ValueError("there is no certificate in it")
    if not blocks:
        return (load_certificate(data).public_bytes(Encoding.DER),)
    try:
        ders = [x509.load_pem_x509_certificate(block).public_bytes(Encoding.DER) for block in blocks]
    except UNREADABLE as error:
        raise ValueError(f"the certificate cannot be read: {error}") from None
    return tuple(load_certificate(der).public_bytes(Encoding.DER) for der in ders)


def load_certificate(der: bytes) -> x509.Certificate:
    """Return the certificate; ValueError with a sentence when it cannot be read."""
    try:
        with warnings.catch_warnings():
            # What the library will refuse in its next version we refuse today, and without a line on stderr.
            warnings.simplefilter("error", CryptographyDeprecationWarning)
            return x509.load_der_x509_certificate(der)
    except UNREADABLE as error:
        raise ValueError(f"the certificate cannot be read: {error}") from None


def identity_in_certificate(der: bytes, identity: Identity) -> bool:
    """Whether the subject or a subjectAltName of the certificate is this identity; ValueError when it cannot be read.

    A KEY_ID is compared with the subjectKeyIdentifier. The common name is never read as a host name.
    """
    return speaks_for(load_certificate(der), identity)


def speaks_for(certificate: x509.Certificate, identity: Identity) -> bool:
    """Whether the subject or a subjectAltName of the certificate is this identity; ValueError when it is malformed."""
    if identity.id_type == IdType.DER_ASN1_DN:
        names = _subject(certificate)
    elif identity.id_type == IdType.KEY_ID:
        names = _key_identifier(certificate)
    else:
        names = _alternative_names(certificate)
    return any(same_identity(name, identity) for name in names)


def subject_text(certificate: x509.Certificate) -> str:
    """Return the subject for a person to read; never raises."""
    return format_identity(Identity(IdType.DER_ASN1_DN, certificate.subject.public_bytes()))


def certificate_names(der: bytes) -> tuple[str, ...]:
    """Return the identities a certificate may speak for, as `parse_identity` reads them; ValueError as above."""
    return tuple(format_identity(name) for name in certificate_identities(der))


def certificate_identities(der: bytes) -> tuple[Identity, ...]:
    """Return the identities a certificate may speak for, the subject first; ValueError as above."""
    try:
        return tuple(_identities(load_certificate(der)))
    except UNREADABLE as error:
        raise ValueError(f"the certificate's names cannot be read: {error}") from None


def certificate_validity(der: bytes) -> tuple[datetime, datetime]:
    """Return the first and the last moment of validity, in UTC; ValueError when it cannot be read."""
    certificate = load_certificate(der)
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def certificate_is_ca(der: bytes) -> bool:
    """Whether the certificate may vouch for others; ValueError when it cannot be read.

    An old root without basicConstraints counts when it is its own issuer.
    """
    certificate = load_certificate(der)
    constraints = extension(certificate, x509.BasicConstraints)
    if constraints is not None:
        return constraints.ca
    return certificate.subject == certificate.issuer


def key_matches_certificate(private_pem: bytes, der: bytes) -> bool:
    """Whether the private key belongs to the certificate; ValueError when the key or the certificate cannot be read."""
    key = _private_key(private_pem)
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key.public_key().public_bytes(*form) == load_certificate(der).public_key().public_bytes(*form)


def check_private_key(private_pem: bytes) -> None:
    """ValueError with a sentence when this is no private key that can be read."""
    _private_key(private_pem)


def _private_key(private_pem: bytes) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(private_pem, None)
    except TypeError:
        raise ValueError("the private key is protected by a passphrase; store it without one, mode 0600") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("there is no private key in it; write the name of a PEM file without a passphrase") from None


def _identities(certificate: x509.Certificate) -> list[Identity]:
    """Every identity in the certificate: subject, alternative names, key identifier; ValueError when malformed."""
    return [*_subject(certificate), *_alternative_names(certificate), *_key_identifier(certificate)]


def _subject(certificate: x509.Certificate) -> list[Identity]:
    subject = certificate.subject
    return [Identity(IdType.DER_ASN1_DN, subject.public_bytes())] if len(list(subject)) else []


def _alternative_names(certificate: x509.Certificate) -> list[Identity]:
    names = extension(certificate, x509.SubjectAlternativeName)
    return [] if names is None else [name for general in names if (name := _from_general_name(general)) is not None]


def _key_identifier(certificate: x509.Certificate) -> list[Identity]:
    found = extension(certificate, x509.SubjectKeyIdentifier)
    return [] if found is None else [Identity(IdType.KEY_ID, found.digest)]


def extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """Return the extension of that kind, of which there is one at most; ValueError when any is malformed or doubled."""
    for item in read_extensions(certificate):
        # Not isinstance: the library's classes are abstract ones, where that takes ten times as long.
        if type(item.value) is kind:
            return item.value
    return None


def read_extensions(certificate: x509.Certificate) -> x509.Extensions:
    """Return the extensions; ValueError with a sentence when they are malformed or doubled."""
    try:
        return certificate.extensions
    except UNREADABLE as error:
        raise ValueError(f"the certificate's extensions cannot be read: {error}") from None


def _from_general_name(name: x509.GeneralName) -> Identity | None:
    if isinstance(name, x509.DNSName):
        return Identity(IdType.FQDN, name.value.encode())
    if isinstance(name, x509.RFC822Name):
        return Identity(IdType.RFC822_ADDR, name.value.encode())
    if isinstance(name, x509.IPAddress):
        address = ip_address(str(name.value)) if "/" not in str(name.value) else None
        if address is not None:
            return Identity(IdType.IPV4_ADDR if address.version == 4 else IdType.IPV6_ADDR, address.packed)
    return None
