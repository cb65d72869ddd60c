"""A peer that falls silent, in whatever state: what it leaves behind is gone after a while."""

import pytest
from ladder_net import LOSE
from ladder_wishes import close, create_child, delete_child, rekey_child, rekey_ike
from ladder_world import config, connection, pubkey_side, tunnel

from rhp.ike.events import ChildEstablished, IkeClosed, IkeEstablished, InitiationFailed

CASES = [
    (verb, who, messages)
    for verb, most in ((rekey_child, 4), (rekey_ike, 4), (create_child, 2), (delete_child, 2), (close, 2))
    for who in "ab"
    for messages in range(most)
]
IDS = [f"{verb.__name__}-{who}-{messages}" for verb, who, messages in CASES]


def silence(link):
    link.flight.clear()
    link.fate = lambda packet: LOSE


@pytest.mark.parametrize("messages", range(4))
@pytest.mark.parametrize("auth", ["psk", "pubkey"])
def test_in_the_handshake(ladder, messages, auth):
    if auth == "psk":
        link = ladder()
    else:
        a, policy_a = pubkey_side("a.x.org", "b.x.org")
        b, policy_b = pubkey_side("b.x.org", "a.x.org")
        link = ladder(config(a), config(b), policy_a, policy_b)
    link.initiate()
    for _ in range(messages):
        link.deliver()
    silence(link)
    link.advance(200)
    link.check_empty()
    assert len(link.a.happened(InitiationFailed)) == 1
    assert link.a.happened(IkeEstablished, ChildEstablished, IkeClosed) == []
    # Whoever believed that it is established finds out by its liveness check.
    assert len(link.b.happened(IkeEstablished)) == len(link.b.happened(IkeClosed)) == (messages == 3)


@pytest.mark.parametrize(("verb", "who", "messages"), CASES, ids=IDS)
def test_in_a_later_exchange(ladder, verb, who, messages):
    link = ladder().establish()
    link.advance(1)
    verb(link, getattr(link, who))
    for _ in range(messages):
        link.deliver()
    silence(link)
    link.advance(200)
    link.check_empty()
    assert len(link.a.happened(IkeClosed)) == len(link.b.happened(IkeClosed)) == 1


def test_with_children_and_work_waiting(ladder):
    children = (tunnel("one"), tunnel("two"))
    a = config(connection("a@x", "b@x", children=children))
    b = config(connection("b@x", "a@x", children=(tunnel("one", ("10.2.0.0/16",), ("10.1.0.0/16",)),)))
    link = ladder(a, b).establish()
    for name in ("one", "two", "one"):
        link.call(link.a, "create_child", link.a.status().ike_id, name)
    rekey_child(link, link.a)
    silence(link)
    link.advance(200)
    link.check_empty()


def test_while_the_guard_thinks(ladder):
    # The guard never answers, and the peer gives up.
    link = ladder()
    link.b.guard_waits = True
    link.initiate()
    link.settle()
    link.advance(200)
    link.check_empty()
    link.b.guard_waits = False
    link.answer_guards(link.b)
    link.check_empty()
    assert link.b.happened(IkeEstablished) == []


def test_own_guard_never_answers(ladder):
    link = ladder()
    link.a.guard_waits = True
    link.initiate()
    link.settle()
    link.advance(200)
    link.check_empty()
    assert len(link.a.happened(InitiationFailed)) == 1
