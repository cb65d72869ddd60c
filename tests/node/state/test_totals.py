"""Totals add up over ports that come and go, over peers that come and go, and over restarts."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from rhp.ike import events
from rhp.ike.errors import Fault
from rhp.ike.path import Path
from rhp.node.state.totals import TotalsBook
from rhp.pki.identity import parse_identity

BEGAN = datetime(2026, 6, 1, tzinfo=UTC)
PEER = parse_identity("b.example.org")


@dataclass
class Child:
    """As much of a lineage as is looked at."""

    port: int
    connection: str


class Ports:
    def __init__(self):
        self.counted = {}

    def carry(self, port, octets, packets=1):
        one = self.counted.setdefault(
            port, {"bytes_in": 0, "bytes_out": 0, "packets_in": 0, "packets_out": 0, "drops": 0}
        )
        for name in ("bytes_in", "bytes_out"):
            one[name] += octets
        for name in ("packets_in", "packets_out"):
            one[name] += packets

    def port_counters(self, port):
        return dict(self.counted[port])


@pytest.fixture
def ports():
    return Ports()


@pytest.fixture
def children():
    return []


@pytest.fixture
def book(writer, ports, children):
    one = writer()
    one.open()
    one.start()
    return TotalsBook(one.put, lambda: BEGAN, ports, children)


def established(ike_id, name="office", resumed=False):
    return events.IkeEstablished(ike_id, name, "responder", PEER, Path, "suite", resumed)


def closed(ike_id, name="office"):
    return events.IkeClosed(ike_id, name, PEER, "closed", Fault.NONE)


def shown(book, *names, of=0):
    one = book.picture()[of]
    return tuple(one[name] for name in names)


def test_ports_that_come_and_go_add_up(book, ports, children):
    children.append(Child(1, "office"))
    ports.carry(1, 100)
    book.collect(0)
    book.collect(0)
    ports.carry(1, 50, 2)
    book.ended(children.pop())
    # Another child gets the same number, and counts from zero.
    del ports.counted[1]
    children.append(Child(1, "office"))
    ports.carry(1, 7)
    book.collect(0)
    assert shown(book, "bytes_in", "bytes_out", "packets_in", "packets_out") == (157, 157, 4, 4)


def test_a_connection_is_up_while_any_of_its_peers_is(book):
    book.heard(established(1), 100.0)
    book.heard(established(2, resumed=True), 150.0)
    book.collect(160.5)
    assert shown(book, "up_seconds") == (60,)
    book.heard(closed(1), 170.0)
    book.heard(closed(2), 200.0)
    book.heard(closed(2), 300.0)
    book.collect(400.0)
    assert shown(book, "up_seconds", "handshakes", "resumed") == (100, 2, 1)
    book.heard(established(3), 500.0)
    book.collect(503.0)
    assert shown(book, "up_seconds") == (103,)


def test_what_happened_is_counted_by_connection(book):
    book.heard(events.IkeRekeyed(1, "office", "initiator", "suite"), 0)
    book.heard(events.ChildRekeyed(2, 1, "office", "net", 2, 3, "suite"), 0)
    book.heard(events.IkeReauthenticated(1, "office", "initiator", PEER, Path, "suite", 9), 0)
    book.heard(events.InitiationFailed(1, "office", "timeout", "", Fault.NETWORK), 0)
    book.heard(events.InitiationFailed(1, "office", "closed", "", Fault.NONE), 0)
    book.heard(events.HandshakeRefused(1, "road", Path, "no-proposal", ""), 0)
    # A stranger of whom nobody knows whose peer it would be.
    book.heard(events.HandshakeRefused(1, "", Path, "no-proposal", ""), 0)
    assert shown(book, "connection", "rekeys", "handshakes", "failures") == ("office", 2, 1, 1)
    assert shown(book, "connection", "failures", of=1) == ("road", 1)
    assert len(book.picture()) == 2


def test_totals_outlive_the_node(book, ports, children, writer, rows):
    children.append(Child(1, "office"))
    ports.carry(1, 100)
    book.collect(0)
    book.write()
    first = book._put.__self__
    assert first.flush(60)
    book.write()
    assert not first._waiting
    first.close()
    # One row is nonsense by now.
    second = writer()
    connection = second.open()
    connection.execute("INSERT INTO totals VALUES ('bad', 1, -1, 0, 0, 0, 0, 0, 0, 0, 0)")
    again = TotalsBook(second.put, lambda: BEGAN, Ports(), [])
    again.load(connection)
    second.start()
    assert again.picture() == book.picture()
    assert again.picture()[0]["since"] == "2026-06-01T00:00:00+00:00"


def test_numbers_beyond_what_a_file_can_hold(book, ports, children, rows):
    children.append(Child(1, "office"))
    ports.carry(1, 1 << 70)
    book.collect(0)
    book.write()
    book._put.__self__.close()
    assert rows("SELECT bytes_in FROM totals") == [((1 << 63) - 1,)]
