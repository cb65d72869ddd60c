"""Another configuration of what an IKE SA carries: its children, and the addresses that it has on loan."""

from dataclasses import replace

import pytest
from ladder_reload import QUIET, of, own, reload, several
from ladder_wishes import SIDES, sides
from ladder_world import config, connection, net, tunnel

from rhp.ike.events import ChildClosed, IkeClosed
from rhp.realm.pool import PoolConfig, Span


@SIDES
def test_a_child_whose_selectors_change_goes_and_the_others_stay(two, who):
    link = two(**several(1, 2))
    link.call(link.a, "create_child", link.a.engine.status("t")[0].ike_id, "n2")
    link.settle()
    side, other = sides(link, who)
    ike, pairs = of(side, "t")
    first, second = own(side)
    wider = replace(first.children[0], local_ts=(net("10.5.0.0/16"),))
    changes = reload(link, side, replace(first, children=(wider, first.children[1])), second)
    assert changes["t"].keys == ("children.n1.local_ts",)
    link.settle()
    assert of(side, "t")[0] == ike, "the IKE SA stays"
    (closed,) = side.happened(ChildClosed)
    assert (closed.child_name, closed.reason) == ("n1", "child-changed")
    assert len(of(side, "t")[1]) == len(pairs) - 1 == 1
    assert len(other.happened(ChildClosed)) == 1


def test_a_removed_child_goes_and_an_added_one_can_be_made(two):
    link = two(**several(1, 2))
    before, after = several(1), several(2, 3)
    assert before
    for side, children in ((link.a, after["children"]), (link.b, after["mirror"])):
        first, second = own(side)
        reload(link, side, replace(first, children=children), second)
        link.settle()
    assert [one.reason for one in link.a.happened(ChildClosed)] == ["child-removed"]
    ike = link.a.engine.status("t")[0]
    for name in ("n2", "n3"):
        link.call(link.a, "create_child", ike.ike_id, name)
        link.settle()
    assert sorted(one.name for one in link.a.engine.status("t")[0].children) == ["n2", "n3"]
    assert link.a.happened(IkeClosed) == []


def test_a_childs_settings_are_used_at_its_next_rekey(two):
    link = two()
    for side in (link.a, link.b):
        first, second = own(side)
        other = replace(first.children[0], replay_window=256, rekey_packets=1 << 20, life_packets=1 << 21)
        changes = reload(link, side, replace(first, children=(other,)), second)
        assert set(changes["t"].keys) == {"children.ethernet.replay_window", "children.ethernet.rekey_packets"}
    assert not link.flight
    (child,) = link.a.engine.status("t")[0].children
    link.call(link.a, "rekey_child", child.child_id)
    link.settle()
    newest = max(sa.spi_in for sa in link.a.sas.values() if sa.connection == "t")
    assert link.a.sas[newest].replay_window == 256
    assert link.a.happened(ChildClosed) == []


# Pools.


def lending(*spans):
    made = (Span(net(f"{first}/32").start, net(f"{last}/32").start) for first, last in spans)
    return PoolConfig("staff", tuple(made), 32)


@pytest.fixture
def lent(ladder):
    """A client with an address from a pool of b."""
    client = connection("a@x", "b@x", children=(tunnel("n", (), ("10.2.0.0/16",)),), request_addresses=True, **QUIET)
    gateway = connection("b@x", "a@x", children=(tunnel("n", ("10.2.0.0/16",), ()),), pools=("staff",), **QUIET)
    link = ladder(config(client), config(gateway, pools=(lending(("10.88.0.1", "10.88.0.9")),)))
    link.establish()
    return link


def test_a_pool_that_grows_keeps_its_loans(lent):
    before = of(lent.b, "t")
    reload(lent, lent.b, *own(lent.b), pools=(lending(("10.88.0.1", "10.88.0.99")),))
    lent.settle()
    assert of(lent.b, "t") == before
    assert lent.b.engine.pools()[0].online == 1


@pytest.mark.parametrize("left", [(lending(("10.88.0.5", "10.88.0.9")),), ()])
def test_an_address_that_is_taken_out_of_its_pool_ends_with_its_sa(lent, left):
    reload(lent, lent.b, *own(lent.b), pools=left)
    lent.settle()
    assert of(lent.a, "t") == of(lent.b, "t") == ([], [])
    (closed,) = lent.b.happened(IkeClosed)
    assert closed.reason == "address-withdrawn"


def test_a_pool_that_the_connection_no_longer_names(lent):
    (one,) = own(lent.b)
    pools = lent.b.engine._ctx.config.pools
    reload(lent, lent.b, replace(one, pools=()), pools=pools)
    lent.settle()
    assert of(lent.b, "t") == ([], [])
