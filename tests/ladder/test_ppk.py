"""PPK (RFC 8784): who has which, who needs it, what each combination ends in, and a peer that plays with it."""

from dataclasses import replace
from itertools import product

import pytest
from ladder_auth import meet, swap, tampered
from ladder_net import TWICE
from ladder_world import PSK, config, connection, psk_policy, pubkey_side
from test_auth import assert_refused

from rhp.crypto.keymat import mix_ppk
from rhp.guard.policy import PpkSecret
from rhp.guard.protocol import MixPpk, PpkKeys
from rhp.ike.config import Ppk
from rhp.ike.errors import Fault
from rhp.ike.events import AuthenticationFailed, IkeEstablished, InitiationFailed
from rhp.pki.identity import parse_identity
from rhp.wire.auth import AUTH
from rhp.wire.iana import NotifyType
from rhp.wire.message import build_message
from rhp.wire.notify import Notify

KEY = bytes(range(100, 132))
NAME = b"ppk-1"


def with_ppk(made, policy, kind, *, key=KEY, name=NAME):
    """A side that has no PPK ("none"), can use it ("may") or insists on it ("must")."""
    if kind == "none":
        return made, policy
    made = replace(made, ppk=Ppk(name, required=kind == "must"))
    return made, replace(policy, ppks=(PpkSecret("t", name, key),))


def quantum_sides():
    """Both ends of what a PPK is for meet: ML-KEM in IKE_INTERMEDIATE, and then the PPK."""
    proposal = ("aes128gcm16-prfsha256-x25519-ke1_mlkem768",)
    a, b = connection("a@x", "b@x", ike=proposal), connection("b@x", "a@x", ike=proposal)
    return (a, psk_policy()), (b, psk_policy())


def plain_sides():
    return (connection("a@x", "b@x"), psk_policy()), (connection("b@x", "a@x"), psk_policy())


def certified_sides():
    return pubkey_side("a.example.org", "b.example.org"), pubkey_side("b.example.org", "a.example.org")


def world(ladder, of_a, of_b, *, sides=plain_sides, more_a=None, more_b=None):
    (a, policy_a), (b, policy_b) = sides()
    a, policy_a = with_ppk(a, policy_a, of_a, **more_a or {})
    b, policy_b = with_ppk(b, policy_b, of_b, **more_b or {})
    return ladder(config(a), config(b), policy_a, policy_b)


def in_use(link):
    """Whether both sides' SK_d has the PPK in it, and they say so; they agree in any case."""
    assert link.a.sa().sk_d == link.b.sa().sk_d
    mixed = [any(isinstance(one, PpkKeys) for one in side.answers) for side in (link.a, link.b)]
    assert mixed == [link.a.status().ppk, link.b.status().ppk]
    return mixed


def watched(link):
    """Note the guards' answers, and what they were asked."""
    for side in (link.a, link.b):
        side.asked, side.answers, answer = [], [], side.answer_guard

        def noted(question, side=side, answer=answer):
            side.asked.append(question)
            side.answers.append(answer(question))
            return side.answers[-1]

        side.answer_guard = noted
    return link


@pytest.mark.parametrize("sides", [plain_sides, certified_sides], ids=["psk", "certificate"])
@pytest.mark.parametrize("who", ["a", "b"])
def test_both_have_it(ladder, sides, who):
    link = watched(world(ladder, "must", "must", sides=sides))
    initiator, responder = (link.a, link.b) if who == "a" else (link.b, link.a)
    # initiator --- IKE_SA_INIT: .. N(USE_PPK) ---> responder --- IKE_SA_INIT: .. N(USE_PPK) --->
    link.initiate(initiator)
    for _ in range(2):
        assert link.read(link.deliver()).notify(NotifyType.USE_PPK).data == b""
    plain = initiator.asked[0]
    # initiator --- IKE_AUTH: .. AUTH N(PPK_IDENTITY) ---> responder
    request = link.read(link.deliver())
    assert request.notify(NotifyType.PPK_IDENTITY).data == b"\2" + NAME
    assert request.notify(NotifyType.NO_PPK_AUTH) is None
    # initiator <--- IKE_AUTH: .. AUTH N(PPK_IDENTITY) --- responder
    assert link.read(link.deliver()).notify(NotifyType.PPK_IDENTITY).data == b""
    link.settle()
    link.check_established()
    assert in_use(link) == [True, True]

    # SK_d = prf+(PPK, SK_d'), and both guards were asked with the same three keys.
    assert isinstance(plain, MixPpk)
    assert plain == next(one for one in responder.asked if isinstance(one, MixPpk))
    prf, mixed = initiator.sa().agreed.prf, initiator.answers[0]
    ppk = type(link.a.sa().sk_d)(KEY)
    for before, after in ((plain.sk_d, mixed.sk_d), (plain.sk_pi, mixed.sk_pi), (plain.sk_pr, mixed.sk_pr)):
        assert after == mix_ppk(prf, ppk, type(ppk)(before)).expose() == prf.prf_plus(KEY, before, len(before))
    assert link.a.sa().sk_d.expose() == mixed.sk_d != plain.sk_d
    for shown in (repr(plain), repr(mixed), repr(link.a.events), repr(link.b.events), repr(link.a.config)):
        assert KEY.hex() not in shown and plain.sk_d.hex() not in shown and repr(plain.sk_d) not in shown

    # What follows needs the PPK no more, and has it by its keys.
    asked = len(initiator.asked)
    link.call(initiator, "rekey_ike", initiator.status().ike_id)
    link.settle()
    link.call(responder, "rekey_child", responder.status().children[0].child_id)
    link.settle()
    link.check_established()
    assert len(initiator.asked) == asked


# (a, the initiator; b; whether the PPK is used; or who refuses and why)
ENDS = {
    ("none", "none"): False,
    ("none", "may"): False,
    ("none", "must"): ("b", "ppk-not-used"),
    ("may", "none"): False,
    ("may", "may"): True,
    ("may", "must"): True,
    ("must", "none"): ("a", "ppk-not-supported"),
    ("must", "may"): True,
    ("must", "must"): True,
}


@pytest.mark.parametrize(("of_a", "of_b"), list(product(("may", "must"), repeat=2)))
@pytest.mark.parametrize("name", [NAME, b"ppk-2"])
def test_after_an_additional_key_exchange(ladder, of_a, of_b, name):
    """The keys that the PPK goes into are those that the last key exchange made, and AUTH covers all of it."""
    link = watched(world(ladder, of_a, of_b, sides=quantum_sides, more_b={"name": name}))
    link.initiate()
    link.settle()
    if name == NAME:
        link.check_established()
        assert in_use(link) == [True, True]
    elif (of_a, of_b) == ("may", "may"):
        link.check_established()
        assert link.b.count("ppk-left-out") == 1
    else:
        assert_refused(link, link.b, "unknown-ppk")


@pytest.mark.parametrize("sides", [plain_sides, certified_sides], ids=["psk", "certificate"])
@pytest.mark.parametrize(("of_a", "of_b"), ENDS)
def test_who_has_it_and_who_needs_it(ladder, sides, of_a, of_b):
    link = watched(world(ladder, of_a, of_b, sides=sides))
    end = ENDS[of_a, of_b]
    link.initiate()
    link.settle()
    if isinstance(end, bool):
        link.check_established()
        assert in_use(link) == [end, end]
        assert link.a.happened(AuthenticationFailed) == link.b.happened(AuthenticationFailed) == []
        return
    who, reason = end
    if who == "b":
        assert_refused(link, link.b, reason)
        return
    # a finds out before it has said who it is: nothing of IKE_AUTH is ever sent, and b forgets the half-open SA.
    (told,) = link.a.happened(AuthenticationFailed)
    assert (told.reason, told.fault) == (reason, Fault.PEER)
    assert len(link.a.happened(InitiationFailed)) == 1
    assert len(link.sent) == 2
    link.advance(100)
    link.check_empty()


@pytest.mark.parametrize("sides", [plain_sides, certified_sides], ids=["psk", "certificate"])
@pytest.mark.parametrize(("of_a", "of_b"), list(product(("may", "must"), repeat=2)))
def test_another_name_of_it(ladder, sides, of_a, of_b):
    """b has a PPK, but not the one that a names: without it if both may, else not at all."""
    link = watched(world(ladder, of_a, of_b, sides=sides, more_b={"name": b"ppk-2"}))
    link.initiate()
    link.deliver(), link.deliver()
    assert (link.read(link.flight[0]).notify(NotifyType.NO_PPK_AUTH) is not None) == (of_a == "may")
    link.settle()
    if (of_a, of_b) == ("may", "may"):
        link.check_established()
        assert link.a.count("ppk-left-out") == link.b.count("ppk-left-out") == 1
        assert not any(isinstance(one, PpkKeys) for one in link.b.answers)
        assert not link.a.status().ppk and not link.b.status().ppk
        assert link.a.sa().sk_d == link.b.sa().sk_d
        link.call(link.b, "rekey_ike", link.b.status().ike_id)
        link.settle()
        link.check_established()
    else:
        assert_refused(link, link.b, "unknown-ppk")


@pytest.mark.parametrize("sides", [plain_sides, certified_sides], ids=["psk", "certificate"])
@pytest.mark.parametrize(("of_a", "of_b"), list(product(("may", "must"), repeat=2)))
def test_another_key_under_the_same_name(ladder, sides, of_a, of_b):
    """That is no missing key but a wrong one: there is no way back to the keys without it."""
    link = world(ladder, of_a, of_b, sides=sides, more_b={"key": KEY[::-1]}).establish()
    told, _ = assert_refused(link, link.b, "wrong-key" if sides is plain_sides else "wrong-signature")
    assert told.peer is not None
    assert KEY.hex() not in repr(link.a.events + link.b.events)


def test_without_a_key_at_all_it_works_with_null(ladder):
    """NULL is a proof by SK_pi and SK_pr, so here the PPK is all that tells friends from strangers."""
    link = meet(ladder, "null", "null")
    configs, policies = [], []
    for side in (link.a, link.b):
        (made,) = side.config.connections
        made, policy = with_ppk(made, psk_policy(), "must", key=KEY if side is link.a else KEY[::-1])
        configs.append(config(made))
        policies.append(policy)
    strangers = ladder(*configs, *policies).establish()
    (told,) = strangers.b.happened(AuthenticationFailed)
    assert told.reason == "wrong-null-proof"
    friends = ladder(*configs, policies[0], policies[0]).establish()
    friends.check_established()


def named(change):
    def swapped(one):
        return change(one) if one.type == NotifyType.PPK_IDENTITY else one

    return swap(Notify, swapped)


MALFORMED = [b"", b"\2", b"\1", b"\0" + NAME, b"\3" + NAME, b"\xff" + NAME, NAME, b"\2" + NAME + b"\0", bytes(60000)]


@pytest.mark.parametrize("data", MALFORMED, ids=range(len(MALFORMED)))
@pytest.mark.parametrize("of_b", ["may", "must"])
def test_a_malformed_name_is_nobody_s(ladder, data, of_b):
    link = world(ladder, "must", of_b)
    tampered(link, named(lambda one: Notify(one.type, data)))
    (told,) = link.b.happened(AuthenticationFailed)
    assert told.reason == "unknown-ppk"
    assert link.b.states() == []
    assert link.b.happened(IkeEstablished) == []


def test_the_opaque_type_of_the_same_name_is_taken(ladder):
    link = world(ladder, "must", "must")
    tampered(link, named(lambda one: Notify(one.type, b"\1" + one.data[1:])))
    link.check_established()


@pytest.mark.parametrize("of_b", ["may", "must"])
def test_a_name_taken_out_is_missed(ladder, of_b):
    """The AUTH that needs the PPK stays behind and fits no keys without it."""
    link = world(ladder, "may", of_b)
    tampered(link, named(lambda one: None))
    (told,) = link.b.happened(AuthenticationFailed)
    assert told.reason == ("wrong-key" if of_b == "may" else "ppk-not-used")
    assert link.b.states() == []


@pytest.mark.parametrize("data", [b"", b"x", bytes(32), bytes(60000)], ids=["empty", "one", "zeros", "long"])
def test_a_wrong_no_ppk_auth_proves_nothing(ladder, data):
    """b falls back to it and finds it wrong; the right AUTH beside it does not save it."""
    link = world(ladder, "may", "may", more_b={"name": b"ppk-2"})

    def forge(one):
        return Notify(one.type, data) if one.type == NotifyType.NO_PPK_AUTH else one

    tampered(link, swap(Notify, forge))
    (told,) = link.b.happened(AuthenticationFailed)
    assert told.reason == "wrong-key"
    assert link.b.states() == []


def test_no_ppk_auth_does_not_stand_in_where_the_ppk_is_known(ladder):
    link = world(ladder, "may", "may")

    def forge(payloads):
        plain = next(one for one in payloads if isinstance(one, Notify) and one.type == NotifyType.NO_PPK_AUTH)
        return [AUTH(one.method, plain.data) if isinstance(one, AUTH) else one for one in payloads]

    tampered(link, forge)
    (told,) = link.b.happened(AuthenticationFailed)
    assert told.reason == "wrong-key"


@pytest.mark.parametrize("of_a", ["may", "must"])
def test_a_responder_that_does_not_say_that_it_used_it(ladder, of_a):
    """b used the PPK, and its PPK_IDENTITY is gone: a goes back to the plain keys, which do not fit, or gives up."""
    link = world(ladder, of_a, "must")
    tampered(link, named(lambda one: None), response=True)
    (told,) = link.a.happened(AuthenticationFailed)
    assert told.reason == ("wrong-key" if of_a == "may" else "ppk-not-used")
    link.advance(5)
    assert link.a.states() == link.b.states() == []
    assert link.a.sas == link.b.sas == {}


def test_use_ppk_stripped_from_the_answer_is_noticed(ladder):
    """Somebody on the path takes USE_PPK away (a downgrade): b signs the answer that it sent, so AUTH does not fit."""
    link = world(ladder, "may", "may")
    link.initiate()
    link.deliver()
    packet = link.drop()
    message = link.read(packet)
    kept = tuple(one for one in message.payloads if not (isinstance(one, Notify) and one.type == NotifyType.USE_PPK))
    assert len(kept) == len(message.payloads) - 1
    link.inject(link.a, build_message(replace(message, payloads=kept)), packet.source)
    link.settle()
    (told,) = link.a.happened(AuthenticationFailed)
    assert told.reason == "wrong-key"
    link.advance(5)
    assert link.a.states() == link.b.states() == []


def test_the_connection_is_chosen_later_than_use_ppk_is_said(ladder):
    """b's first connection has no PPK, the one for a has: b agrees to USE_PPK because a may be meant by either."""
    (a, policy_a), (b, policy_b) = plain_sides()
    a, policy_a = with_ppk(a, policy_a, "must")
    b, policy_b = with_ppk(b, policy_b, "must")
    other = connection("b@x", "c@x", name="other")
    link = ladder(config(a), config(other, b), policy_a, policy_b).establish()
    link.check_established()
    # And the other way round: c needs none, and is not asked for one.
    c = config(connection("c@x", "b@x"))
    link = ladder(config(a), config(b, other), policy_a, replace(policy_b, psks=psk_policy(PSK, "other").psks), c=c)
    link.initiate(link.c, to=link.b)
    link.settle()
    assert link.c.states() == link.b.states() == ["established"]
    assert link.b.status().peer == parse_identity("c@x")


@pytest.mark.parametrize("lost", range(4))
def test_each_message_lost_and_each_one_twice(ladder, lost):
    link = world(ladder, "may", "must")
    link.lost = lambda packet: packet.number == lost
    link.establish()
    link.advance(3)
    link.check_established()
    link = world(ladder, "may", "must")
    link.fate = lambda packet: TWICE
    link.establish()
    link.check_established()
    assert len(link.a.happened(IkeEstablished)) == len(link.b.happened(IkeEstablished)) == 1


def test_use_ppk_survives_a_cookie(ladder):
    (a, policy_a), (b, policy_b) = plain_sides()
    a, policy_a = with_ppk(a, policy_a, "must")
    b, policy_b = with_ppk(b, policy_b, "must")
    link = ladder(config(a), config(b, cookie_threshold=0), policy_a, policy_b).establish()
    assert link.b.count("cookie-asked") == 1
    link.check_established()


@pytest.mark.parametrize("who", ["a", "b"])
def test_a_guard_without_it(ladder, who):
    """The engine believes in a PPK that its guard has not: nobody is let in without it, and the event says whose
    fault that is."""
    link = world(ladder, "must", "must")
    side = getattr(link, who)
    side.guard.wipe()
    side.guard = type(side.guard)(psk_policy())
    link.establish()
    if who == "a":
        (told,) = link.a.happened(AuthenticationFailed)
        assert link.a.states() == []
    else:
        (told,) = link.b.happened(AuthenticationFailed)
        assert link.a.happened(AuthenticationFailed)[0].reason == "refused-by-peer"
        assert link.a.states() == link.b.states() == []
    assert (told.reason, told.fault) == ("no-own-ppk", Fault.LOCAL)
