"""Revocation lists: who is on one is refused, and so is everybody of an issuer whose list has run out."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from rhp.pki.chain import CertificateRejected, Trust, verify_chain
from rhp.pki.identity import parse_identity
from rhp.pki.revocation import holds_crl, holds_only_crls, read_crls
from rhp.pki.verified import LONGEST, VerifiedChains

GATE = parse_identity("gate.example.org")


def crl(ca, now, revoked=(), *, days=7, signer=None, encoding=Encoding.DER):
    """A list of `ca` over these certificates (DER), signed by itself unless somebody else forges it."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca.name)
        .last_update(now - timedelta(days=10))
        .next_update(now + timedelta(days=days))
    )
    for der in revoked:
        serial = x509.load_der_x509_certificate(der).serial_number
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - timedelta(days=1)).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign((signer or ca).key, hashes.SHA256()).public_bytes(encoding)


def refused(ders, trust, now):
    with pytest.raises(CertificateRejected) as caught:
        verify_chain(ders, trust, now)
    return caught.value.reason


def test_who_is_on_the_list_is_refused(root, now):
    good, _ = root.issue()
    bad, _ = root.issue()
    trust = Trust((root.der,), (), (crl(root, now, [bad]),))
    verify_chain((good,), trust, now)
    assert refused((bad,), trust, now) == "the certificate of CN=gate was revoked by its issuer"


def test_a_ca_on_the_way_may_be_revoked(issuer, root, now):
    middle = issuer(name="middle", parent=root)
    der, _ = middle.issue()
    trust = Trust((root.der,), (), (crl(root, now, [middle.der]), crl(middle, now)))
    assert "CN=middle was revoked" in refused((der, middle.der), trust, now)
    # Who trusts the CA in the middle by itself has nobody above it to ask.
    verify_chain((der,), Trust((middle.der,), (), trust.crls), now)


def test_a_list_that_has_run_out_refuses_all(root, now):
    der, _ = root.issue()
    trust = Trust((root.der,), (), (crl(root, now, days=-1),))
    said = refused((der,), trust, now)
    assert said == f"the revocation list of CN=root ended on {now - timedelta(days=1):%Y-%m-%d}; fetch a new one"


def test_lists_of_others_say_nothing(issuer, root, now):
    der, _ = root.issue()
    stranger = issuer(name="stranger")
    forged = crl(root, now, [der], signer=stranger)
    verify_chain((der,), Trust((root.der,), (), (crl(stranger, now, [der]), forged)), now)


def test_what_is_remembered_ends_with_the_list(root, now):
    der, _ = root.issue()
    chains = VerifiedChains()
    short = crl(root, now + timedelta(minutes=1), days=0)
    chains.validate((der,), (root.der,), now, GATE, (), (short,))
    with pytest.raises(CertificateRejected, match="revocation list of CN=root ended"):
        chains.validate((der,), (root.der,), now + timedelta(minutes=2), GATE, (), (short,))
    # Another list is another question, at once.
    chains.validate((der,), (root.der,), now, GATE, (), (crl(root, now),))
    with pytest.raises(CertificateRejected, match="was revoked"):
        chains.validate((der,), (root.der,), now + LONGEST / 2, GATE, (), (crl(root, now, [der]),))


def test_intermediates_that_the_peer_need_not_send(issuer, root, now):
    middle = issuer(name="middle", parent=root)
    der, _ = middle.issue()
    assert refused((der,), Trust((root.der,)), now)
    assert verify_chain((der,), Trust((root.der,), (middle.der,)), now).certificate.serial_number
    # They lead to an anchor and are none themselves.
    assert refused((der,), Trust((), (middle.der, root.der)), now)


def test_lists_in_files(root, now):
    one, other = (crl(root, now, encoding=Encoding.PEM) for _ in range(2))
    assert holds_crl(one) and holds_only_crls(one + other)
    assert len(read_crls(one + b"between\n" + other, "lists.pem")) == 2
    both = root.certificate.public_bytes(Encoding.PEM) + one
    assert holds_crl(both) and not holds_only_crls(both)
    with pytest.raises(ValueError, match=r"lists\.pem: the revocation list cannot be read"):
        read_crls(one.replace(b"M", b"!"), "lists.pem")
