"""Another configuration while SAs live: what did not change stays, what did is taken over as gently as it can be."""

from dataclasses import replace

import pytest
from ladder_net import LOSE
from ladder_reload import NAMES, QUIET, begin, both_of, of, own, reload, several
from ladder_wishes import SIDES, rekey_child, rekey_ike, sides
from ladder_world import child, config, connection, net, psk_policy

from rhp.guard.secrets import SecretStore
from rhp.ike import reconfigure
from rhp.ike.events import ChildClosed, ChildEstablished, IkeClosed, IkeEstablished, IkeReauthenticated
from rhp.pki.identity import parse_identity
from rhp.realm.pattern import IdentityPattern
from rhp.wire.iana import ExchangeType

# The same again.


@SIDES
def test_the_same_configuration_changes_nothing(two, who):
    link = two()
    side, _ = sides(link, who)
    before, sent = [of(side, name) for name in NAMES], len(link.sent)
    timers = len(side.engine._ctx.timers)
    assert reload(link, side, *own(side)) == {}
    assert [of(side, name) for name in NAMES] == before
    assert len(link.sent) == sent and link.flight == []
    assert len(side.engine._ctx.timers) == timers
    assert side.happened(IkeClosed, ChildClosed) == []


# a                                    b
#  <- a reload without u
#    ---- u: INFORMATIONAL {D} ------>
#    <---------------- {} ------------     t: not a message


@SIDES
def test_a_removed_connection_is_deleted_and_the_other_stays(two, who):
    link = two()
    side, other = sides(link, who)
    stays, sent = of(side, "t"), len(link.sent)
    reload(link, side, own(side)[0])
    link.settle()
    assert len(link.sent) == sent + 2
    assert of(side, "t") == stays and of(side, "u") == ([], [])
    assert of(other, "u") == ([], [])
    (closed,) = side.happened(IkeClosed)
    assert (closed.connection, closed.reason) == ("u", "connection-removed")
    (heard,) = other.happened(IkeClosed)
    assert (heard.connection, heard.reason) == ("u", "deleted-by-peer")


def test_an_added_connection_serves_at_once(two):
    link = two()
    before = of(link.a, "t"), of(link.a, "u")
    more = both_of("v")
    for side in (link.a, link.b):
        side.guard = SecretStore(psk_policy(b"another key", *NAMES, "v"))
    reload(link, link.b, *own(link.b), more[1])
    reload(link, link.a, *own(link.a), more[0])
    begin(link, "v")
    link.settle()
    assert (of(link.a, "t"), of(link.a, "u")) == before
    assert of(link.b, "v")[0][0][2] == "established"
    assert link.a.happened(IkeClosed) == link.b.happened(IkeClosed) == []


# What only concerns the next exchange is taken over where it stands.


@SIDES
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("proposals", connection("a", "b", ike=("aes256gcm16-prfsha384-x25519",)).proposals),
        ("mobike", False),
        ("childless", "prefer"),
        ("resumption", True),
        ("follow_redirects", True),
        ("unique", "keep"),
        ("dpd_delay", 30.0),
        ("start", "initiate"),
        ("rekey_time", 7200.0),
        ("reauth_time", 7200.0),
        ("pools", ("staff",)),
    ],
)
def test_a_setting_is_taken_over_without_cutting(two, who, key, value):
    link = two()
    side, _ = sides(link, who)
    before, sent = [of(side, name) for name in NAMES], len(link.sent)
    first, second = own(side)
    changes = reload(link, side, replace(first, **{key: value}), second)
    assert changes["t"].keys == (key,)
    link.settle()
    assert [of(side, name) for name in NAMES] == before
    assert len(link.sent) == sent
    assert side.happened(IkeClosed, ChildClosed) == []
    assert getattr(side.engine._ctx.table.by_id(side.engine.status("t")[0].ike_id).config, key) == value


def test_a_shorter_lifetime_counts_from_the_beginning_and_ends_nothing_at_once(two):
    link = two(rekey_time=14400.0, life_time=15840.0)
    link.advance(7200.0)
    before = of(link.a, "t")[0]
    first, second = own(link.a)
    reload(link, link.a, replace(first, rekey_time=3600.0, life_time=3960.0), second)
    link.settle()
    assert of(link.a, "t")[0] == before
    # Half of its time and more is over already, so the rekey comes within a minute: not at once, and not never.
    link.advance(61.0)
    assert of(link.a, "t")[0] != before
    assert len(link.a.happened(IkeClosed)) == 0
    assert link.a.states() == link.b.states() == ["established"] * 2


def test_a_lifetime_where_there_was_none(two):
    link = two(rekey_time=0.0, life_time=0.0)
    before = of(link.a, "t")[0]
    reload(link, link.a, *(replace(one, rekey_time=3600.0, life_time=3960.0) for one in own(link.a)))
    link.advance(3601.0)
    assert of(link.a, "t")[0] != before
    assert link.a.happened(IkeClosed) == []


def test_other_proposals_are_used_at_the_next_rekey(two):
    link = two()
    wanted = connection("a", "b", ike=("aes256gcm16-prfsha384-x25519",)).proposals
    both = [replace(one, proposals=(*wanted, *one.proposals)) for one in own(link.a)]
    mirror = [replace(one, proposals=(*wanted, *one.proposals)) for one in own(link.b)]
    reload(link, link.a, *both)
    reload(link, link.b, *mirror)
    assert not link.flight
    link.call(link.a, "rekey_ike", link.a.engine.status("t")[0].ike_id)
    link.settle()
    assert "aes256" in link.a.engine.status("t")[0].suite
    assert "aes128" in link.a.engine.status("u")[0].suite


# Identities and addresses: what both agreed on holds no longer.


@pytest.mark.parametrize(
    ("key", "changed"),
    [
        ("remote.id", lambda one: replace(one, remote=replace(one.remote, pattern=IdentityPattern.parse("*@x")))),
        ("local.id", lambda one: replace(one, local=replace(one.local, identity=parse_identity("c@x")))),
        ("encapsulation", lambda one: replace(one, encapsulation="auto")),
        ("remote_natt_port", lambda one: replace(one, remote_natt_port=4501)),
        ("request_addresses", lambda one: replace(one, request_addresses=True)),
    ],
)
@SIDES
def test_what_both_sides_agreed_on_begins_anew(two, who, key, changed):
    link = two()
    side, other = sides(link, who)
    stays = of(side, "u")
    first, second = own(side)
    changes = reload(link, side, changed(first), second)
    assert changes["t"].keys == (key,)
    link.settle()
    assert of(side, "t") == of(other, "t") == ([], [])
    assert of(side, "u") == stays
    (closed,) = side.happened(IkeClosed)
    assert closed.reason in reconfigure.BEGIN_ANEW


def test_other_host_names_begin_anew(two):
    link = two()
    changes = reload(link, link.a, *own(link.a), moved=("t",))
    link.settle()
    assert changes["t"].keys == ("remote_addrs",)
    assert of(link.a, "t") == ([], [])
    assert of(link.a, "u")[0]


# a                                    b          t has another key at both ends
#    ---- IKE_SA_INIT, IKE_AUTH ----->            a new IKE SA, proved by the new key
#    ---- {D} on the old one -------->


def test_another_key_is_proved_without_a_gap(two):
    link = two()
    before, stays = of(link.a, "t"), of(link.a, "u")
    children = [sa.child_id for sa in link.a.sas.values()]
    for side in (link.b, link.a):
        side.guard = SecretStore(psk_policy(b"another key of both", *NAMES))
        reload(link, side, *own(side), fresh=("t",))
        link.settle() if side is link.a else link.flight.clear()
    link.advance(15.0)
    assert of(link.a, "u") == stays
    assert of(link.a, "t")[0] != before[0]
    assert len(link.a.happened(IkeReauthenticated)) == 1
    assert link.a.happened(IkeClosed, ChildClosed) == link.b.happened(IkeClosed, ChildClosed) == []
    assert sorted(sa.child_id for sa in link.a.sas.values()) == sorted(children)


def test_the_side_that_was_called_asks_for_a_new_proof(two):
    link = two()
    stays = of(link.b, "u")
    for side in (link.a, link.b):
        side.guard = SecretStore(psk_policy(b"another key of both", *NAMES))
    reload(link, link.b, *own(link.b), fresh=("t",))
    link.settle()
    assert of(link.b, "t")[0]
    link.advance(reconfigure.RENEW_TIME)
    assert len(link.b.happened(IkeReauthenticated)) == 1
    assert link.b.happened(IkeClosed, ChildClosed) == []
    assert of(link.b, "u") == stays


@SIDES
def test_a_key_that_the_peer_does_not_have_ends_the_old_sa_in_time(two, who):
    link = two()
    side, other = sides(link, who)
    stays = of(side, "u")
    side.guard = SecretStore(psk_policy(b"a key of one side", *NAMES))
    reload(link, side, *own(side), fresh=("t",))
    link.settle()
    assert of(side, "t")[0], "nobody is cut before the time"
    link.advance(reconfigure.RENEW_TIME + 5.0)
    assert of(side, "t") == of(other, "t") == ([], [])
    assert of(side, "u") == stays


# While something is under way.


@pytest.mark.parametrize("delivered", range(4))
@pytest.mark.parametrize("what", ["same", "setting", "anew", "removed"])
@SIDES
def test_during_a_handshake(ladder, who, delivered, what):
    link = ladder(config(connection("a@x", "b@x", **QUIET)), config(connection("b@x", "a@x", **QUIET)))
    side, _ = sides(link, who)
    begin(link, "t")
    for _ in range(delivered):
        link.deliver()
    (one,) = own(side)
    changed = {
        "same": (one,),
        "setting": (replace(one, dpd_delay=5.0),),
        "anew": (replace(one, encapsulation="auto"),),
        "removed": (),
    }[what]
    reload(link, side, *changed)
    link.advance(0.0)
    link.settle()
    if what in ("same", "setting"):
        assert link.a.states() == link.b.states() == ["established"]
        assert side.sa().config is changed[0]
        assert link.a.happened(IkeClosed) == []
    elif what == "removed":
        link.advance(60.0)
        assert link.a.states() == link.b.states() == []
    else:
        # Half-open, b does not yet know who is there; whoever comes up then does so by the new form.
        link.advance(60.0)
        left = {sa.config for sa in side.table.sas()}
        assert left <= set(changed)


@pytest.mark.parametrize("renewed", [rekey_child, rekey_ike])
@pytest.mark.parametrize("moment", range(3))
@SIDES
def test_during_a_rekey(ladder, who, moment, renewed):
    link = ladder(config(connection("a@x", "b@x", **QUIET)), config(connection("b@x", "a@x", **QUIET)))
    link.establish()
    side, _ = sides(link, who)
    renewed(link, link.a)
    for _ in range(moment):
        link.deliver()
    (one,) = own(side)
    changed = replace(one, dpd_delay=77.0, children=(replace(one.children[0], replay_window=64),))
    reload(link, side, changed)
    link.settle()
    link.advance(20.0)
    link.check_established()
    assert side.sa().config is changed
    assert [child.terms.config for child in side.sa().children.values()] == [changed.children[0]]
    assert link.a.happened(IkeClosed, ChildClosed) == link.b.happened(IkeClosed, ChildClosed) == []


@pytest.mark.parametrize("moment", range(3))
def test_a_child_whose_selectors_change_while_it_is_made_or_replaced_goes(ladder, moment):
    made = several(1, 2)
    link = ladder(
        config(connection("a@x", "b@x", children=made["children"], **QUIET)),
        config(connection("b@x", "a@x", children=made["mirror"], **QUIET)),
    )
    link.establish()
    link.call(link.a, "create_child", link.a.status().ike_id, "n2")
    for _ in range(moment):
        link.deliver()
    (one,) = own(link.a)
    wider = replace(one.children[1], local_ts=(net("10.5.0.0/16"),))
    reload(link, link.a, replace(one, children=(one.children[0], wider)))
    link.settle()
    assert [child.name for child in link.a.status().children] == ["n1"]
    assert [child.name for child in link.b.status().children] == ["n1"]
    assert link.a.happened(IkeClosed) == []


def test_a_connection_removed_while_nobody_answers(two):
    link = two()
    link.fate = lambda packet: LOSE
    reload(link, link.a, own(link.a)[0])
    link.advance(30.0)
    assert of(link.a, "u") == ([], [])


# Again and again.


def test_twice_in_a_row(two):
    link = two()
    stays = of(link.a, "u")
    first, second = own(link.a)
    reload(link, link.a, replace(first, encapsulation="auto"), second)
    reload(link, link.a, second)
    link.settle()
    assert of(link.a, "t") == ([], []) and of(link.a, "u") == stays
    assert len(link.a.happened(IkeClosed)) == 1


def test_a_hundred_reloads_leave_nothing_behind(two):
    link = two(rekey_time=0.0, life_time=0.0, children=(child(rekey_time=0.0, life_time=0.0),))
    stays = of(link.a, "u")
    first, second = own(link.a)
    before: list = []
    for number in range(100):
        reload(link, link.a, second)
        link.settle()
        reload(link, link.a, replace(first, dpd_delay=float(number)), second)
        begin(link, "t")
        link.settle()
        reload(link, link.a, replace(first, dpd_delay=number + 0.5), second)
        link.settle()
        link.advance(40.0)
        sizes = [side.sizes() for side in link.sides]
        before = before or sizes
        assert sizes == before
    assert of(link.a, "u") == stays
    assert len(link.a.happened(IkeEstablished)) == 102
    assert len(link.a.happened(ChildEstablished)) == 102
    link.call(link.a, "close_all")
    link.settle()
    link.advance(60.0)
    for side in link.sides:
        side.check_empty()


def test_nothing_is_sent_to_those_that_did_not_change(two):
    link = two()
    stay = link.a.engine.status("u")[0]
    sent = len(link.sent)
    first, second = own(link.a)
    for changed in (replace(first, encapsulation="auto"), replace(first, local_addrs=first.remote_addrs), None):
        reload(link, link.a, *((changed,) if changed else ()), second)
        link.settle()
    spis = {packet.header.spi_i for packet in link.sent[sent:]}
    assert stay.spi_i not in spis
    assert all(packet.header.exchange == ExchangeType.INFORMATIONAL for packet in link.sent[sent:])


def test_a_renewal_under_way_gives_way_to_one_by_the_newer_settings(two):
    link = two()
    stays = of(link.a, "u")
    link.call(link.a, "reauthenticate", link.a.engine.status("t")[0].ike_id)
    for side in (link.a, link.b):
        side.guard = SecretStore(psk_policy(b"another key of both", *NAMES))
    first, second = own(link.a)
    reload(link, link.a, replace(first, dpd_delay=44.0), second, fresh=("t",))
    link.advance(40.0)  # Until b has forgotten the handshake that came to nothing.
    assert of(link.a, "u") == stays
    (sa,) = link.a.engine.status("t")
    assert sa.state == "established" and link.a.table.by_id(sa.ike_id).config.dpd_delay == 44.0
    assert len(of(link.b, "t")[0]) == 1
