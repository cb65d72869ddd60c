"""Plain facts about certificates, CERTREQ, and the small CA."""

import hashlib
import stat
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from rhp.pki.ca import KEY_TYPES, Credentials, create_ca, issue
from rhp.pki.certificate import (
    certificate_is_ca,
    certificate_names,
    certificate_validity,
    check_private_key,
    identity_in_certificate,
    key_matches_certificate,
    load_certificate,
    read_certificates,
)
from rhp.pki.certreq import certreq_data, key_hash
from rhp.pki.chain import CertificateRejected, validate_chain
from rhp.pki.identity import parse_identity


@pytest.fixture(scope="module")
def ca(now):
    return create_ca("test CA", now)


@pytest.fixture(scope="module")
def node(ca, now):
    return issue(ca, ["gate.example.org", "alice@example.org", "192.0.2.7", "2001:db8::7"], now)


def der_of(credentials):
    (der,) = read_certificates(credentials.certificate)
    return der


@pytest.mark.parametrize("ca_type", ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048"])
@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_issued_certificates_validate(now, ca_type, key_type):
    ca = create_ca("test CA", now, key_type=ca_type)
    node = issue(ca, ["gate.example.org"], now, key_type=key_type)
    key = validate_chain([der_of(node)], [der_of(ca)], now, parse_identity("gate.example.org"))
    private = load_pem_private_key(node.private_key, None)
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert key.public_bytes(*form) == private.public_key().public_bytes(*form)
    assert key_matches_certificate(node.private_key, der_of(node))
    assert not key_matches_certificate(ca.private_key, der_of(node))


def test_the_names_of_an_issued_certificate(node):
    names = certificate_names(der_of(node))
    assert names[0] == "CN=gate.example.org"
    assert {"gate.example.org", "alice@example.org", "192.0.2.7", "2001:db8::7"} <= set(names)
    for text in ("gate.example.org", "alice@example.org", "192.0.2.7", "2001:db8::7", "CN=gate.example.org"):
        assert identity_in_certificate(der_of(node), parse_identity(text))
    for text in ("other.example.org", "192.0.2.8", "CN=other"):
        assert not identity_in_certificate(der_of(node), parse_identity(text))


def test_subject_and_validity(ca, now):
    node = issue(ca, ["a"], now, subject="C=CH, O=rhp, CN=a", days=10)
    assert certificate_names(der_of(node))[0] == "C=CH, O=rhp, CN=a"
    start, end = certificate_validity(der_of(node))
    assert start <= now < end == now + timedelta(days=10)
    with pytest.raises(CertificateRejected, match="expired"):
        validate_chain([der_of(node)], [der_of(ca)], now + timedelta(days=11), parse_identity("a"))


def test_a_node_cannot_issue(ca, node, now):
    rogue = issue(node, ["rogue.example.org"], now)
    with pytest.raises(CertificateRejected):
        validate_chain([der_of(rogue), der_of(node)], [der_of(ca)], now, parse_identity("rogue.example.org"))


def test_purposes_of_an_issued_certificate(node):
    certificate = load_certificate(der_of(node))
    purposes = {
        item.dotted_string
        for extension in certificate.extensions
        if extension.oid.dotted_string == "2.5.29.37"
        for item in extension.value
    }
    assert purposes == {"1.3.6.1.5.5.7.3.17", "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"}


def test_what_cannot_stand_in_a_certificate(ca, now):
    for text in ("@#0a", "CN=x"):
        with pytest.raises(ValueError, match="cannot stand in a certificate"):
            issue(ca, [text], now)
    with pytest.raises(ValueError, match="not an identity"):
        issue(ca, ["a b"], now)
    with pytest.raises(ValueError, match="kind of key"):
        create_ca("x", now, key_type="dsa")


def test_the_private_key_is_not_in_the_repr(node):
    assert "PRIVATE" not in repr(node)


def test_files_are_new_and_the_key_is_private(tmp_path, node):
    certificate, key = tmp_path / "node.pem", tmp_path / "node.key"
    node.write(certificate, key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert certificate.read_bytes() == node.certificate
    assert key.read_bytes() == node.private_key
    with pytest.raises(FileExistsError):
        node.write(certificate, tmp_path / "other.key")
    assert not (tmp_path / "other.key").exists()


def test_bundles_and_single_certificates(ca, node):
    bundle = b"a comment\n" + node.certificate + b"\n" + ca.certificate
    assert read_certificates(bundle) == (der_of(node), der_of(ca))
    assert read_certificates(der_of(node)) == (der_of(node),)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\x30\x03\x02\x01\x00",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_holds_no_certificate(data):
    with pytest.raises(ValueError, match="certificate"):
        read_certificates(data)


def test_a_ca_is_told_from_a_node(ca, node):
    assert certificate_is_ca(der_of(ca))
    assert not certificate_is_ca(der_of(node))
    with pytest.raises(ValueError, match="cannot be read"):
        certificate_is_ca(b"junk")


def test_keys_that_cannot_be_read(node):
    key = load_pem_private_key(node.private_key, None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    with pytest.raises(ValueError, match="passphrase"):
        key_matches_certificate(locked, der_of(node))
    for rubbish in (b"", b"junk", node.certificate):
        with pytest.raises(ValueError, match="no private key in it"):
            check_private_key(rubbish)
        with pytest.raises(ValueError, match="no private key in it"):
            key_matches_certificate(rubbish, der_of(node))
    with pytest.raises(ValueError, match="certificate cannot be read"):
        key_matches_certificate(node.private_key, b"junk")


def test_another_kind_of_key_does_not_match(node):
    other = dsa.generate_private_key(2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert not key_matches_certificate(other, der_of(node))


def test_certreq_hashes(ca, node):
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    info = load_certificate(der_of(ca)).public_key().public_bytes(*form)
    assert key_hash(der_of(ca)) == hashlib.sha1(info, usedforsecurity=False).digest()
    data = certreq_data([der_of(ca), der_of(node), der_of(ca)])
    assert data == key_hash(der_of(ca)) + key_hash(der_of(node))


def test_credentials_are_plain_values():
    assert Credentials(b"a", b"b") == Credentials(b"a", b"b")
