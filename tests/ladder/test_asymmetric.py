"""Each side proves itself in its own way (RFC 7296 section 2.15): every combination, and peers that use another one."""

from dataclasses import replace
from itertools import product

import pytest
from ladder_auth import A, B, meet, side, swap, tampered
from ladder_world import config
from test_auth import assert_refused

from rhp.ike.events import AuthenticationFailed, IkeEstablished
from rhp.pki.identity import ANONYMOUS, parse_identity
from rhp.wire.auth import AUTH
from rhp.wire.cert import CERT
from rhp.wire.certreq import CERTREQ
from rhp.wire.iana import AuthMethod

KINDS = ("psk", "pubkey", "null")
NUMBERS = {"psk": AuthMethod.SHARED_KEY, "pubkey": AuthMethod.DIGITAL_SIGNATURE, "null": AuthMethod.NULL}


@pytest.mark.parametrize(("ours", "theirs"), list(product(KINDS, KINDS)))
@pytest.mark.parametrize("who", ["a", "b"])
def test_every_combination(ladder, ours, theirs, who):
    link = meet(ladder, ours, theirs)
    initiator, responder = (link.a, link.b) if who == "a" else (link.b, link.a)
    first, second = (ours, theirs) if who == "a" else (theirs, ours)
    link.initiate(initiator)
    link.deliver(), link.deliver()

    # initiator --- IKE_AUTH: IDi [CERT] [CERTREQ] AUTH(first) ---> responder
    request = link.read(link.deliver())
    assert request.first(AUTH).method == NUMBERS[first]
    assert bool(request.all(CERT)) == (first == "pubkey")
    assert bool(request.all(CERTREQ)) == (second == "pubkey")
    # initiator <--- IKE_AUTH: IDr [CERT] AUTH(second) --- responder
    answer = link.read(link.deliver())
    assert answer.first(AUTH).method == NUMBERS[second]
    assert bool(answer.all(CERT)) == (second == "pubkey")
    link.settle()
    link.check_established()
    for who_knows, kind, name in ((link.b, ours, A), (link.a, theirs, B)):
        assert who_knows.status().peer == (ANONYMOUS if kind == "null" else parse_identity(name))
    assert responder.happened(AuthenticationFailed) == initiator.happened(AuthenticationFailed) == []

    # It is an IKE SA like any other: both kinds of rekey, and its end.
    link.call(initiator, "rekey_ike", initiator.status().ike_id)
    link.settle()
    link.call(responder, "rekey_child", responder.status().children[0].child_id)
    link.settle()
    link.check_established()
    link.call(responder, "close", responder.status().ike_id)
    link.settle()
    link.advance(100)
    link.check_empty()


@pytest.mark.parametrize(
    ("uses", "expected"), [(uses, expected) for uses, expected in product(KINDS, KINDS) if uses != expected]
)
def test_responder_meets_another_proof_than_it_expects(ladder, uses, expected):
    a, policy_a = side(uses, "psk")
    b, policy_b = side("psk", expected, name=B, peer=A)
    link = ladder(config(a), config(b), policy_a, policy_b).establish()
    # A named peer is told from a nameless one before its method is looked at.
    nameless = "null" in (uses, expected)
    told, _ = assert_refused(link, link.b, "unknown-identity" if nameless else "wrong-method")
    assert nameless or expected in told.detail
    assert link.a.happened(IkeEstablished) == link.b.happened(IkeEstablished) == []


@pytest.mark.parametrize(
    ("uses", "expected"), [(uses, expected) for uses, expected in product(KINDS, KINDS) if uses != expected]
)
def test_initiator_meets_another_proof_than_it_expects(ladder, uses, expected):
    a, policy_a = side("psk", expected)
    b, policy_b = side(uses, "psk", name=B, peer=A)
    link = ladder(config(a), config(b), policy_a, policy_b).establish()
    nameless = "null" in (uses, expected)
    if uses == "null" and expected != "null":
        # a asks for b.example.org, and b serves nobody under that name.
        assert_refused(link, link.b, "unknown-identity")
        return
    told, _ = assert_refused(link, link.a, "wrong-identity" if nameless else "wrong-method")
    assert nameless or expected in told.detail


def lie(method):
    return swap(AUTH, lambda proof: AUTH(method, proof.data))


@pytest.mark.parametrize("method", [1, 9, 13, 14, 3, 0, 255])
def test_a_proof_under_another_method_s_name_is_refused(ladder, method):
    """Whoever rewrites the method, with the right data behind it, downgrades nothing."""
    link = tampered(meet(ladder, "psk", "pubkey"), lie(method))
    (told,) = link.b.happened(AuthenticationFailed)
    assert told.reason == "wrong-method"
    assert link.b.states() == []


@pytest.mark.parametrize("method", [2, 13, 9, 1, 10, 255])
def test_the_responder_s_proof_under_another_method_s_name_is_refused(ladder, method):
    link = tampered(meet(ladder, "psk", "pubkey"), lie(method), response=True)
    (told,) = link.a.happened(AuthenticationFailed)
    assert told.reason == ("wrong-method" if method in (2, 13) else "wrong-signature")
    link.advance(1)
    assert link.a.states() == link.b.states() == []
    assert link.a.sas == link.b.sas == {}


def test_a_key_for_one_direction_does_not_serve_the_other(ladder):
    """The guard of a side that proves itself by certificate makes no proof by key, whatever the node asks."""
    a, policy_a = side("pubkey", "psk")
    b, policy_b = side("psk", "pubkey", name=B, peer=A)
    as_key = replace(a, local=replace(a.local, method="psk"))
    link = ladder(config(as_key), config(b), policy_a, policy_b)
    link.initiate()
    link.settle()
    (failed,) = link.a.happened(AuthenticationFailed)
    assert failed.reason == "no-own-proof"
    assert "not our proof" in failed.detail


def test_the_connection_is_found_by_the_peer_s_proof(ladder):
    """Two connections for the same peer differ in how it proves itself; how we do then follows."""
    a, policy_a = side("psk", "pubkey")
    by_key, policy_key = side("pubkey", "psk", name=B, peer=A, label="key")
    by_cert, policy_cert = side("psk", "pubkey", name=B, peer=A, label="cert")
    both = type(policy_key)(psks=policy_key.psks + policy_cert.psks, keys=policy_key.keys)
    link = ladder(config(a), config(by_cert, by_key), policy_a, both).establish()
    link.check_established()
    assert link.b.status().connection == "key"
