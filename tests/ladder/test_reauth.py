"""Reauthentication (RFC 7296 section 2.8.3, RFC 4478): a new IKE SA takes the old one's place without a gap."""

from dataclasses import replace

import pytest
from ladder_auth import meet
from ladder_net import LOSE, TWICE
from ladder_wishes import SIDES, rekey_child, rekey_ike, sides
from ladder_world import config, connection, psk_policy, tunnel

from rhp.guard.secrets import SecretStore
from rhp.ike import renewal
from rhp.ike.errors import Fault, LocalError
from rhp.ike.events import (
    AuthenticationFailed,
    ChildClosed,
    ChildEstablished,
    ChildRekeyed,
    IkeClosed,
    IkeEstablished,
    IkeReauthenticated,
    InitiationFailed,
)
from rhp.wire.delete import Delete
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.notify import Notify

HOUR = 3600.0


def pair_of(ladder, time_a=0.0, time_b=0.0, *, children=None, mirror=None, **more):
    """Two sides with their reauthentication times; no other clock runs for hours."""
    quiet = {"rekey_time": 0.0, "life_time": 0.0, "dpd_delay": 0.0, "jitter": 0.0, **more}
    a = connection("a@x", "b@x", children=children, reauth_time=time_a, **quiet)
    b = connection("b@x", "a@x", children=mirror, reauth_time=time_b, **quiet)
    return ladder(config(a), config(b))


def several(count):
    ours = tuple(tunnel(f"n{i}", (f"10.1.{i}.0/24",), (f"10.2.{i}.0/24",)) for i in range(count))
    theirs = tuple(tunnel(f"n{i}", (f"10.2.{i}.0/24",), (f"10.1.{i}.0/24",)) for i in range(count))
    return {"children": ours, "mirror": theirs}


def check_continuous(link, before, times=1):
    """Nothing came up or went down for those who look from outside: the lineages are the same as before."""
    for side, (ike_id, children) in zip((link.a, link.b), before, strict=True):
        assert side.status().ike_id == ike_id
        assert sorted(child.child_id for child in side.status().children) == children
        assert len(side.happened(IkeReauthenticated)) == times
        assert len(side.happened(IkeEstablished)) == 1
        assert side.happened(IkeClosed, ChildClosed, AuthenticationFailed) == []
        assert len(side.happened(ChildEstablished)) == len(children)
        assert len({sa.group for sa in side.sas.values()}) == len(children)
    link.check_established(children=len(before[0][1]))


def lineages(link):
    return [
        (side.status().ike_id, sorted(child.child_id for child in side.status().children)) for side in (link.a, link.b)
    ]


def renew(link):
    link.call(link.a, "reauthenticate", link.a.status().ike_id)


def test_ladder(ladder):
    link = pair_of(ladder).establish()
    before, old = lineages(link), link.a.status()
    pairs = {side: side.child() for side in (link.a, link.b)}
    link.advance(100)

    # a --- IKE_SA_INIT ---> b, beside the old IKE SA, on the path that this has now
    renew(link)
    assert link.flight[0].natt
    assert link.a.states() == ["established", "connecting"]
    link.deliver(), link.deliver()
    # a --- IKE_AUTH: IDi AUTH SA TSi TSr, without N(INITIAL_CONTACT) ---> b
    request = link.read(link.deliver())
    assert request.exchange == ExchangeType.IKE_AUTH
    assert request.notify(NotifyType.INITIAL_CONTACT) is None
    # b has both pairs, and sends on the old one until the new one is seen in use.
    assert len(link.b.sas) == 2
    assert pairs[link.b].spi_in in link.b.sas
    assert [sa.outbound_active for sa in link.b.sas.values()] == [True, False]
    assert link.b.happened(IkeReauthenticated)[0].ike_id == before[1][0]
    # a <--- IKE_AUTH --- b; a sends on the new pair at once
    link.deliver()
    assert [sa.outbound_active for sa in link.a.sas.values()] == [True, True]
    assert len(link.a.sas) == 2
    # a --- INFORMATIONAL: DELETE, on the old IKE SA ---> b
    delete = link.flight[0]
    assert link.read(delete).first(Delete) is not None
    assert delete.header.spi_i == old.spi_i
    link.settle()
    check_continuous(link, before)
    assert link.a.status().spi_i != old.spi_i
    assert all(pairs[side].spi_in not in side.sas for side in pairs)
    assert len(link.sent) == 4 + 6
    link.advance(100)
    assert link.a.sizes() == {**link.b.sizes(), "timers": link.a.sizes()["timers"]}
    assert link.a.sizes()["ike"] == link.b.sizes()["ike"] == 1


def test_by_time_over_a_day(ladder):
    link = pair_of(ladder, HOUR, 0.0, jitter=0.1).establish()
    before = lineages(link)
    sizes = link.a.sizes(), link.b.sizes()
    link.advance(24 * HOUR)
    times = len(link.a.happened(IkeReauthenticated))
    assert 24 <= times <= 27
    check_continuous(link, before, times)
    link.advance(100)
    assert (link.a.sizes(), link.b.sizes()) == sizes


def test_with_rekeys_of_both_kinds_from_both_sides(ladder):
    link = pair_of(ladder, HOUR, HOUR, rekey_time=900.0, life_time=1000.0, jitter=0.2, dpd_delay=90.0).establish()
    ike_id = link.a.status().ike_id
    link.advance(12 * HOUR)
    for side in (link.a, link.b):
        assert side.status().ike_id in (ike_id, link.b.status().ike_id)
        assert len(side.happened(IkeReauthenticated)) >= 12
        assert side.happened(IkeClosed, ChildClosed) == []
    link.advance(5)
    link.check_established()


@pytest.mark.parametrize("count", [2, 3, 5])
def test_several_children_come_one_after_the_other(ladder, count):
    link = pair_of(ladder, **several(count)).establish()
    for number in range(1, count):
        link.call(link.a, "create_child", link.a.status().ike_id, f"n{number}")
        link.settle()
    before = lineages(link)
    renew(link)
    seen = set()
    while link.flight:
        link.deliver()
        for side in (link.a, link.b):
            # Each child can be seen, and has a pair to send on, at every moment; the others are not taken for missing.
            (status,) = (one for one in side.engine.status() if one.state == "established")
            assert {child.name for child in status.children} == {f"n{i}" for i in range(count)}
            assert {sa.child_name for sa in side.sas.values() if sa.outbound_active} == {f"n{i}" for i in range(count)}
            seen.add(len(side.sas))
    assert max(seen) == 2 * count
    check_continuous(link, before)


def test_a_child_that_was_deleted_before_does_not_come_back(ladder):
    link = pair_of(ladder, **several(2)).establish()
    link.call(link.a, "create_child", link.a.status().ike_id, "n1")
    link.settle()
    link.call(link.a, "delete_child", next(one.child_id for one in link.a.status().children if one.name == "n0"))
    link.settle()
    renew(link)
    link.settle()
    assert [child.name for child in link.a.status().children] == ["n1"]
    link.check_established()


def test_a_child_that_the_peer_refuses_now_is_given_up(ladder):
    """b has lost one of the children from its configuration: the others move, and the old IKE SA goes in the end."""
    link = pair_of(ladder, **several(3)).establish()
    for number in (1, 2):
        link.call(link.a, "create_child", link.a.status().ike_id, f"n{number}")
        link.settle()
    (only,) = link.b.config.connections
    link.b.engine.set_config(config(replace(only, children=(only.children[0], only.children[2]))))
    renew(link)
    link.settle()
    assert len(link.a.sas) == 3 + 2
    link.advance(renewal.GRACE + 1)
    assert sorted(child.name for child in link.a.status().children) == ["n0", "n2"]
    assert [event.child_name for event in link.a.happened(ChildClosed)] == ["n1"]
    assert link.a.happened(IkeClosed) == link.b.happened(IkeClosed) == []
    link.check_established(children=2)
    assert link.a.sizes()["ike"] == link.b.sizes()["ike"] == 1


def test_other_selectors_are_another_child(ladder):
    """A pair whose traffic is another one takes over no hub port: the old child ends, the new one begins."""
    link = pair_of(ladder, **several(1)).establish()
    (ours,), (theirs,) = link.a.config.connections, link.b.config.connections
    moved = replace(ours, children=(tunnel("n0", ("10.1.0.0/24",), ("10.2.7.0/24",)),))
    mirror = replace(theirs, children=(tunnel("n0", ("10.2.7.0/24",), ("10.1.0.0/24",)),))
    link.a.engine.set_config(config(moved))
    link.b.engine.set_config(config(mirror))
    renew(link)
    link.settle()
    link.advance(renewal.GRACE + 1)
    for side in (link.a, link.b):
        assert len(side.happened(ChildEstablished)) == 2
        assert len(side.happened(ChildClosed)) == 1
        assert side.happened(IkeClosed) == []
    link.check_established()


@pytest.mark.parametrize("lost", range(6))
def test_each_message_lost(ladder, lost):
    link = pair_of(ladder).establish()
    before, already = lineages(link), len(link.sent)
    link.lost = lambda packet: packet.number == already + lost
    renew(link)
    link.settle()
    link.advance(4)
    check_continuous(link, before)
    link.advance(100)
    assert link.a.sizes()["ike"] == link.b.sizes()["ike"] == 1


def test_each_message_twice(ladder):
    link = pair_of(ladder, **several(2)).establish()
    link.call(link.a, "create_child", link.a.status().ike_id, "n1")
    link.settle()
    before = lineages(link)
    link.fate = lambda packet: TWICE
    renew(link)
    link.settle()
    check_continuous(link, before)


@pytest.mark.parametrize("seed", range(25))
def test_over_a_bad_network(ladder, seed):
    link = ladder(*(one.config for one in pair_of(ladder, 60.0, 60.0, jitter=0.2, **several(2)).sides), seed=seed)
    link.establish()
    link.fate = lambda packet: LOSE if link.chance.random() < 0.25 else "deliver"
    for _ in range(120):
        link.chance.shuffle(link.flight)
        link.advance(1)
    link.fate = lambda packet: "deliver"
    link.advance(200)
    if link.a.states() == []:
        # Sixty seconds of belief may pass over such a network; then both sides know, and call again.
        assert link.b.states() == []
        link.establish()
    link.check_established(children=len(link.a.sas))
    assert link.a.sizes()["ike"] == link.b.sizes()["ike"] == 1
    assert link.a.sizes()["lineages"] == link.b.sizes()["lineages"]


def test_a_renewal_that_fails_leaves_the_old_one_and_is_tried_again(ladder):
    link = pair_of(ladder, 1000.0).establish()
    before = lineages(link)
    good, link.a.guard = link.a.guard, SecretStore(psk_policy(b"another key"))
    link.advance(1000)
    assert [event.fault for event in link.a.happened(InitiationFailed)] == [Fault.LOCAL]
    assert link.b.happened(AuthenticationFailed)[0].reason == "wrong-key"
    assert lineages(link) == before
    assert link.a.happened(IkeClosed) == link.b.happened(IkeClosed) == []
    link.a.guard = good
    link.advance(renewal.RETRY + 1)
    assert len(link.a.happened(IkeReauthenticated)) == len(link.b.happened(IkeReauthenticated)) == 1
    link.check_established()
    assert lineages(link) == before


def test_without_a_proof_it_ends_on_both_sides(ladder):
    """Nobody lives for ever on an old proof: a tenth of the time is left for trying again."""
    link = pair_of(ladder, 1000.0, 1000.0).establish()
    link.a.guard = SecretStore(psk_policy(b"another key"))
    link.advance(1090)
    assert link.a.states() == link.b.states() == ["established"]
    link.advance(15)
    assert link.a.states() == link.b.states() == []
    assert link.a.happened(IkeClosed)[0].reason == "lifetime"
    assert link.a.sas == link.b.sas == {}


def test_a_silent_peer_costs_nothing_but_a_try(ladder):
    link = pair_of(ladder, 1000.0).establish()
    link.lost = lambda packet: packet.header.exchange == ExchangeType.IKE_SA_INIT
    link.advance(1045)
    assert len(link.a.happened(InitiationFailed)) == 1
    assert link.a.states() == ["established", "connecting"]
    link.check_pairs()
    link.lost = lambda packet: False
    link.advance(20)
    assert len(link.a.happened(IkeReauthenticated)) == 1
    link.check_established()


@SIDES
@pytest.mark.parametrize("wish", [rekey_ike, rekey_child], ids=["ike", "child"])
@pytest.mark.parametrize("after", range(5))
def test_a_rekey_in_the_middle(ladder, who, wish, after):
    """Whoever rekeys, and after however many messages of the renewal: one IKE SA and one pair are left."""
    link = pair_of(ladder).establish()
    side, _ = sides(link, who)
    renew(link)
    for _ in range(after):
        link.deliver()
    if wish is rekey_ike:
        link.call(side, "rekey_ike", lineage_of(side))
    else:
        link.call(side, "rekey_child", next(iter(side.sas.values())).child_id)
    link.settle()
    link.advance(150)
    link.check_established()
    for one in (link.a, link.b):
        assert one.sizes()["ike"] == one.sizes()["peers"] == one.sizes()["lineages"] == 1
        assert one.happened(IkeClosed) == []


@SIDES
@pytest.mark.parametrize("after", range(6))
def test_an_end_in_the_middle(ladder, who, after):
    """Who closes the connection means all of it: nothing comes up again by a renewal that was under way."""
    link = pair_of(ladder).establish()
    side, _ = sides(link, who)
    renew(link)
    for _ in range(after):
        link.deliver()
    link.call(side, "close", lineage_of(side))
    link.settle()
    link.advance(150)
    left = link.a.states() + link.b.states()
    # A peer that closes does not stop a renewal which the other side has begun and it has not heard of.
    assert left == [] or (who == "b" and after < 3 and left == ["established"] * 2)
    assert len(link.a.sas) == len(link.b.sas)
    assert side.happened(IkeClosed)


def lineage_of(side):
    return next(one.ike_id for one in side.engine.status() if one.established_at is not None)


def test_the_responder_asks_for_it(ladder):
    """b says AUTH_LIFETIME; a, which has no setting of its own, renews in time."""
    link = pair_of(ladder, 0.0, 1000.0)
    link.initiate()
    link.deliver(), link.deliver(), link.deliver()
    assert link.read(link.flight[0]).notify(NotifyType.AUTH_LIFETIME).data == (1000).to_bytes(4)
    link.settle()
    before = lineages(link)
    link.advance(985)
    assert link.a.happened(IkeReauthenticated) == []
    link.advance(10)
    check_continuous(link, before)
    link.advance(10_000)
    check_continuous(link, before, times=len(link.a.happened(IkeReauthenticated)))


def test_a_peer_that_does_not_renew_is_left_after_a_while(ladder):
    link = pair_of(ladder, 0.0, 1000.0).establish()
    link.a.sa().reauth_at = None
    link.advance(1099)
    link.check_established()
    link.advance(2)
    assert link.a.states() == link.b.states() == []
    assert link.b.happened(IkeClosed)[0].reason == "lifetime"


def test_rekeys_do_not_make_a_proof_younger(ladder):
    link = pair_of(ladder, 1000.0, 1000.0, rekey_time=300.0, life_time=330.0).establish()
    link.advance(985)
    assert link.a.happened(IkeReauthenticated) == []
    link.advance(20)
    assert len(link.a.happened(IkeReauthenticated)) == 1


@pytest.mark.parametrize(
    ("seconds", "least", "most"), [(0, 9, 11), (1, 9, 11), (5, 9, 11), (60, 49, 60), (1000, 989, 1000)]
)
def test_an_informational_auth_lifetime(ladder, seconds, least, most):
    """However short a peer's belief, it gets no new proof more often than every ten seconds."""
    link = pair_of(ladder).establish()
    link.say(link.b, [Notify(NotifyType.AUTH_LIFETIME, seconds.to_bytes(4))])
    link.advance(least)
    assert link.a.happened(IkeReauthenticated) == []
    link.advance(most - least)
    assert len(link.a.happened(IkeReauthenticated)) == 1
    link.check_established()


@pytest.mark.parametrize("data", [b"", b"\0\0\1", bytes(5), bytes(60000)], ids=["empty", "short", "long", "endless"])
def test_a_malformed_auth_lifetime_is_counted(ladder, data):
    link = pair_of(ladder).establish()
    assert link.say(link.b, [Notify(NotifyType.AUTH_LIFETIME, data)]).payloads == ()
    assert link.a.count("bad-auth-lifetime") == 1
    assert link.a.status().reauth_at is None
    # Nor does it mean anything to the side that was called.
    link.say(link.a, [Notify(NotifyType.AUTH_LIFETIME, bytes(4))])
    assert link.b.count("bad-auth-lifetime") == 1
    link.advance(100)
    assert link.a.happened(IkeReauthenticated) == link.b.happened(IkeReauthenticated) == []


def test_only_the_initiator_can_and_only_once_at_a_time(ladder):
    link = pair_of(ladder).establish()
    with pytest.raises(LocalError, match="not-the-initiator"):
        link.call(link.b, "reauthenticate", link.b.status().ike_id)
    renew(link)
    with pytest.raises(LocalError, match="ike-sa-busy"):
        link.call(link.a, "reauthenticate", lineage_of(link.a))
    link.settle()
    link.check_established()
    renew(link)
    link.settle()
    link.check_established()


@pytest.mark.parametrize(("ours", "theirs"), [("psk", "pubkey"), ("pubkey", "psk"), ("pubkey", "pubkey")])
def test_with_every_kind_of_proof(ladder, ours, theirs):
    link = meet(ladder, ours, theirs).establish()
    before = lineages(link)
    renew(link)
    link.settle()
    check_continuous(link, before)


def test_who_has_no_name_is_a_new_stranger_each_time(ladder):
    """b cannot know that it is the same one; for a, which knows b, nothing changes."""
    link = meet(ladder, "null", "pubkey").establish()
    renew(link)
    link.settle()
    link.advance(5)
    assert link.b.happened(IkeReauthenticated) == []
    assert len(link.b.happened(IkeEstablished)) == 2
    assert len(link.b.happened(IkeClosed)) == 1
    assert len(link.a.happened(IkeReauthenticated)) == 1
    assert link.a.happened(ChildClosed) == []
    assert len(link.a.happened(ChildRekeyed)) == 1
    link.check_established()


def test_a_restarted_peer_is_no_renewal(ladder):
    link = pair_of(ladder).establish()
    link.a.restart()
    link.initiate()
    link.settle()
    assert link.b.happened(IkeReauthenticated) == []
    assert [event.reason for event in link.b.happened(IkeClosed)] == ["initial-contact"]
    link.check_established()


def test_a_wrong_proof_renews_nothing(ladder):
    """Somebody who knows a's name begins an IKE SA without INITIAL_CONTACT: until it is proved nothing changes."""
    link = pair_of(ladder).establish()
    before = lineages(link)
    link.a.guard = SecretStore(psk_policy(b"another key"))
    renew(link)
    link.settle()
    assert link.b.happened(IkeReauthenticated, IkeClosed) == []
    assert lineages(link) == before
    link.check_established()


def test_lanes_keep_their_places(ladder):
    a = connection("a@x", "b@x", rekey_time=0.0, life_time=0.0, dpd_delay=0.0)
    b = connection("b@x", "a@x", rekey_time=0.0, life_time=0.0, dpd_delay=0.0)
    link = ladder(config(a, lanes=3), config(b, lanes=2)).establish()
    link.advance(20)
    before = {
        side: sorted((sa.child_id, sa.group, -1 if sa.lane is None else sa.lane) for sa in side.sas.values())
        for side in (link.a, link.b)
    }
    assert len(before[link.a]) == 3
    renew(link)
    link.settle()
    link.advance(20)
    for side, places in before.items():
        assert {group for _, group, _ in places} == {sa.group for sa in side.sas.values()}
        assert len(side.sas) == 3
        assert len([sa for sa in side.sas.values() if sa.lane is None]) == 1
        assert side.happened(IkeClosed) == []
    link.check_pairs()
