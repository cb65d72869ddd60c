"""Tickets are bound to the shared keys behind their connection: with a new key the tickets of the old one are void."""

import asyncio
from dataclasses import replace

import pytest
from ladder_tickets import RESUME, crash, exchanges, refused, resumed
from ladder_world import PSK, connection, psk_policy
from test_ppk import plain_sides, with_ppk

from rhp.guard.local import LocalGuard
from rhp.guard.policy import PpkSecret
from rhp.guard.secrets import SecretStore
from rhp.ike.config import EngineConfig
from rhp.ike.events import AuthenticationFailed
from rhp.node.fingerprints import bind_to_secrets

KEY = b"f" * 32
NEW = b"a key that is new to both"


def bound(made, policy, key=KEY):
    """A configuration as the node makes it: its connection with the digest of its keys."""
    made = EngineConfig((replace(made, resumption=True),))
    return asyncio.run(bind_to_secrets(made, LocalGuard(policy), key))


@pytest.fixture
def crashed(resuming):
    """An IKE SA was there, with a ticket, and the gateway has died; `ends` are the two connections and policies."""

    def make(ends=None):
        ends = ends or ((connection("a@x", "b@x"), psk_policy()), (connection("b@x", "a@x"), psk_policy()))
        (a, policy_a), (b, policy_b) = ends
        link = resuming(a=bound(a, policy_a), b=bound(b, policy_b), policy_a=policy_a, policy_b=policy_b)
        return crash(link.establish())

    return make


def restart(side, policy, key=KEY):
    """The node starts anew with these secrets."""
    (made,) = side.config.connections
    side.config = bound(replace(made, secrets=b""), policy, key)
    side.guard = SecretStore(policy)
    side.restart()


def test_with_the_same_key_a_ticket_is_good_after_a_restart(crashed):
    link = crashed()
    restart(link.b, psk_policy())
    link.establish()
    assert resumed(link.a) == resumed(link.b) == [False, True]
    link.check_established()


def test_a_new_key_at_the_gateway_voids_the_ticket_of_the_old_one(crashed):
    # The key was changed because somebody had it who should not: a ticket must not let him in.
    link = crashed()
    restart(link.b, psk_policy(NEW))
    refused(link, "ticket-policy-changed")
    link.settle()
    assert [event.reason for event in link.b.happened(AuthenticationFailed)] == ["wrong-key"]
    assert link.a.states() == link.b.states() == []
    # With the new key on both sides all is well.
    link.a.guard = SecretStore(psk_policy(NEW))
    link.establish()
    assert resumed(link.b)[-1] is False
    link.check_established()


def test_a_client_with_a_new_key_shows_no_ticket_of_the_old_one(crashed):
    # a is told of its new key while it runs.
    link = crashed()
    (made,) = link.a.config.connections
    link.a.engine.set_config(bound(replace(made, secrets=b""), psk_policy(NEW)))
    link.a.guard = SecretStore(psk_policy(NEW))
    restart(link.b, psk_policy(NEW))
    before = len(link.sent)
    link.establish()
    assert RESUME not in exchanges(link, before)
    assert resumed(link.b) == [False, False]
    link.check_established()


def test_another_connection_s_new_key_changes_nothing(crashed):
    link = crashed()
    both = psk_policy(PSK, "t")
    restart(link.b, replace(both, psks=(*both.psks, replace(both.psks[0], connection="u", key=NEW))))
    link.establish()
    assert resumed(link.b) == [False, True]


def test_a_new_ppk_of_the_same_name_voids_the_ticket(crashed):
    (a, policy_a), (b, policy_b) = plain_sides()
    link = crashed((with_ppk(a, policy_a, "must"), with_ppk(b, policy_b, "must")))
    (old,) = link.b.config.connections
    _, policy = with_ppk(b, policy_b, "must")
    (ppk,) = policy.ppks
    restart(link.b, replace(policy, ppks=(PpkSecret(ppk.connection, ppk.ppk_id, key=ppk.key[::-1]),)))
    assert link.b.config.connections[0].secrets != old.secrets
    refused(link, "ticket-policy-changed")
