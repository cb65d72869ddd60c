"""NULL authentication (RFC 7619): strangers are let in where a connection says so, and nowhere else."""

from dataclasses import replace

import pytest
from ladder_auth import A, B, meet, side, swap, tampered
from ladder_world import authority, config, connection, der, psk_policy

from rhp.crypto.auth import psk_auth
from rhp.guard.policy import GuardPolicy
from rhp.ike.config import RemoteAuth
from rhp.ike.events import AuthenticationFailed, IkeClosed, IkeEstablished
from rhp.pki.identity import ANONYMOUS, parse_identity
from rhp.realm.pattern import IdentityPattern
from rhp.wire.auth import AUTH
from rhp.wire.iana import AuthMethod, IdType, NotifyType
from rhp.wire.identity import IDi, IDr
from rhp.wire.notify import Notify


def shop(ladder, *others, policy=None, c=None):
    """b proves itself by certificate and lets anybody in; a is nobody, and so is c."""
    a, policy_a = side("null", "pubkey")
    b, policy_b = side("pubkey", "null", name=B)
    own = policy_b if policy is None else GuardPolicy(psks=policy.psks, keys=policy_b.keys)
    return ladder(config(a), config(b, *others), policy_a, own, c=config(a) if c else None, policy_c=policy_a)


def test_the_proof_is_made_of_the_key_exchange(ladder):
    link = meet(ladder, "null", "null")
    link.initiate()
    link.deliver(), link.deliver()
    request = link.read(link.flight[0])
    shake = link.a.sa().shake
    assert (request.first(IDi).id_type, request.first(IDi).data) == (IdType.NULL, b"")
    assert request.first(IDr) is None
    assert request.notify(NotifyType.INITIAL_CONTACT) is None
    prf = link.a.sa().agreed.prf
    octets = shake.message_i + shake.nonce_r + prf.prf(shake.sk_pi.expose(), request.first(IDi).build())
    assert request.first(AUTH) == AUTH(AuthMethod.NULL, psk_auth(prf, shake.sk_pi, octets))
    link.settle()
    link.check_established()
    assert link.a.questions == link.b.questions == []


def test_strangers_are_different_peers(ladder):
    """Two without a name, and one of them anew: nobody replaces anybody, whatever INITIAL_CONTACT says."""
    link = shop(ladder, c=True)
    link.initiate(link.a)
    link.initiate(link.c, to=link.b)
    link.settle()
    assert [one.peer for one in link.b.engine.status()] == [ANONYMOUS, ANONYMOUS]
    link.a.restart()
    tampered(link, lambda payloads: [*payloads, Notify(NotifyType.INITIAL_CONTACT)])
    assert link.b.states() == ["established"] * 3
    assert link.b.happened(IkeClosed) == []
    assert link.c.states() == ["established"]
    link.call(link.c, "rekey_ike", link.c.status().ike_id)
    link.settle()
    assert link.b.states() == ["established"] * 3
    # What a left behind is found by the next checks for life.
    link.advance(200)
    assert link.b.states() == ["established"] * 2
    link.call(link.b, "close_all")
    link.settle()
    link.advance(200)
    link.check_empty()


def test_a_nameless_peer_replaces_no_named_one(ladder):
    """The connection "t" is for strangers; the one for %any with a key is none of theirs, nor they its."""
    keyed = connection(B, "%any", name="keyed")
    c = config(connection("c@x", B))
    a, policy_a = side("null", "pubkey")
    b, policy_b = side("pubkey", "null", name=B)
    both = GuardPolicy(psks=psk_policy(b"a key that both know", "keyed").psks, keys=policy_b.keys)
    link = ladder(config(a), config(keyed, b), policy_a, both, c=c)
    link.initiate(link.c, to=link.b)
    link.initiate(link.a)
    link.settle()
    assert {one.connection: one.peer for one in link.b.engine.status()} == {
        "keyed": parse_identity("c@x"),
        "t": ANONYMOUS,
    }
    assert link.b.happened(IkeClosed) == []


@pytest.mark.parametrize("pattern", ["%any", "*.example.org", "*@x", A])
@pytest.mark.parametrize("kind", ["psk", "pubkey"])
def test_nothing_else_lets_a_nameless_peer_in(ladder, pattern, kind):
    a, policy_a = side("null", "psk")
    b, policy_b = side("psk", kind, name=B, pattern=pattern)
    link = ladder(config(a), config(b), policy_a, policy_b).establish()
    (told,) = link.b.happened(AuthenticationFailed)
    assert told.reason == "unknown-identity"
    assert link.b.states() == link.a.states() == []


def null_with(identity):
    """What a would send as `identity`, proved by NULL: the proof is right for that ID payload."""

    def change(payloads, link):
        sa = link.a.sa()
        shake, prf, claimed = sa.shake, sa.agreed.prf, IDi(identity.id_type, identity.data)
        octets = shake.message_i + shake.nonce_r + prf.prf(shake.sk_pi.expose(), claimed.build())
        proof = AUTH(AuthMethod.NULL, psk_auth(prf, shake.sk_pi, octets))
        kept = [one for one in payloads if not isinstance(one, IDi | AUTH)]
        return [claimed, proof, *kept]

    return change


@pytest.mark.parametrize("kind", ["psk", "pubkey", "null"])
@pytest.mark.parametrize("pattern", ["%any", A])
def test_a_name_is_not_proved_by_nothing(ladder, kind, pattern):
    """A stranger calls itself a.example.org, which only a key or a certificate makes it."""
    b, policy_b = side("psk", kind, name=B, pattern=pattern)
    link = ladder(config(connection(A, B)), config(b), None, policy_b)
    tampered(link, lambda payloads: null_with(parse_identity(A))(payloads, link))
    (told,) = link.b.happened(AuthenticationFailed)
    assert told.reason == ("wrong-method" if kind != "null" else "unknown-identity")
    assert link.b.happened(IkeEstablished) == []
    assert link.b.states() == []


@pytest.mark.parametrize("data", [b"x", b"a.example.org", bytes(5000)])
def test_a_name_hidden_in_id_null_is_none(ladder, data):
    link = shop(ladder)
    tampered(link, swap(IDi, lambda one: IDi(IdType.NULL, data)))
    (told,) = link.b.happened(AuthenticationFailed)
    assert told.reason == "no-identity"
    assert link.b.states() == []


@pytest.mark.parametrize("method", [AuthMethod.SHARED_KEY, AuthMethod.DIGITAL_SIGNATURE, AuthMethod.RSA_SIGNATURE])
def test_id_null_with_another_method_is_nobody(ladder, method):
    link = shop(ladder, connection(B, "%any", name="keyed"), policy=psk_policy(b"x" * 16, "keyed"))
    tampered(link, swap(AUTH, lambda one: AUTH(method, one.data)))
    (told,) = link.b.happened(AuthenticationFailed)
    assert told.reason == "no-identity"


@pytest.mark.parametrize("data", [b"", b"x", bytes(32), bytes(33)], ids=["empty", "one", "zeros", "long"])
@pytest.mark.parametrize("response", [False, True])
def test_a_wrong_null_proof(ladder, data, response):
    link = tampered(meet(ladder, "null", "null"), swap(AUTH, lambda one: AUTH(one.method, data)), response=response)
    judge = link.a if response else link.b
    (told,) = judge.happened(AuthenticationFailed)
    assert told.reason == "wrong-null-proof"
    assert told.peer == ANONYMOUS
    link.advance(5)
    assert link.a.states() == link.b.states() == []


def test_a_responder_without_a_name_where_one_is_expected(ladder):
    """a asks for anybody that a CA vouches for; b, or who stands in for it, answers with ID_NULL and NULL."""
    a, policy_a = side("null", "pubkey", pattern="%any")
    b, policy_b = side("null", "null", name=B)
    link = ladder(config(a), config(b), policy_a, policy_b).establish()
    (told,) = link.a.happened(AuthenticationFailed)
    assert told.reason == "wrong-identity"
    link.advance(5)
    assert link.a.states() == link.b.states() == []


def test_a_responder_with_a_name_where_none_is_expected(ladder):
    """The connection that trusts nobody is not one by which a certificate is looked at."""
    a, policy_a = side("null", "null")
    b, policy_b = side("pubkey", "null", name=B)
    link = ladder(config(a), config(b), policy_a, policy_b).establish()
    (told,) = link.a.happened(AuthenticationFailed)
    assert told.reason == "wrong-identity"
    assert "%null" in told.detail


def test_named_and_nameless_clients_of_one_gate(ladder):
    """The same address serves both: a is known by its certificate, c is nobody, and each gets its own connection."""
    a, policy_a = side("pubkey", "pubkey")
    c, _ = side("null", "pubkey")
    known, policy_b = side("pubkey", "pubkey", name=B, peer=A, label="known")
    guests, policy_guests = side("pubkey", "null", name=B, label="guests")
    both = GuardPolicy(keys=policy_b.keys + policy_guests.keys)
    link = ladder(config(a), config(guests, known), policy_a, both, c=config(c))
    link.initiate(link.a)
    link.initiate(link.c, to=link.b)
    link.settle()
    assert {one.connection: one.peer for one in link.b.engine.status()} == {
        "known": parse_identity(A),
        "guests": ANONYMOUS,
    }


def test_the_setting_decides_and_not_the_pattern(ladder):
    """A connection for %null whose method is a certificate lets no stranger in: the method is checked by itself."""
    b, policy_b = side("pubkey", "null", name=B)
    cas = (der(authority("ladder CA").certificate),)
    odd = replace(b, remote=RemoteAuth("pubkey", IdentityPattern.parse("%null"), cas))
    a, policy_a = side("null", "pubkey")
    link = ladder(config(a), config(odd), policy_a, policy_b).establish()
    (told,) = link.b.happened(AuthenticationFailed)
    assert told.reason == "wrong-method"
