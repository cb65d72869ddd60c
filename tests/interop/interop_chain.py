"""A certificate chain that does not fit a datagram: RSA-4096 from the root to the leaf, with CAs in between."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BITS = 4096
SIGNING = ("digital_signature",)
ISSUING = ("key_cert_sign", "crl_sign")
USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


@dataclass(frozen=True)
class Leaf:
    """Files of one end: its certificate, its key, the CAs between from the nearest on, and the root."""

    cert: Path
    key: Path
    between: tuple[Path, ...]
    root: Path


def chains(folder, names, between=2):
    """A leaf for each of `names`, all of one root and the same `between` CAs."""
    folder.mkdir(parents=True, exist_ok=True)
    issuer, issuer_key = None, None
    cas = []
    for number in range(between + 1):
        issuer, issuer_key = _issue(f"rhp lab CA {number}", issuer, issuer_key, ca=True)
        cas.append(_write(folder / f"ca{number}.pem", issuer))
    return {name: _leaf(folder, name, issuer, issuer_key, cas) for name in names}


def _leaf(folder, name, issuer, issuer_key, cas):
    certificate, key = _issue(name, issuer, issuer_key, ca=False)
    path = folder / f"{name}.key"
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Leaf(_write(folder / f"{name}.pem", certificate), path, tuple(reversed(cas[1:])), cas[0])


def _issue(name, issuer, issuer_key, *, ca):
    key = rsa.generate_private_key(65537, BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    began = datetime.now(UTC) - timedelta(hours=1)
    signer = issuer_key or key
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**{use: use in (ISSUING if ca else SIGNING) for use in USAGES}), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(identifier, critical=False)
    )
    if not ca:
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    return builder.sign(signer, SHA256()), key


def _write(path, certificate):
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    return path
