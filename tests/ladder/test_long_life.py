"""Days pass in milliseconds: rekeys, checks and keep-alives go on, and nothing grows."""

from ladder_nat import Nat
from ladder_net import LOSE, A
from ladder_world import config, connection, tunnel

from rhp.ike.events import ChildClosed, ChildFailed, ChildRekeyed, EngineFault, IkeClosed, IkeRekeyed

DAY = 86400.0
TROUBLE = (ChildClosed, ChildFailed, IkeClosed, EngineFault)


def two_children(local, remote):
    return (tunnel("one", (local,), (remote,)), tunnel("two", (local,), (remote,)))


def test_a_day(ladder):
    link = ladder().establish()
    ids = link.a.status().ike_id, link.a.child().child_id
    link.advance(3600 * 4)
    sizes = [side.sizes() for side in link.sides]
    link.advance(DAY)
    link.check_established()
    assert (link.a.status().ike_id, link.a.child().child_id) == ids
    assert link.a.happened(*TROUBLE) == link.b.happened(*TROUBLE) == []
    assert 24 <= len(link.a.happened(ChildRekeyed)) <= 40
    assert 6 <= len(link.a.happened(IkeRekeyed)) <= 10
    assert len(link.a.gone) == len(link.a.happened(ChildRekeyed))
    assert [side.sizes() for side in link.sides] == sizes
    # The heap does not keep what was cancelled.
    assert all(len(side.engine._ctx.timers._heap) < 4000 for side in link.sides)


def test_a_day_behind_a_nat_over_a_bad_network(ladder):
    more = {"dpd_delay": 600, "encapsulation": "auto", "keepalive": 600}
    a = config(connection("a@x", "b@x", children=two_children("10.1.0.0/16", "10.2.0.0/16"), **more))
    b = config(connection("b@x", "a@x", children=two_children("10.2.0.0/16", "10.1.0.0/16"), **more))
    link = ladder(a, b, nat=Nat(A)).establish()
    link.call(link.a, "create_child", link.a.status().ike_id, "two")
    link.settle()
    link.fate = lambda packet: LOSE if link.chance.random() < 0.1 else "deliver"
    link.advance(DAY)
    link.fate = lambda packet: "deliver"
    link.advance(100)
    link.check_established(children=2)
    assert link.a.happened(*TROUBLE) == link.b.happened(*TROUBLE) == []
    assert link.a.sizes()["ike"] == link.b.sizes()["ike"] == 1
    assert link.a.sizes()["tombstones"] == link.b.sizes()["tombstones"] == 0


def test_many_ike_sas_come_and_go(ladder):
    link = ladder(config(connection("a@x", "b@x", dpd_delay=0)), config(connection("b@x", "a@x", dpd_delay=0)))
    for number in range(300):
        side = link.sides[number % 2]
        link.initiate(side)
        link.settle()
        link.check_established()
        closer = link.sides[number // 2 % 2]
        link.call(closer, "close", closer.status().ike_id)
        link.settle()
    link.advance(100)
    link.check_empty()
