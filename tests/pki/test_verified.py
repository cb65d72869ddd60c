"""Chains that are remembered: what is not verified twice, and everything that has to be."""

from datetime import timedelta, timezone

import pytest

from rhp.pki import verified
from rhp.pki.chain import CertificateRejected
from rhp.pki.identity import parse_identity
from rhp.pki.verified import LONGEST, VerifiedChains

GATE = parse_identity("gate.example.org")


@pytest.fixture
def chains():
    return VerifiedChains()


@pytest.fixture
def verifications(monkeypatch):
    """The rows of certificates that were really verified."""
    seen = []

    def counted(ders, *rest):
        seen.append(tuple(ders))
        return real(ders, *rest)

    real = verified.verify_chain
    monkeypatch.setattr(verified, "verify_chain", counted)
    return seen


def test_a_chain_that_comes_again_is_verified_once(chains, issuer, root, now, verifications):
    middle = issuer(name="middle", parent=root)
    der, key = middle.issue()
    for seconds in (0, 1, 200):
        moment = now + timedelta(seconds=seconds)
        assert chains.validate((der, middle.der), (root.der,), moment, GATE) == key.public_key()
    assert verifications == [(der, middle.der)]


def test_it_is_verified_again_when_some_minutes_have_passed(chains, root, now, verifications):
    der, key = root.issue()
    for moment in (now, now + LONGEST, now + LONGEST + timedelta(seconds=1)):
        assert chains.validate((der,), (root.der,), moment, GATE) == key.public_key()
    assert len(verifications) == 2
    assert len(chains) == 1


def test_nothing_is_kept_beyond_the_end_of_the_peers_certificate(chains, root, now):
    der, _ = root.issue(start=0, days=1)
    end = now + timedelta(days=1)
    chains.validate((der,), (root.der,), end - timedelta(seconds=2), GATE)
    with pytest.raises(CertificateRejected, match="expired"):
        chains.validate((der,), (root.der,), end + timedelta(seconds=1), GATE)
    assert len(chains) == 0


def test_nothing_is_kept_beyond_the_end_of_an_intermediate_or_of_the_anchor(chains, issuer, root, now):
    middle, anchor = issuer(name="middle", parent=root, start=-1, days=2), issuer(start=-1, days=2)
    end = now + timedelta(days=1)
    below_middle, below_anchor = middle.issue(days=300)[0], anchor.issue(days=300)[0]
    for ders, trusted in (((below_middle, middle.der), (root.der,)), ((below_anchor,), (anchor.der,))):
        chains.validate(ders, trusted, end - timedelta(seconds=2), GATE)
        with pytest.raises(CertificateRejected, match="expired"):
            chains.validate(ders, trusted, end + timedelta(seconds=1), GATE)


def test_a_clock_that_was_set_back_is_believed(chains, root, now):
    der, _ = root.issue(start=0, days=10)
    chains.validate((der,), (root.der,), now + timedelta(minutes=1), GATE)
    with pytest.raises(CertificateRejected, match="not yet valid"):
        chains.validate((der,), (root.der,), now - timedelta(minutes=1), GATE)


def test_time_zones_are_respected(chains, root, now, verifications):
    der, _ = root.issue()
    chains.validate((der,), (root.der,), now.astimezone(timezone(timedelta(hours=9))), GATE)
    chains.validate((der,), (root.der,), (now + timedelta(minutes=1)).replace(tzinfo=None), GATE)
    assert len(verifications) == 1


def test_other_anchors_are_another_question(chains, issuer, root, now):
    der, _ = root.issue()
    other = issuer(name="other")
    chains.validate((der,), (root.der,), now, GATE)
    for trusted in ((), (other.der,)):
        with pytest.raises(CertificateRejected):
            chains.validate((der,), trusted, now, GATE)


def test_the_identity_is_looked_at_every_time(chains, root, now):
    der, _ = root.issue()
    chains.validate((der,), (root.der,), now, GATE)
    with pytest.raises(CertificateRejected, match=r"does not name the identity gate\.example\.net"):
        chains.validate((der,), (root.der,), now, parse_identity("gate.example.net"))


def test_a_damaged_certificate_is_not_taken_for_the_one_that_was_verified(chains, root, now):
    der, _ = root.issue()
    chains.validate((der,), (root.der,), now, GATE)
    for position in range(len(der)):
        damaged = bytearray(der)
        damaged[position] ^= 1
        with pytest.raises(CertificateRejected):
            chains.validate((bytes(damaged),), (root.der,), now, GATE)


def test_where_one_certificate_ends_and_the_next_begins_counts(chains, issuer, root, now):
    middle = issuer(name="middle", parent=root)
    der, _ = middle.issue()
    chains.validate((der, middle.der), (root.der,), now, GATE)
    with pytest.raises(CertificateRejected):
        chains.validate((der + middle.der,), (root.der,), now, GATE)
    with pytest.raises(CertificateRejected):
        chains.validate((middle.der, der), (root.der,), now, GATE)


def test_a_failure_is_never_kept(chains, issuer, root, now, verifications):
    other = issuer(name="root")
    der, _ = other.issue()
    for _ in range(2):
        with pytest.raises(CertificateRejected):
            chains.validate((der,), (root.der,), now, GATE)
    assert len(verifications) == 2
    assert len(chains) == 0


def test_the_oldest_goes_when_there_are_too_many(chains, root, now, verifications, monkeypatch):
    monkeypatch.setattr(verified, "MOST", 3)
    ders = [root.issue()[0] for _ in range(4)]
    for der in ders:
        chains.validate((der,), (root.der,), now, GATE)
    assert len(chains) == 3
    chains.validate((ders[3],), (root.der,), now, GATE)
    assert len(verifications) == 4
    chains.validate((ders[0],), (root.der,), now, GATE)
    assert len(verifications) == 5
