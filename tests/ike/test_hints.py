"""Unprotected messages about an established IKE SA: they may make us ask the peer, and nothing else."""

from rhp.ike.errors import Fault
from rhp.ike.events import IkeClosed
from rhp.ike.path import Endpoint, Path
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.message import Message, build_message
from rhp.wire.notify import Notify


def invalid_spi():
    """What a peer without an IKE SA sends when ESP comes that it cannot place."""
    notify = Notify(NotifyType.INVALID_SPI, bytes(4))
    return build_message(Message(bytes(8), bytes(8), ExchangeType.INFORMATIONAL, True, False, 0, (notify,)))


def from_peer(link, datagram):
    status = link.a.engine.status()[0]
    link.give(link.a, datagram, Path(status.path.local, status.path.remote, status.path.natt))


def test_a_peer_that_lives_is_asked_and_nothing_changes(wire):
    link = wire().establish()
    link.wait(5.0)
    from_peer(link, invalid_spi())
    assert len(link.a.sent) == 1
    link.carry(link.a)
    link.carry(link.b)
    link.wait(20.0)
    assert link.a.states() == ["established"]
    assert link.a.engine.counters["checked-after-hint"] == 1


def test_hints_right_after_a_sign_of_life_are_not_looked_at(wire):
    link = wire().establish()
    link.wait(2.0)
    for _ in range(50):
        from_peer(link, invalid_spi())
    assert link.a.sent == []


def test_many_hints_make_one_question(wire):
    link = wire().establish()
    link.wait(5.0)
    for _ in range(50):
        from_peer(link, invalid_spi())
    assert len(link.a.sent) == 1


def test_a_peer_that_has_lost_its_state_is_given_up_soon(wire):
    link = wire().establish()
    link.b = type(link.b)("192.0.2.2", link.b.engine._ctx.config)
    link.wait(5.0)
    from_peer(link, invalid_spi())
    link.carry(link.a)
    # It does not know the IKE SA either, and says so; that is a hint as well.
    link.carry(link.b)
    assert link.a.states() == ["established"]
    link.wait(8.0)
    assert link.a.states() == []
    (closed,) = link.a.happened(IkeClosed)
    assert (closed.reason, closed.fault) == ("peer-unresponsive", Fault.NETWORK)


def test_a_check_that_meets_lost_state_does_not_take_its_whole_time(wire):
    link = wire().establish()
    link.b = type(link.b)("192.0.2.2", link.b.engine._ctx.config)
    link.wait(90.0)
    assert len(link.a.sent) == 1
    link.carry(link.a)
    link.carry(link.b)
    link.wait(8.0)
    assert link.a.states() == []


def test_hints_of_strangers_are_nobody_s(wire):
    link = wire().establish()
    link.wait(5.0)
    here = link.a.engine.status()[0].path.local
    stranger = Endpoint(type(here.ip)("203.0.113.5"), 4500)
    link.give(link.a, invalid_spi(), Path(here, stranger, True))
    assert link.a.sent == []
    assert link.a.engine.counters["unknown-ike-spi"] == 1
