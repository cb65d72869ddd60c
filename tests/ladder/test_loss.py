"""Every message of every exchange once lost and once doubled: the same end, and nothing done twice."""

import pytest

from rhp.ike.events import (
    ChildClosed,
    ChildEstablished,
    ChildRekeyed,
    IkeClosed,
    IkeEstablished,
    IkeRekeyed,
    StateChanged,
)


def handshake(link):
    link.initiate()


def further_child(link):
    link.call(link.a, "create_child", link.a.status().ike_id, "ethernet")


def child_rekey(link):
    link.call(link.a, "rekey_child", link.a.child().child_id)


def child_rekey_by_responder(link):
    link.call(link.b, "rekey_child", link.b.child().child_id)


def ike_rekey(link):
    link.call(link.a, "rekey_ike", link.a.status().ike_id)


def ike_rekey_by_responder(link):
    link.call(link.b, "rekey_ike", link.b.status().ike_id)


def child_delete(link):
    link.call(link.a, "delete_child", link.a.child().child_id)


def ike_delete(link):
    link.call(link.b, "close", link.b.status().ike_id)


EXCHANGES = {
    handshake: (4, 1, {IkeEstablished: 1, ChildEstablished: 1, ChildRekeyed: 0, ChildClosed: 0, IkeClosed: 0}),
    further_child: (2, 2, {IkeEstablished: 1, ChildEstablished: 2, ChildRekeyed: 0, ChildClosed: 0, IkeClosed: 0}),
    child_rekey: (4, 1, {IkeEstablished: 1, ChildEstablished: 1, ChildRekeyed: 1, ChildClosed: 0, IkeClosed: 0}),
    child_rekey_by_responder: (4, 1, {ChildEstablished: 1, ChildRekeyed: 1, ChildClosed: 0, IkeClosed: 0}),
    ike_rekey: (4, 1, {IkeEstablished: 1, IkeRekeyed: 1, ChildEstablished: 1, ChildClosed: 0, IkeClosed: 0}),
    ike_rekey_by_responder: (
        4,
        1,
        {IkeEstablished: 1, IkeRekeyed: 1, ChildEstablished: 1, ChildClosed: 0, IkeClosed: 0},
    ),
    child_delete: (2, 0, {IkeEstablished: 1, ChildEstablished: 1, ChildClosed: 1, IkeClosed: 0}),
    ike_delete: (2, 0, {IkeEstablished: 1, ChildEstablished: 1, ChildClosed: 1, IkeClosed: 1}),
}
CASES = [(exchange, index) for exchange, (messages, _, _) in EXCHANGES.items() for index in range(messages)]
IDS = [f"{exchange.__name__}-{index}" for exchange, index in CASES]


def begin(ladder, exchange):
    link = ladder()
    if exchange is not handshake:
        link.establish()
        link.advance(1)
    exchange(link)
    return link


def news(side):
    return [event for event in side.events if not isinstance(event, StateChanged)]


def assert_end(link, exchange):
    _, pairs, events = EXCHANGES[exchange]
    assert link.flight == []
    link.check_pairs()
    for side in (link.a, link.b):
        assert len(side.sas) == pairs
        assert all(sa.outbound_active for sa in side.sas.values())
        # An old IKE_SA_INIT that comes again begins a half-open SA that nobody goes on with.
        states = [state for state in side.states() if state != "half-open"]
        assert states == ([] if events[IkeClosed] else ["established"])
        for kind, count in events.items():
            assert len(side.happened(kind)) == count, kind


@pytest.mark.parametrize(("exchange", "index"), CASES, ids=IDS)
def test_lost_once(ladder, exchange, index):
    link = begin(ladder, exchange)
    for _ in range(index):
        link.deliver()
    link.drop()
    link.advance(5)
    assert_end(link, exchange)
    assert link.a.engine.counters["retransmitted"] + link.b.engine.counters["retransmitted"] == 1


@pytest.mark.parametrize(("exchange", "index"), CASES, ids=IDS)
def test_doubled(ladder, exchange, index):
    link = begin(ladder, exchange)
    for _ in range(index):
        link.deliver()
    twin = link.flight[0]
    link.settle()
    link.hand_over(twin, "again")
    link.settle()
    assert_end(link, exchange)


@pytest.mark.parametrize(("exchange", "index"), CASES, ids=IDS)
def test_doubled_at_once(ladder, exchange, index):
    link = begin(ladder, exchange)
    for _ in range(index):
        link.deliver()
    link.hand_over(link.flight[0], "twin")
    link.settle()
    assert_end(link, exchange)


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.__name__)
def test_heavy_loss_and_reordering(ladder, exchange):
    link = begin(ladder, exchange)
    link.lost = lambda packet: link.chance.random() < 0.3
    link.advance(12)
    link.lost = lambda packet: False
    link.advance(25)
    _, pairs, events = EXCHANGES[exchange]
    link.check_pairs()
    assert len(link.a.sas) == pairs or events[IkeClosed]


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.__name__)
def test_everything_replayed_afterwards(ladder, exchange):
    link = ladder()
    seen = []

    def watch(packet):
        seen.append(packet)
        return False

    link.lost = watch
    if exchange is not handshake:
        link.establish()
    exchange(link)
    link.settle()
    before = [news(side) for side in link.sides]
    for packet in seen + seen[::-1]:
        link.hand_over(packet, "replayed")
    # The answers to replayed requests are the old ones, so they are not news for anybody either.
    link.settle()
    assert before == [news(side) for side in link.sides]
    assert_end(link, exchange)
    link.advance(61)
    assert "half-open" not in link.b.states()
    assert_end(link, exchange)
