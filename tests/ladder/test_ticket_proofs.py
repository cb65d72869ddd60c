"""A ticket stands for a proof that was given: not for longer than that holds, and not for what it did not cover."""

from dataclasses import replace

import pytest
from ladder_auth import A, B, side
from ladder_tickets import RESUME, crash, exchanges, refused, resumed, sides
from ladder_world import config
from test_ppk import plain_sides, with_ppk

from rhp.wire.iana import NotifyType
from rhp.wire.notify import Notify


def test_a_ticket_makes_nobody_s_proof_last_longer(resuming):
    # Both have to prove themselves every hour: two thirds of it are over when the ticket is used.
    link = resuming(**sides(reauth_time=3600.0))
    link.establish()
    proved = link.now
    given = link.read(link.sent[3]).notify(NotifyType.TICKET_LT_OPAQUE).data
    assert int.from_bytes(given[:4]) == 3600
    link.advance(2400)
    crash(link).establish()
    assert resumed(link.a) == [False, True]
    for end in link.sides:
        assert end.sa().authenticated_at == pytest.approx(proved, abs=1)
        assert end.sa().authentic_until == pytest.approx(proved + 3960, abs=1)
    assert link.a.sa().reauth_at <= proved + 3600
    # b --- AUTH_LIFETIME: what is left ---> a, and the next ticket does not live longer either
    answer = link.read(link.sent[-1])
    left = int.from_bytes(answer.notify(NotifyType.AUTH_LIFETIME).data)
    assert left == pytest.approx(proved + 3600 - link.now, abs=2)
    assert int.from_bytes(answer.notify(NotifyType.TICKET_LT_OPAQUE).data[:4]) == pytest.approx(left, abs=2)
    # Then both prove themselves, with all that belongs to it.
    before = len(link.sent)
    link.advance(proved + 3610 - link.now)
    assert RESUME not in exchanges(link, before)
    assert link.a.count("ike-reauthenticated") == link.b.count("ike-reauthenticated") == 1
    assert link.b.sa().authenticated_at > proved + 2400


def test_a_ticket_does_not_renew_an_ike_sa(resuming):
    # A client that does not say INITIAL_CONTACT: what it resumes replaces the old IKE SA, and is no reauthentication.
    link = resuming(**sides(reauth_time=3600.0)).establish()
    link.advance(600)
    link.a.engine._ctx.table.forget_peer(link.a.sa())
    link.initiate()
    link.deliver()
    link.deliver()
    request = link.drop()
    message = link.read(request)
    kept = [one for one in message.payloads if getattr(one, "type", None) != NotifyType.INITIAL_CONTACT]
    link.inject(link.b, link.seal(replace(message, payloads=tuple(kept))), request.source, natt=True)
    assert resumed(link.b) == [False, True]
    assert link.b.count("ike-reauthenticated") == 0


# Other ways to prove oneself.


def with_tickets(ladder, ours, theirs, **more):
    """a proves itself by `ours`, b by `theirs`, and both use tickets."""
    return keeping(ladder, side(ours, theirs, **more), side(theirs, ours, name=B, peer=A, **more))


def keeping(ladder, of_a, of_b):
    (a, policy_a), (b, policy_b) = of_a, of_b
    link = ladder(config(replace(a, resumption=True)), config(replace(b, resumption=True)), policy_a, policy_b)
    for one in link.sides:
        one.keep_vault()
    return link.establish()


def test_strangers_get_no_tickets(ladder):
    # Who has no name cannot be known again by a ticket: it is not asked for, and not given.
    link = with_tickets(ladder, "null", "pubkey")
    assert link.read(link.sent[2]).notify(NotifyType.TICKET_REQUEST) is None
    answer = link.say(link.a, [Notify(NotifyType.TICKET_REQUEST)])
    assert [one.type for one in answer.all(Notify)] == [NotifyType.TICKET_NACK]
    assert link.b.count("ticket-issued") == 0


def test_each_side_proves_itself_in_its_own_way_and_then_by_ticket(ladder):
    link = crash(with_tickets(ladder, "psk", "pubkey"))
    link.a.guard = link.b.guard = None
    link.establish()
    assert resumed(link.a) == resumed(link.b) == [False, True]
    link.check_established()


@pytest.mark.parametrize("kind", ["may", "must"])
def test_the_ppk_stays_in_the_keys(ladder, kind):
    # SK_d has it already, so nobody mixes it in a second time, and no guard is asked.
    (a, policy_a), (b, policy_b) = plain_sides()
    link = crash(keeping(ladder, with_ppk(a, policy_a, kind), with_ppk(b, policy_b, kind)))
    link.a.guard = link.b.guard = None
    before = len(link.sent)
    link.establish()
    assert resumed(link.a) == resumed(link.b) == [False, True]
    assert link.a.sa().ppk is link.b.sa().ppk is True
    told = {one.type for packet in link.sent[before:] for one in link.read(packet).all(Notify)}
    assert not told & {NotifyType.USE_PPK, NotifyType.PPK_IDENTITY, NotifyType.NO_PPK_AUTH}
    link.check_established()


def test_a_ticket_from_before_the_ppk_is_worth_nothing(ladder):
    (a, policy_a), (b, policy_b) = plain_sides()
    link = crash(keeping(ladder, (a, policy_a), (b, policy_b)))
    made, _ = with_ppk(replace(b, resumption=True), policy_b, "must")
    link.b.config = config(made)
    link.b.restart()
    refused(link, "ticket-policy-changed")
