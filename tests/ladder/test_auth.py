"""Authentication: who may, who may not, and what each side says about it."""

from dataclasses import replace

import pytest
from ladder_net import LadderNet
from ladder_world import authority, config, connection, der, node_credentials, psk_policy, pubkey_side

from rhp.guard.policy import GuardPolicy, PrivateKey, PskSecret
from rhp.guard.secrets import SecretStore
from rhp.ike.errors import Fault
from rhp.ike.events import AuthenticationFailed, HandshakeRefused, IkeClosed, IkeEstablished, InitiationFailed
from rhp.ike.tasks.auth import SignatureHashes
from rhp.pki.identity import parse_identity

A, B = "a.example.org", "b.example.org"


def assert_refused(link, refuser, reason):
    """One side refused the other: both say so with the identity, nobody keeps anything, no secret is told."""
    other = link.other(refuser)
    (told,) = refuser.happened(AuthenticationFailed)
    assert (told.reason, told.fault) == (reason, Fault.PEER)
    (heard,) = other.happened(AuthenticationFailed)
    assert heard.reason == "refused-by-peer"
    link.advance(1)
    assert link.a.states() == link.b.states() == []
    assert link.a.sas == link.b.sas == {}
    assert len(link.a.happened(InitiationFailed)) == 1
    for side in (link.a, link.b):
        text = repr(side.events)
        assert "a key that both know" not in text and "another key" not in text
    return told, heard


def test_wrong_key_seen_by_the_responder(ladder):
    link = ladder(policy_a=psk_policy(b"another key")).establish()
    told, heard = assert_refused(link, link.b, "wrong-key")
    assert told.peer == parse_identity("a@x")
    assert "a@x" in told.detail
    assert heard.peer == parse_identity("b@x")
    assert len(link.b.happened(HandshakeRefused)) == 1
    assert link.a.happened(IkeEstablished) == link.b.happened(IkeEstablished) == []
    assert link.a.happened(InitiationFailed)[0].reason == "peer-said-authentication-failed"


def test_wrong_key_seen_by_the_initiator(ladder):
    # b accepts what a proves, but proves itself with another key.
    class Liar(type(LadderNet().b.guard)):
        def prove(self, question):
            answer = super().prove(question)
            return type(answer)(answer.method, bytes(len(answer.data)))

    link = ladder()
    link.b.guard = Liar(psk_policy())
    link.establish()
    told, heard = assert_refused(link, link.a, "wrong-key")
    assert told.peer == parse_identity("b@x")
    assert heard.peer == parse_identity("a@x")
    # The responder believed in the IKE SA until the initiator took it back.
    assert len(link.b.happened(IkeEstablished)) == 1
    assert len(link.b.happened(IkeClosed)) == 1


def test_peer_with_an_unknown_identity(ladder):
    link = ladder(a=config(connection("stranger@y", "b@x"))).establish()
    told, _ = assert_refused(link, link.b, "unknown-identity")
    assert "stranger@y" in told.detail


def test_responder_is_somebody_else(ladder):
    # a does not name whom it wants, so b answers; then its identity does not fit.
    link = ladder(a=config(connection("a@x", "*.example.org"))).establish()
    told, _ = assert_refused(link, link.a, "wrong-identity")
    assert "b@x" in told.detail and "*.example.org" in told.detail


def test_initiator_wants_somebody_else(ladder):
    link = ladder(a=config(connection("a@x", "c@x"))).establish()
    told, _ = assert_refused(link, link.b, "unknown-identity")
    assert "c@x" in told.detail


def test_guard_has_no_key_for_us(ladder):
    link = ladder(policy_a=GuardPolicy())
    link.initiate()
    link.settle()
    (failed,) = link.a.happened(AuthenticationFailed)
    assert (failed.reason, failed.fault) == ("no-own-proof", Fault.LOCAL)
    (failed,) = link.a.happened(InitiationFailed)
    assert failed.fault is Fault.LOCAL
    assert link.a.states() == []


def test_responders_guard_has_no_key(ladder):
    policy = GuardPolicy(psks=(PskSecret("t", remote_id="c@x", key=b"for somebody else"),))
    link = ladder(policy_b=policy).establish()
    told, _ = assert_refused(link, link.b, "wrong-key")
    assert "no pre-shared key" in told.detail


@pytest.mark.parametrize("key_type", ["ecdsa-p256", "ecdsa-p384", "rsa-2048", "ed25519"])
def test_certificates(ladder, key_type):
    a, policy_a = pubkey_side(A, B, key_type=key_type)
    b, policy_b = pubkey_side(B, A, key_type=key_type)
    link = ladder(config(a), config(b), policy_a, policy_b).establish()
    assert link.a.states() == link.b.states() == ["established"]
    link.check_pairs()
    assert link.b.status().peer == parse_identity(A)


@pytest.mark.parametrize(("key_type", "method"), [("ecdsa-p256", 9), ("ecdsa-p384", 10), ("rsa-2048", 1)])
def test_certificates_with_the_older_methods(ladder, monkeypatch, key_type, method):
    # Peers that know nothing of RFC 7427 announce no hashes.
    monkeypatch.setattr(SignatureHashes, "build", lambda self, turn: None)
    a, policy_a = pubkey_side(A, B, key_type=key_type)
    b, policy_b = pubkey_side(B, A, key_type=key_type)
    link = ladder(config(a), config(b), policy_a, policy_b)
    methods = []
    for side in (link.a, link.b):
        sign = side.guard.sign
        monkeypatch.setattr(side, "answer_guard", lambda asked, sign=sign: methods.append(sign(asked)) or methods[-1])
    link.establish()
    assert link.a.states() == link.b.states() == ["established"]
    assert [proof.method for proof in methods] == [method, method]


def test_sha_1_is_refused_where_both_sides_announced_better(ladder, monkeypatch):
    a, policy_a = pubkey_side(A, B, key_type="rsa-2048")
    b, policy_b = pubkey_side(B, A, key_type="rsa-2048")
    link = ladder(config(a), config(b), policy_a, policy_b)
    sign = link.a.guard.sign
    monkeypatch.setattr(link.a, "answer_guard", lambda asked: sign(replace(asked, peer_hashes=None)))
    link.establish()
    told, _ = assert_refused(link, link.b, "wrong-signature")
    assert "SHA-1" in told.detail


def test_expired_certificate(ladder):
    a, policy_a = pubkey_side(A, B, days=10, began=-20)
    b, policy_b = pubkey_side(B, A)
    link = ladder(config(a), config(b), policy_a, policy_b).establish()
    told, heard = assert_refused(link, link.b, "certificate-rejected")
    assert "expired" in told.detail
    # It may have ended while the node ran: its own log says so.
    assert "a certificate of ours ended on" in heard.detail


def test_certificate_that_is_not_valid_yet(ladder):
    a, policy_a = pubkey_side(A, B)
    b, policy_b = pubkey_side(B, A, began=5)
    link = ladder(config(a), config(b), policy_a, policy_b).establish()
    told, heard = assert_refused(link, link.a, "certificate-rejected")
    assert "not yet valid" in told.detail
    assert "a certificate of ours begins on" in heard.detail


def test_unknown_ca(ladder):
    a, policy_a = pubkey_side(A, B, issued_by="somebody's CA")
    b, policy_b = pubkey_side(B, A)
    link = ladder(config(a), config(b), policy_a, policy_b).establish()
    assert_refused(link, link.b, "certificate-rejected")


def test_certificate_of_somebody_else(ladder):
    own = node_credentials("mallory.example.org")
    a = connection(A, B, auth="pubkey", chain=(der(own.certificate),), cas=(der(authority().certificate),))
    policy_a = GuardPolicy(keys=(PrivateKey("t", pem=own.private_key),))
    b, policy_b = pubkey_side(B, A)
    link = ladder(config(a), config(b), policy_a, policy_b).establish()
    told, _ = assert_refused(link, link.b, "certificate-rejected")
    assert "does not name" in told.detail


def test_certificate_without_its_key(ladder):
    right, wrong = node_credentials(A), node_credentials("mallory.example.org")
    a = connection(A, B, auth="pubkey", chain=(der(right.certificate),), cas=(der(authority().certificate),))
    policy_a = GuardPolicy(keys=(PrivateKey("t", pem=wrong.private_key),))
    b, policy_b = pubkey_side(B, A)
    link = ladder(config(a), config(b), policy_a, policy_b).establish()
    assert_refused(link, link.b, "wrong-signature")


def test_a_remembered_chain_proves_nothing_by_itself(ladder):
    # a was here a minute ago, so b has its chain verified already:
    #   a, with another's key --> b    HDR, SK {IDi = a, CERT of a, AUTH}
    #   a <-- b                        HDR, SK {N(AUTHENTICATION_FAILED)}
    a, policy_a = pubkey_side(A, B)
    b, policy_b = pubkey_side(B, A)
    link = ladder(config(a), config(b), policy_a, policy_b).establish()
    assert link.b.states() == ["established"]
    link.call(link.a, "close_all")
    link.settle()
    for side in (link.a, link.b):
        side.events.clear()
    assert len(link.b.engine._ctx.chains) == 1
    wrong = node_credentials("mallory.example.org").private_key
    link.a.guard = SecretStore(GuardPolicy(keys=(PrivateKey("t", pem=wrong),)))
    link.establish()
    assert_refused(link, link.b, "wrong-signature")


def test_no_certificate_at_all(ladder):
    own = node_credentials(A)
    a = connection(A, B, auth="pubkey", chain=(), cas=(der(authority().certificate),))
    policy_a = GuardPolicy(keys=(PrivateKey("t", pem=own.private_key),))
    b, policy_b = pubkey_side(B, A)
    link = ladder(config(a), config(b), policy_a, policy_b).establish()
    assert_refused(link, link.b, "certificate-rejected")


def test_key_where_a_certificate_is_expected(ladder):
    b, policy_b = pubkey_side(B, A)
    link = ladder(config(connection(A, B)), config(b), policy_b=policy_b).establish()
    told, _ = assert_refused(link, link.b, "wrong-method")
    assert "pubkey" in told.detail


def test_certificate_where_a_key_is_expected(ladder):
    a, policy_a = pubkey_side(A, B)
    link = ladder(config(a), config(connection(B, A)), policy_a=policy_a).establish()
    assert_refused(link, link.b, "wrong-method")


def test_connection_is_found_by_method(ladder):
    b, policy_b = pubkey_side(B, A)
    policy = GuardPolicy(psks=(PskSecret("k", key=b"a key that both know"),), keys=policy_b.keys)
    link = ladder(config(connection(A, B)), config(b, connection(B, A, name="k")), policy_b=policy).establish()
    assert link.b.status().connection == "k"
    assert link.a.states() == ["established"]
