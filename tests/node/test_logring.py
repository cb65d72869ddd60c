"""The ring behind `rhp log`: bounded, and choosable by what was really said."""

import logging

import pytest

from rhp.node.log import EventLog
from rhp.node.logring import LONGEST_LINE, LogRing, wants


def everything(line):
    return True


@pytest.fixture
def logger():
    found = logging.getLogger("rhp")
    before = found.level, found.propagate
    found.setLevel(logging.DEBUG)
    found.propagate = False
    yield found
    found.level, found.propagate = before


@pytest.fixture
def ring(logger):
    made = LogRing(lambda line: made.told.append(line), kept=10)
    made.told = []
    made.attach()
    yield made
    made.detach()
    made.detach()


def test_a_line_is_kept_with_its_words_and_fields(ring):
    EventLog(lambda: 0.0).write("ike established", connection="office", peer="C=CH, O=a b", spi_in="0000a001")
    (line,) = ring.lines(everything, 100)
    assert (line["number"], line["level"], line["event"]) == (1, "info", "ike established")
    assert line["fields"] == {"connection": "office", "peer": "C=CH, O=a b", "spi_in": "0000a001"}
    assert line["text"] == 'ike established connection=office peer="C=CH, O=a b" spi_in=0000a001'
    assert line["time"].endswith("+00:00")
    assert ring.told == [line]


def test_only_the_newest_lines_are_kept(ring, logger):
    for number in range(25):
        logger.info("node stopped pid=%d", number)
    assert [line["fields"]["pid"] for line in ring.lines(everything, 100)] == [str(one) for one in range(15, 25)]
    assert [line["number"] for line in ring.lines(everything, 2)] == [24, 25]
    assert ring.lines(everything, 0) == []


def test_lines_are_chosen_by_level_and_connection(ring, logger):
    log = EventLog(lambda: 0.0)
    log.write("ike established", connection="office")
    log.write("ike established", connection="branch")
    log.write("connecting failed", connection="office")
    logger.error("engine fault")

    def chosen(**fields):
        return [(line["event"], line["fields"].get("connection")) for line in ring.lines(wants(fields), 100)]

    assert chosen(level="error") == [("engine fault", None)]
    assert chosen(connection="office") == [("ike established", "office"), ("connecting failed", "office")]
    assert chosen(connection="office", level="warning") == [("connecting failed", "office")]


@pytest.mark.parametrize("peer", ["x connection=office", '" connection=office "', "\\ connection=office", "a\nb c=d"])
def test_a_peer_s_name_is_never_taken_for_a_field(ring, peer):
    EventLog(lambda: 0.0).write("authentication failed", connection="branch", peer=peer)
    (line,) = ring.lines(everything, 1)
    assert line["fields"] == {"connection": "branch", "peer": peer}
    assert ring.lines(wants({"connection": "office"}), 1) == []


def test_a_traceback_is_kept_and_long_lines_are_cut(ring, logger):
    try:
        raise RuntimeError("a bug")
    except RuntimeError:
        logger.exception("step failed")
    logger.info("x" * 100_000)
    first, second = ring.lines(everything, 2)
    assert first["event"] == "step failed"
    assert first["text"].endswith("RuntimeError: a bug")
    assert len(second["text"]) <= LONGEST_LINE + 3


def test_after_detaching_nothing_is_kept(ring, logger):
    ring.detach()
    logger.info("node stopped")
    assert ring.lines(everything, 1) == []
