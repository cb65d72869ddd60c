"""Chains: what is accepted, and every way in which one may be wrong."""

from datetime import timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from rhp.pki.certificate import read_certificates
from rhp.pki.chain import CertificateRejected, validate_chain
from rhp.pki.identity import parse_identity
from rhp.wire.identity import Identity

GATE = parse_identity("gate.example.org")


def usage(**bits):
    names = [
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ]
    return x509.KeyUsage(**{name: bits.get(name, False) for name in names})


def rejected(certs, trusted, now, identity=GATE):
    with pytest.raises(CertificateRejected) as caught:
        validate_chain(certs, trusted, now, identity)
    assert str(caught.value) == caught.value.reason
    return caught.value.reason


@pytest.mark.parametrize("ca_kind", ["rsa", "p256", "p384", "ed25519", "ed448", "bp256", "bp512"])
def test_every_kind_of_key_is_accepted(issuer, now, ca_kind):
    ca = issuer(ca_kind)
    der, key = ca.issue(ca_kind)
    assert validate_chain([der], [ca.der], now, GATE) == key.public_key()


def test_an_intermediate_comes_from_the_peer(issuer, root, now):
    middle = issuer(name="middle", parent=root, path_length=0)
    der, key = middle.issue()
    assert validate_chain([der, middle.der], [root.der], now, GATE) == key.public_key()
    assert validate_chain([der, root.der, middle.der], [root.der], now, GATE) == key.public_key()
    assert "unable to get local issuer" in rejected([der], [root.der], now)


def test_an_intermediate_may_be_the_anchor(issuer, root, now):
    middle = issuer(name="middle", parent=root)
    der, key = middle.issue()
    assert validate_chain([der], [middle.der], now, GATE) == key.public_key()


def test_what_the_peer_sends_is_never_an_anchor(issuer, root, now):
    other = issuer(name="root")
    der, _ = other.issue()
    rejected([der, other.der], [root.der], now)
    rejected([der], [], now)
    rejected([der, other.der], [], now)
    assert rejected([], [root.der], now) == "the peer sent no certificate"


def test_validity_is_measured_by_the_given_time(root, now):
    der, _ = root.issue(start=-1, days=30)
    validate_chain([der], [root.der], now, GATE)
    assert "expired" in rejected([der], [root.der], now + timedelta(days=30))
    assert "not yet valid" in rejected([der], [root.der], now - timedelta(days=2))
    naive = (now + timedelta(days=40)).replace(tzinfo=None)
    assert "expired" in rejected([der], [root.der], naive)


def test_time_zones_are_respected(root, now):
    der, _ = root.issue(start=0, days=1)
    inside = (now + timedelta(minutes=30)).astimezone(timezone(timedelta(hours=9)))
    outside = (now - timedelta(minutes=30)).astimezone(timezone(timedelta(hours=9)))
    validate_chain([der], [root.der], inside, GATE)
    assert "not yet valid" in rejected([der], [root.der], outside)


def test_an_expired_ca_is_refused(issuer, now):
    old = issuer(start=-400, days=365)
    der, _ = old.issue()
    assert "expired" in rejected([der], [old.der], now)


def test_a_ca_without_the_ca_flag_is_refused(issuer, root, now):
    fake = issuer(name="fake", parent=root, ca=False)
    der, _ = fake.issue()
    assert "CA" in rejected([der, fake.der], [root.der], now)


def test_an_end_entity_cannot_issue(issuer, root, now):
    leaf = issuer(name="leaf", parent=root, ca=False)
    der, _ = leaf.issue()
    rejected([der, leaf.der], [root.der], now)


def test_the_path_length_is_enforced(issuer, now):
    top = issuer(name="top", path_length=0)
    middle = issuer(name="middle", parent=top)
    der, _ = middle.issue()
    assert "path length" in rejected([der, middle.der], [top.der], now)


def test_name_constraints_are_enforced(issuer, now):
    constrained = issuer(name="constrained")
    constraint = x509.NameConstraints([x509.DNSName("example.net")], None)
    extensions = [(x509.BasicConstraints(ca=True, path_length=None), True), (constraint, True)]
    inner = issuer(name="inner", parent=constrained)
    certificate = inner._build(constrained, inner.name, inner.key.public_key(), -10, 365, extensions)
    der_inner = certificate.public_bytes(Encoding.DER)
    bad, _ = inner.issue(names=("gate.example.org",))
    good, _ = inner.issue(names=("gate.example.net",))
    assert "permitted subtree" in rejected([bad, der_inner], [constrained.der], now)
    validate_chain([good, der_inner], [constrained.der], now, parse_identity("gate.example.net"))


def test_unknown_critical_extensions_are_refused(root, now):
    der, _ = root.issue(critical_unknown=True)
    assert "critical" in rejected([der], [root.der], now)


def test_a_damaged_signature_is_refused(root, now):
    der, _ = root.issue()
    damaged = der[:-1] + bytes((der[-1] ^ 1,))
    assert "signature" in rejected([damaged], [root.der], now)


def test_weak_signature_hashes_are_refused_below_the_anchor(now):
    folder = Path(__file__).parent.parent / "vectors" / "sha1"
    ca, strong, weak, md5 = (
        read_certificates((folder / f"{name}.pem").read_bytes())[0] for name in ("ca", "strong", "weak", "md5")
    )
    later = now + timedelta(days=365)
    validate_chain([strong], [ca], later, GATE)
    assert "signed with sha1" in rejected([weak], [ca], later)
    rejected([md5], [ca], later)


def test_short_rsa_keys_are_refused(root, now):
    der, _ = root.issue("rsa-1024")
    assert "1024" in rejected([der], [root.der], now)


def test_short_rsa_keys_are_refused_in_the_middle_of_a_chain(issuer, root, now):
    middle = issuer("rsa-1024", name="middle", parent=root)
    der, _ = middle.issue()
    reason = rejected([der, middle.der], [root.der], now)
    assert "1024" in reason and "middle" in reason


def test_keys_that_cannot_sign_are_refused(root, now):
    public = x25519.X25519PrivateKey.generate().public_key()
    names = x509.SubjectAlternativeName([x509.DNSName("gate.example.org")])
    certificate = root._build(root, root.name, public, -1, 30, [(names, False)])
    der = certificate.public_bytes(Encoding.DER)
    assert "cannot sign" in rejected([der], [root.der], now)


IPSEC_IKE = ObjectIdentifier("1.3.6.1.5.5.7.3.17")


@pytest.mark.parametrize(
    ("purposes", "accepted"),
    [
        ([IPSEC_IKE], True),
        ([ExtendedKeyUsageOID.SERVER_AUTH], True),
        ([ExtendedKeyUsageOID.CLIENT_AUTH], True),
        ([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE], True),
        ([ExtendedKeyUsageOID.CODE_SIGNING, IPSEC_IKE], True),
        ([ExtendedKeyUsageOID.CODE_SIGNING], False),
        ([ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.TIME_STAMPING], False),
    ],
)
def test_extended_key_usage(root, now, purposes, accepted):
    der, key = root.issue(extra=[(x509.ExtendedKeyUsage(purposes), True)])
    if accepted:
        assert validate_chain([der], [root.der], now, GATE) == key.public_key()
    else:
        assert "EKU" in rejected([der], [root.der], now)


@pytest.mark.parametrize(
    ("bits", "accepted"),
    [
        ({"digital_signature": True}, True),
        ({"content_commitment": True}, True),
        ({"key_encipherment": True}, False),
        ({"key_agreement": True}, False),
    ],
)
def test_key_usage(root, now, bits, accepted):
    der, key = root.issue(extra=[(usage(**bits), True)])
    if accepted:
        assert validate_chain([der], [root.der], now, GATE) == key.public_key()
    else:
        assert "signatures" in rejected([der], [root.der], now)


@pytest.mark.parametrize(
    ("identity", "accepted"),
    [
        ("gate.example.org", True),
        ("GATE.example.ORG", True),
        ("alice@example.org", True),
        ("192.0.2.7", True),
        ("2001:db8::7", True),
        ("CN=gate", True),
        ("gate", False),
        ("other.example.org", False),
        ("example.org", False),
        ("a.gate.example.org", False),
        ("192.0.2.8", False),
        ("@192.0.2.7", False),
        ("alice@example.net", False),
        ("CN=root", False),
        ("CN=gate, O=x", False),
        ("@#00", False),
    ],
)
def test_the_identity_has_to_be_named(root, now, identity, accepted):
    names = (
        "gate.example.org",
        x509.RFC822Name("alice@example.org"),
        x509.IPAddress(ip_address("192.0.2.7")),
        x509.IPAddress(ip_address("2001:db8::7")),
    )
    der, key = root.issue(names=names)
    if accepted:
        assert validate_chain([der], [root.der], now, parse_identity(identity)) == key.public_key()
    else:
        assert "does not name the identity" in rejected([der], [root.der], now, parse_identity(identity))


def test_wildcards_in_certificates_are_no_wildcards_here(root, now):
    der, _ = root.issue(names=("*.example.org",))
    assert "does not name" in rejected([der], [root.der], now)


def test_the_key_identifier_is_an_identity(root, now):
    identifier = x509.SubjectKeyIdentifier(b"\x01\x02\x03\x04")
    der, key = root.issue(extra=[(identifier, False)])
    assert validate_chain([der], [root.der], now, parse_identity("@#01020304")) == key.public_key()


def test_an_empty_subject_is_not_an_empty_name(root, now):
    der, _ = root.issue(subject="")
    rejected([der], [root.der], now, Identity(9, b"\x30\x00"))
    rejected([der], [root.der], now, Identity(9, b""))
    rejected([der], [root.der], now, Identity(2, b""))


@pytest.mark.parametrize(
    "rubbish", [b"", b"\x30", b"\x30\x03\x02\x01\x00", bytes(2000), b"-----BEGIN CERTIFICATE-----"]
)
def test_rubbish_is_refused_in_every_place(root, now, rubbish):
    der, _ = root.issue()
    rejected([rubbish], [root.der], now)
    rejected([der, rubbish], [root.der], now)
    rejected([der], [rubbish], now)


def test_too_much_is_refused(root, now):
    der, _ = root.issue()
    assert "too many" in rejected([der] * 17, [root.der], now)
    assert "too large" in rejected([bytes(1 << 17)], [root.der], now)


def test_every_truncation_is_refused(root, now):
    der, _ = root.issue()
    for length in range(0, len(der), 7):
        rejected([der[:length]], [root.der], now)


def test_the_reason_names_the_subject(root, now):
    der, _ = root.issue()
    assert "CN=gate" in rejected([der], [root.der], now + timedelta(days=300))


@pytest.mark.parametrize("place", ["end entity", "intermediate", "anchor"])
def test_every_damaged_octet_is_refused_or_harmless(issuer, root, now, place):
    """Whatever a peer sends, the answer is a key or a `CertificateRejected`, and a damaged end entity never passes."""
    middle = issuer(name="middle", parent=root)
    der, key = middle.issue(names=("gate.example.org", x509.RFC822Name("a@x")))
    chain = {"end entity": der, "intermediate": middle.der, "anchor": root.der}
    for position in range(len(chain[place])):
        for change in (0x01, 0x80, 0xFF):
            damaged = bytearray(chain[place])
            damaged[position] ^= change
            bent = {**chain, place: bytes(damaged)}
            try:
                found = validate_chain([bent["end entity"], bent["intermediate"]], [bent["anchor"]], now, GATE)
            except CertificateRejected:
                continue
            assert place != "end entity"
            assert found == key.public_key()
