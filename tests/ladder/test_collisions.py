"""Both sides want something at the same moment: whatever it is, they end with the same SAs and nothing half done."""

from itertools import product

import pytest
from ladder_net import DELIVER, LOSE
from ladder_wishes import close, create_child, delete_child, rekey_child, rekey_ike
from ladder_world import child, config, connection

from rhp.ike.errors import LocalError
from rhp.ike.events import ChildClosed, IkeClosed, IkeRekeyed
from rhp.wire.iana import NotifyType

VERBS = [rekey_child, rekey_ike, create_child, delete_child, close]
PAIRS = list(product(VERBS, VERBS))
IDS = [f"{one.__name__}-{other.__name__}" for one, other in PAIRS]


def expected_pairs(one, other):
    """How many pairs are left when both had their will."""
    if close in (one, other):
        return 0
    return 1 + (one, other).count(create_child) - (delete_child in (one, other))


def check_converged(link, one, other):
    """All has come to rest: the same pairs on both sides, no IKE SA or timer that nobody needs."""
    link.advance(100)
    if close in (one, other):
        link.check_empty()
        assert len(link.a.happened(IkeClosed)) == len(link.b.happened(IkeClosed)) == 1
        return
    link.check_established(children=expected_pairs(one, other))
    assert all(sa.outbound_active for side in link.sides for sa in side.sas.values())
    assert all(pair.state == "installed" for side in link.sides for pair in side.status().children)
    assert link.a.sizes() | {"timers": 0} == link.b.sizes() | {"timers": 0}
    assert link.a.sizes()["ike"] == 1
    assert link.a.happened(IkeClosed) == link.b.happened(IkeClosed) == []


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=IDS)
def test_requests_cross(ladder, one, other):
    link = ladder().establish()
    link.advance(1)
    # a --- one ---> . <--- other --- b
    one(link, link.a)
    other(link, link.b)
    assert {packet.sender for packet in link.flight} == {"a", "b"}
    link.settle()
    check_converged(link, one, other)


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=IDS)
def test_request_meets_the_answer(ladder, one, other):
    # a --- one ---> b; b begins the other before its answer has arrived, and its request overtakes the answer.
    link = ladder().establish()
    link.advance(1)
    one(link, link.a)
    link.deliver()
    try:
        other(link, link.b)
    except (LocalError, ValueError):
        # The first verb has left nothing to do it to.
        return
    link.flight.reverse()
    link.settle()
    if lost_purpose(one, other):
        link.advance(100)
    else:
        check_converged(link, one, other)


def lost_purpose(one, other):
    """Whether the second verb cannot come true any more, because the first one took its object away."""
    return one is close or (one is delete_child and other in (rekey_child, delete_child))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("one", "other"), PAIRS, ids=IDS)
def test_requests_cross_over_a_bad_network(ladder, one, other, seed):
    link = ladder(seed=seed).establish()
    link.advance(1)
    one(link, link.a)
    other(link, link.b)
    # For some seconds one message in three is lost, and the rest arrives in any order.
    link.fate = lambda packet: LOSE if link.chance.random() < 0.33 else DELIVER
    for _ in range(3):
        link.chance.shuffle(link.flight)
        link.advance(1)
    link.fate = lambda packet: DELIVER
    if close in (one, other):
        # A DELETE that is lost three times is not sent again: the other side finds out by its liveness check.
        link.advance(200)
    check_converged(link, one, other)


def test_same_lifetimes_without_jitter(ladder):
    # The worst case: both sides' clocks run out at the very same moment, again and again.
    children = (child(rekey_time=100, life_time=130),)
    same = {"children": children, "jitter": 0, "rekey_time": 250, "life_time": 300}
    link = ladder(config(connection("a@x", "b@x", **same)), config(connection("b@x", "a@x", **same))).establish()
    start = link.a.child().child_id
    for _ in range(20):
        link.advance(100)
        assert link.a.states() == link.b.states() == ["established"]
        assert all(len(side.sas) in (1, 2) for side in link.sides)
    link.advance(20)
    link.check_established()
    assert link.a.child().child_id == start
    assert link.a.happened(ChildClosed, IkeClosed) == link.b.happened(ChildClosed, IkeClosed) == []


def test_rekey_of_a_child_that_is_being_deleted(ladder):
    # a --- D(child) ---> . <--- N(REKEY_SA) --- b: section 2.25 wants TEMPORARY_FAILURE
    link = ladder().establish()
    delete_child(link, link.a)
    rekey_child(link, link.b)
    link.deliver(1)
    answer = link.read(link.flight[-1])
    assert answer.notify(NotifyType.TEMPORARY_FAILURE) is not None
    link.settle()
    link.advance(20)
    link.check_established(children=0)


def test_child_in_the_making_while_the_ike_sa_is_rekeyed(ladder):
    # a --- CREATE_CHILD_SA(child) ---> . <--- CREATE_CHILD_SA(IKE) --- b: section 2.25.2
    link = ladder().establish()
    create_child(link, link.a)
    rekey_ike(link, link.b)
    answers = []
    link.deliver(1)
    answers.append(link.read(link.flight[-1]))
    link.deliver(0)
    answers.append(link.read(link.flight[-1]))
    assert all(answer.notify(NotifyType.TEMPORARY_FAILURE) is not None for answer in answers)
    link.settle()
    link.advance(20)
    assert len(link.a.happened(IkeRekeyed)) == 1
