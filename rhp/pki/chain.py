"""Certificate chains: from the peer's end-entity certificate to a CA that the configuration trusts.

OpenSSL builds and verifies the chain: signatures, validity at a given moment, CA flags, path lengths, name
constraints and unknown critical extensions (RFC 5280 section 6). On top come IKE's own rules: key usage and extended
key usage (RFC 4945 section 5.1.3), no MD5 or SHA-1 signatures below the anchor, RSA keys of 2048 bits at least, and
the identity, which has to be named by the certificate. Nothing is fetched: the chain is made of what the peer sent
and what is trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from OpenSSL import crypto

from rhp.crypto.signature import MINIMUM_RSA_BITS, PublicKey
from rhp.pki.certificate import UNREADABLE, load_certificate, read_extensions, speaks_for, subject_text
from rhp.pki.identity import format_identity
from rhp.wire.identity import Identity

_MOST_CERTIFICATES = 16
_LARGEST_CERTIFICATE = 1 << 16
_WEAK_HASHES = frozenset({"md5", "sha1"})
_USABLE = frozenset(
    {
        ObjectIdentifier("1.3.6.1.5.5.7.3.17"),  # ipsecIKE
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        ExtendedKeyUsageOID.SERVER_AUTH,  # What Windows and Apple demand of a gateway, often without ipsecIKE.
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ObjectIdentifier("1.3.6.1.5.5.8.2.2"),  # iKEIntermediate, an old Microsoft and Apple habit
    }
)


class CertificateRejected(Exception):
    """The chain or the identity is not acceptable; `reason` is one sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def validate_chain(
    cert_ders: Sequence[bytes], trusted_ders: Sequence[bytes], now: datetime, identity: Identity
) -> PublicKey:
    """Return the key of the first certificate when it leads to a trusted CA and names the identity.

    The first certificate is the peer's, the others may help as intermediates. `now` is aware, or naive and in UTC.
    Raises `CertificateRejected`.
    """
    if not cert_ders:
        raise CertificateRejected("the peer sent no certificate")
    if len(cert_ders) > _MOST_CERTIFICATES or max(map(len, cert_ders)) > _LARGEST_CERTIFICATE:
        raise CertificateRejected("the peer sent too many or too large certificates")
    try:
        certificate = load_certificate(cert_ders[0])
        key = _check_end_entity(certificate)
        _verify_path(certificate, cert_ders[1:], trusted_ders, now)
        named = speaks_for(certificate, identity)
    except (*UNREADABLE, crypto.Error) as error:
        raise CertificateRejected(f"a certificate of the chain is malformed: {error}") from None
    if not named:
        raise CertificateRejected(
            f"the certificate of {subject_text(certificate)} does not name the identity {format_identity(identity)}"
        )
    return key


def _verify_path(
    certificate: x509.Certificate, others: Sequence[bytes], trusted_ders: Sequence[bytes], now: datetime
) -> None:
    store = crypto.X509Store()
    # An intermediate CA may be trusted by itself, without the root above it.
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    store.set_time(now.astimezone(UTC).replace(tzinfo=None) if now.tzinfo else now)
    for der in trusted_ders:
        store.add_cert(crypto.X509.from_cryptography(load_certificate(der)))
    helpers = [crypto.X509.from_cryptography(load_certificate(der)) for der in others]
    context = crypto.X509StoreContext(store, crypto.X509.from_cryptography(certificate), helpers)
    try:
        path = [item.to_cryptography() for item in context.get_verified_chain()]
    except crypto.X509StoreContextError as error:
        culprit = subject_text(error.certificate.to_cryptography()) if error.certificate else "the peer"
        raise CertificateRejected(f"the certificate of {culprit} is not accepted: {error.args[0]}") from None
    for item in path[:-1]:
        _check_strength(item)


def _check_strength(certificate: x509.Certificate) -> None:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        raise CertificateRejected(f"the certificate of {subject_text(certificate)} has an unknown signature") from None
    if algorithm is not None and algorithm.name in _WEAK_HASHES:
        raise CertificateRejected(f"the certificate of {subject_text(certificate)} is signed with {algorithm.name}")
    _check_length(certificate, certificate.public_key())


def _check_length(certificate: x509.Certificate, key: object) -> None:
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MINIMUM_RSA_BITS:
        raise CertificateRejected(
            f"the certificate of {subject_text(certificate)} has an RSA key of {key.key_size} bits"
        )


def _check_end_entity(certificate: x509.Certificate) -> PublicKey:
    for item in read_extensions(certificate):
        if isinstance(item.value, x509.ExtendedKeyUsage) and _USABLE.isdisjoint(item.value):
            raise CertificateRejected(
                f"the certificate of {subject_text(certificate)} is not meant for IKE or TLS (EKU)"
            )
        if isinstance(item.value, x509.KeyUsage) and not (
            item.value.digital_signature or item.value.content_commitment
        ):
            raise CertificateRejected(f"the certificate of {subject_text(certificate)} is not meant for signatures")
    try:
        key = certificate.public_key()
    except UNREADABLE:
        raise CertificateRejected(
            f"the certificate of {subject_text(certificate)} has an unknown kind of key"
        ) from None
    if not isinstance(
        key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
    ):
        raise CertificateRejected(
            f"the certificate of {subject_text(certificate)} has a key that cannot sign IKE messages"
        )
    _check_length(certificate, key)
    return key
