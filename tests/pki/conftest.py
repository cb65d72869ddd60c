"""CAs, nodes and forged certificates for the tests of chains."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def make_key(kind):
    match kind:
        case "rsa":
            return rsa.generate_private_key(65537, 2048)
        case "rsa-1024":
            return rsa.generate_private_key(65537, 1024)  # noqa: S505
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "ed448":
            return ed448.Ed448PrivateKey.generate()
    curves = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1, "bp256": ec.BrainpoolP256R1}
    return ec.generate_private_key({**curves, "bp512": ec.BrainpoolP512R1}[kind]())


class Issuer:
    """A CA whose certificates can be bent in every way."""

    def __init__(self, kind="p256", name="root", parent=None, ca=True, path_length=None, start=-10, days=365, **extra):
        self.key = make_key(kind)
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer = parent or self
        basic = x509.BasicConstraints(ca=ca, path_length=path_length if ca else None)
        self.certificate = self._build(signer, self.name, self.key.public_key(), start, days, [(basic, True)], **extra)
        self.der = self.certificate.public_bytes(Encoding.DER)

    def _build(self, signer, subject, public, start, days, extensions, critical_unknown=False):
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(signer.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + timedelta(days=start))
            .not_valid_after(NOW + timedelta(days=start + days))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        if critical_unknown:
            builder = builder.add_extension(
                x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00"), True
            )
        edwards = isinstance(signer.key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
        return builder.sign(signer.key, None if edwards else hashes.SHA256())

    def issue(self, kind="p256", names=("gate.example.org",), subject="gate", start=-1, days=30, extra=(), **bent):
        """Return the DER of an end-entity certificate and its key."""
        key = make_key(kind)
        general = [x509.DNSName(name) if isinstance(name, str) else name for name in names]
        extensions = [(x509.BasicConstraints(ca=False, path_length=None), True), *extra]
        if general:
            extensions.append((x509.SubjectAlternativeName(general), False))
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)] if subject else [])
        certificate = self._build(self, name, key.public_key(), start, days, extensions, **bent)
        return certificate.public_bytes(Encoding.DER), key


@pytest.fixture(scope="session")
def now():
    return NOW


@pytest.fixture(scope="session")
def issuer():
    """The class itself, to make bent CAs with."""
    return Issuer


@pytest.fixture(scope="session")
def root():
    return Issuer()
