"""A small certificate authority for `rhp keygen`: nobody needs openssl commands to try certificates."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from rhp.pki.dn import split_dn
from rhp.pki.identity import parse_identity
from rhp.wire.iana import IdType

KeyType = Literal["ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "ed25519"]
KEY_TYPES: tuple[KeyType, ...] = ("ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "ed25519")

_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
_IPSEC_IKE = ObjectIdentifier("1.3.6.1.5.5.7.3.17")
_LONGEST_NAME = 64  # RFC 5280 appendix A.1, ub-common-name
_CLOCK_SKEW = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A certificate and its private key, both in PEM."""

    certificate: bytes
    private_key: bytes = field(repr=False)

    def write(self, certificate_path: Path, key_path: Path) -> None:
        """Write both files anew, the key with mode 0600; FileExistsError, with nothing written, when one exists."""
        for path in (certificate_path, key_path):
            if path.exists() or path.is_symlink():
                raise FileExistsError(f"{path} exists already")
        _write_new(key_path, self.private_key, 0o600)
        _write_new(certificate_path, self.certificate, 0o644)


def create_ca(name: str, now: datetime, *, key_type: KeyType = "ecdsa-p256", days: int = 3650) -> Credentials:
    """Make a CA with subject "CN=name" for `days` days from `now` (aware), which issues node certificates only.

    ValueError with a sentence for a name that no certificate can hold.
    """
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
        raise ValueError(f"a CA's name has 1 to {_LONGEST_NAME} printable characters")
    key = _generate(key_type)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = _usage(digital_signature=False, key_cert_sign=True, crl_sign=True)
    builder = (
        _builder(subject, subject, key, now, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return _sign(builder, key, key)


def issue(
    ca: Credentials,
    identities: Sequence[str],
    now: datetime,
    *,
    key_type: KeyType = "ecdsa-p256",
    days: int = 825,
    subject: str | None = None,
) -> Credentials:
    """Make a node's certificate whose subjectAltName holds `identities` (FQDN, mail address or IP address).

    `subject` is a DN ("C=CH, O=rhp, CN=a"), "CN=" and the first identity by default. The EKUs are ipsecIKE,
    serverAuth and clientAuth. ValueError for an identity of another kind, a malformed DN or unreadable CA
    credentials.
    """
    ca_certificate = x509.load_pem_x509_certificate(ca.certificate)
    ca_key = load_pem_private_key(ca.private_key, None)
    if not isinstance(ca_key, _Key):
        raise ValueError("the CA's private key is of a kind that this program does not make")
    key = _generate(key_type)
    names = [general for text in identities for general in _general_names(text)]
    parts = split_dn(subject) if subject is not None else [(NameOID.COMMON_NAME.dotted_string, identities[0][:64])]
    name = x509.Name([x509.NameAttribute(ObjectIdentifier(oid), value) for oid, value in parts])
    identifier = ca_certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    extended = [_IPSEC_IKE, ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _builder(name, ca_certificate.subject, key, now, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True, key_cert_sign=False, crl_sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    return _sign(builder, key, ca_key)


def _generate(key_type: KeyType) -> _Key:
    if key_type == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if key_type in ("rsa-2048", "rsa-3072"):
        return rsa.generate_private_key(65537, int(key_type.removeprefix("rsa-")))
    if key_type in ("ecdsa-p256", "ecdsa-p384"):
        return ec.generate_private_key(ec.SECP256R1() if key_type == "ecdsa-p256" else ec.SECP384R1())
    raise ValueError(f"{key_type!r} is not a kind of key; known are {', '.join(KEY_TYPES)}")


def _builder(subject: x509.Name, issuer: x509.Name, key: _Key, now: datetime, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A peer whose clock is a little behind must not refuse a certificate made a moment ago.
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, digital_signature: bool, key_cert_sign: bool, crl_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _general_names(text: str) -> list[x509.GeneralName]:
    identity = parse_identity(text)
    if identity.id_type == IdType.FQDN:
        return [x509.DNSName(identity.data.decode("ascii"))]
    if identity.id_type == IdType.RFC822_ADDR:
        return [x509.RFC822Name(identity.data.decode("ascii"))]
    if identity.id_type in (IdType.IPV4_ADDR, IdType.IPV6_ADDR):
        address = ip_address(identity.data)
        # Some clients look for an address that they dialled among the DNS names.
        return [x509.IPAddress(address), x509.DNSName(str(address))]
    raise ValueError(f'"{text}" cannot stand in a certificate: a name, a mail address or an IP address can')


def _sign(builder: x509.CertificateBuilder, key: _Key, signer: _Key) -> Credentials:
    digest: SHA256 | SHA384 | None = SHA256()
    if isinstance(signer, ed25519.Ed25519PrivateKey):
        digest = None
    elif isinstance(signer, ec.EllipticCurvePrivateKey) and signer.curve.key_size > 256:
        digest = SHA384()
    certificate = builder.sign(signer, digest)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Credentials(certificate.public_bytes(Encoding.PEM), private)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        # The umask may have taken bits away; it never gave the key's file more than its mode.
        os.fchmod(descriptor, mode)
        file.write(data)
