"""Certificate chains: from the peer's end-entity certificate to a CA that the configuration trusts.

OpenSSL builds and verifies the chain: signatures, validity at a given moment, CA flags, path lengths, name
constraints and unknown critical extensions (RFC 5280 section 6). On top come IKE's own rules: key usage and extended
key usage (RFC 4945 section 5.1.3), no MD5 or SHA-1 signatures below the anchor, RSA keys of 2048 bits at least, and
the identity, which has to be named by the certificate, and the revocation lists that are at hand (`revocation`).
Nothing is fetched: the chain is made of what the peer sent and what is known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from OpenSSL import crypto

from rhp.crypto.signature import MINIMUM_RSA_BITS, PublicKey
from rhp.pki.certificate import UNREADABLE, extension, load_certificate, speaks_for, subject_text
from rhp.pki.identity import format_identity
from rhp.pki.revocation import Revoked, check_path
from rhp.wire.identity import Identity

_MOST_CERTIFICATES = 16
_KEPT_ANCHORS = 256
_KEPT_STORES = 16
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


@dataclass(frozen=True, slots=True)
class Trust:
    """What is known here, in DER: CAs at which a chain may end, others that may stand in it, and revocation lists."""

    anchors: tuple[bytes, ...] = ()
    intermediates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Verified:
    """A peer's certificate that leads to a trusted CA, its key, and when the first of the path expires, in UTC."""

    certificate: x509.Certificate
    key: PublicKey
    expires: datetime


def validate_chain(
    cert_ders: Sequence[bytes], trusted_ders: Sequence[bytes], now: datetime, identity: Identity
) -> PublicKey:
    """Return the key of the first certificate when it leads to a trusted CA and names the identity.

    The first certificate is the peer's, the others may help as intermediates. `now` is aware, or naive and in UTC.
    Raises `CertificateRejected`.
    """
    verified = verify_chain(cert_ders, Trust(tuple(trusted_ders)), now)
    check_name(verified, identity)
    return verified.key


def verify_chain(cert_ders: Sequence[bytes], trust: Trust, now: datetime) -> Verified:
    """The same without the identity, which is all that may differ the next time the same chain comes."""
    if not cert_ders:
        raise CertificateRejected("the peer sent no certificate")
    if len(cert_ders) > _MOST_CERTIFICATES or max(map(len, cert_ders)) > _LARGEST_CERTIFICATE:
        raise CertificateRejected("the peer sent too many or too large certificates")
    try:
        certificate = load_certificate(cert_ders[0])
        key = _check_end_entity(certificate)
        return Verified(certificate, key, _verify_path(certificate, cert_ders, trust, in_utc(now)))
    except Revoked as error:
        raise CertificateRejected(str(error)) from None
    except (*UNREADABLE, crypto.Error) as error:
        raise _malformed(error) from None


def check_name(verified: Verified, identity: Identity) -> None:
    """Return when the certificate names the identity; raises `CertificateRejected`."""
    try:
        if speaks_for(verified.certificate, identity):
            return
        subject = subject_text(verified.certificate)
    except UNREADABLE as error:
        raise _malformed(error) from None
    raise CertificateRejected(f"the certificate of {subject} does not name the identity {format_identity(identity)}")


def in_utc(moment: datetime) -> datetime:
    """A moment that is aware, or naive and in UTC, as an aware one in UTC."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _malformed(error: Exception) -> CertificateRejected:
    return CertificateRejected(f"a certificate of the chain is malformed: {error}")


def _verify_path(certificate: x509.Certificate, ders: Sequence[bytes], trust: Trust, now: datetime) -> datetime:
    store = _store(trust.anchors, now.replace(microsecond=0, tzinfo=None))
    for der in (*ders[1:], *trust.intermediates):
        load_certificate(der)  # What one library refuses is not shown to the other.
    first, *helpers = [crypto.load_certificate(crypto.FILETYPE_ASN1, der) for der in (*ders, *trust.intermediates)]
    context = crypto.X509StoreContext(store, first, helpers)
    try:
        path = context.get_verified_chain()
    except crypto.X509StoreContextError as error:
        culprit = subject_text(error.certificate.to_cryptography()) if error.certificate else "the peer"
        raise CertificateRejected(f"the certificate of {culprit} is not accepted: {error.args[0]}") from None
    # The last one is trusted as it is. The key of the first one, which is the peer's own, has been looked at.
    if len(path) > 1:
        _check_hash(certificate)
    for item in path[1:-1]:
        above = item.to_cryptography()
        _check_hash(above)
        _check_length(above, above.public_key())
    # OpenSSL writes them all in one form, so the first in time is the first in order.
    first_end = min(item.get_notAfter() or b"" for item in path)
    expires = datetime.strptime(first_end.decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    if not trust.crls:
        return expires
    lists_end = check_path([item.to_cryptography() for item in path], trust.crls, now)
    return expires if lists_end is None else min(expires, lists_end)


@lru_cache(_KEPT_STORES)
def _store(trusted_ders: tuple[bytes, ...], second: datetime) -> crypto.X509Store:
    """What a connection trusts at that second, in UTC, as OpenSSL wants it: many peers may come within one.

    A store is for one time only, because OpenSSL leaves the first one that was set.
    """
    store = crypto.X509Store()
    store.set_time(second)
    # An intermediate CA may be trusted by itself, without the root above it.
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    for der in trusted_ders:
        store.add_cert(_anchor(der))
    return store


@lru_cache(_KEPT_ANCHORS)
def _anchor(der: bytes) -> crypto.X509:
    """A trusted certificate as OpenSSL wants it."""
    return crypto.X509.from_cryptography(load_certificate(der))


def _check_hash(certificate: x509.Certificate) -> None:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        raise CertificateRejected(f"the certificate of {subject_text(certificate)} has an unknown signature") from None
    if algorithm is not None and algorithm.name in _WEAK_HASHES:
        raise CertificateRejected(f"the certificate of {subject_text(certificate)} is signed with {algorithm.name}")


def _check_length(certificate: x509.Certificate, key: object) -> None:
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MINIMUM_RSA_BITS:
        raise CertificateRejected(
            f"the certificate of {subject_text(certificate)} has an RSA key of {key.key_size} bits"
        )


def _check_end_entity(certificate: x509.Certificate) -> PublicKey:
    purposes = extension(certificate, x509.ExtendedKeyUsage)
    if purposes is not None and _USABLE.isdisjoint(purposes):
        raise CertificateRejected(f"the certificate of {subject_text(certificate)} is not meant for IKE or TLS (EKU)")
    usage = extension(certificate, x509.KeyUsage)
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
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
