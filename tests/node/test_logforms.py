"""The forms of the log, its levels by subsystem, and what one peer can make of it."""

import io
import json
import logging
import os
import socket
import struct
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import pytest

from rhp.ike.path import Endpoint
from rhp.ike.path import Path as IkePath
from rhp.node.journald import JournalHandler
from rhp.node.log import FLUSHED_SOURCES, SOURCE_BURST, EventLog, set_up
from rhp.node.logforms import JsonFormatter, handler_for
from rhp.node.ratelimit import MOST_SOURCES, SourceLimits
from rhp.node.subsystems import AUDIT, LISTED, NODE, SUBSYSTEMS, subsystem_of
from rhp.node.vocabulary import EVENTS

HERE = Endpoint(ip_address("192.0.2.1"), 4500)


@pytest.fixture
def clean():
    """Take back what `set_up` did."""
    yield
    logger = logging.getLogger("rhp")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True
    for name in ("rhp", *(f"rhp.{name}" for name in SUBSYSTEMS)):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def written(clean):
    """Set the log up and give its stream."""

    def make(level="debug", **options):
        stream = io.StringIO()
        set_up(level, stream, **options)
        return stream

    return make


@pytest.fixture
def journal(tmp_path):
    """A journal that keeps its datagrams, as systemd's would get them."""

    class Listening(NamedTuple):
        path: Path
        socket: socket.socket

        def entry(self):
            return fields_of(self.socket.recv(65536))

    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        listening.setblocking(False)
        yield Listening(path, listening)


def path_from(ip, port=4500):
    return IkePath(HERE, Endpoint(ip_address(ip), port), True)


def fields_of(entry):
    """Read an entry of the journal's native protocol."""
    found = {}
    while entry:
        line, _, rest = entry.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", rest[:8])
            value, rest = rest[8 : 8 + length], rest[8 + length + 1 :]
        found[name.decode()] = value.decode()
        entry = rest
    return found


def test_every_event_belongs_to_one_subsystem():
    assert set(LISTED) == set(SUBSYSTEMS) - {NODE}
    listed = [event for events in LISTED.values() for event in events]
    assert len(listed) == len(set(listed))
    assert set(listed) <= set(EVENTS)
    assert subsystem_of("ike established") == "ike"
    assert subsystem_of("configuration warning") == NODE
    assert subsystem_of("command") == AUDIT


def test_a_subsystem_has_its_own_level(written):
    stream = written("warning", levels={"ike": "debug", "link": "error"})
    log = EventLog(lambda: 0.0)
    log.write("ike state", connection="office", old="connecting", new="authenticating")
    log.write("child established", connection="office")
    log.write("route skipped", reason="no-source")
    log.write("path refused", connection="office")
    log.write("tap lost", interface="rhp0")
    assert [line.split(maxsplit=2)[2] for line in stream.getvalue().splitlines()] == [
        "ike state connection=office old=connecting new=authenticating",
        "path refused connection=office",
        "tap lost interface=rhp0",
    ]


def test_the_audit_is_written_whatever_the_level(written):
    stream = written("error")
    EventLog(lambda: 0.0).write("command", command="down", uid=0, client=7, outcome="done")
    assert stream.getvalue().endswith("INFO    command command=down uid=0 client=7 outcome=done\n")
    stream = written("error", levels={"audit": "error"})
    EventLog(lambda: 0.0).write("command", command="down", uid=0, client=7, outcome="done")
    assert stream.getvalue() == ""


def test_a_line_of_json_holds_the_fields_by_themselves(written):
    stream = written(form="json")
    log = EventLog(lambda: 0.0)
    log.write(
        "ike established", connection="office", peer='b"\n\x1b', path=path_from("198.51.100.7"), established_ms=1.5
    )
    try:
        raise ValueError("a mistake")
    except ValueError:
        logging.getLogger("rhp").exception("step failed")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "info",
        "subsystem": "ike",
        "event": "ike established",
        "connection": "office",
        "peer": 'b"\n\x1b',
        "path": str(path_from("198.51.100.7")),
        "established_ms": 1.5,
    }
    assert (second["level"], second["event"]) == ("error", "step failed")
    assert "ValueError: a mistake" in second["traceback"]
    assert stream.getvalue().isascii()


def test_the_journal_gets_every_field(written, journal, monkeypatch):
    monkeypatch.setattr("rhp.node.logforms.JournalHandler", lambda: JournalHandler(journal.path))
    written(form="journal")
    log = EventLog(lambda: 0.0)
    path = path_from("198.51.100.7")
    log.write("authentication failed", connection="office", peer="x\nMESSAGE=forged", path=path)
    assert journal.entry() == {
        "MESSAGE": f'authentication failed connection=office peer="x\\nMESSAGE=forged" path="{path}"',
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "rhp",
        "RHP_SUBSYSTEM": "ike",
        "RHP_EVENT": "authentication failed",
        "RHP_CONNECTION": "office",
        "RHP_PEER": "x\nMESSAGE=forged",
        "RHP_PATH": str(path),
    }
    try:
        raise ValueError("a mistake")
    except ValueError:
        logging.getLogger("rhp").exception("step failed")
    entry = journal.entry()
    assert entry["PRIORITY"] == "3"
    assert entry["MESSAGE"].startswith("step failed\nTraceback")


def test_a_stuck_journal_costs_lines_and_no_time(clean, journal):
    handler = JournalHandler(journal.path)
    record = logging.LogRecord("rhp.ike", logging.INFO, "", 0, "ike established", (), None)
    while not handler.lost:
        handler.emit(record)
    handler.emit(record)
    assert handler.lost == 2
    assert "RHP_LOST_BEFORE" not in journal.entry()
    handler.emit(record)
    assert handler.lost == 0
    entries = [journal.entry()]
    while "RHP_LOST_BEFORE" not in entries[-1]:
        entries.append(journal.entry())
    assert entries[-1]["RHP_LOST_BEFORE"] == "2"
    handler.close()


def test_a_journal_that_was_started_anew_is_found_again(clean, tmp_path, capsys):
    path = tmp_path / "socket"
    record = logging.LogRecord("rhp.ike", logging.INFO, "", 0, "ike established", (), None)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as first:
        first.bind(str(path))
        handler = JournalHandler(path)
    handler.emit(record)
    assert "ike established" in capsys.readouterr().err
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as second:
        second.bind(str(path))
        second.setblocking(False)
        handler.emit(record)
        assert fields_of(second.recv(65536))["MESSAGE"] == "ike established"
    handler.close()


def test_without_a_journal_there_is_no_handler(tmp_path):
    with pytest.raises(FileNotFoundError):
        JournalHandler(tmp_path / "none")


def test_the_form_follows_where_standard_error_goes(tmp_path, journal, monkeypatch):
    monkeypatch.setattr("rhp.node.logforms.JournalHandler", lambda: JournalHandler(journal.path))
    with (tmp_path / "log").open("w") as stream:
        found = os.fstat(stream.fileno())
        own = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        handler = handler_for("auto", stream, own)
        assert isinstance(handler, JournalHandler)
        handler.close()
        # A variable that a parent of ours inherited, and that speaks of another stream.
        assert type(handler_for("auto", stream, {"JOURNAL_STREAM": "1:1"})) is logging.StreamHandler
        assert type(handler_for("auto", stream, {})) is logging.StreamHandler
        assert type(handler_for("auto", io.StringIO(), own)) is logging.StreamHandler
        assert isinstance(handler_for("json", stream, own).formatter, JsonFormatter)
    assert handler_for("text", None).stream is sys.stderr


def test_one_peer_that_fails_over_and_over_leaves_the_others_their_lines(written):
    stream = written()
    now = [100.0]
    log = EventLog(lambda: now[0])
    for port in range(500):
        log.write("handshake refused", path=path_from("198.51.100.7", port), reason="wrong-key")
    log.write("handshake refused", path=path_from("203.0.113.9"), reason="wrong-key")
    lines = stream.getvalue().splitlines()
    assert len(lines) == SOURCE_BURST + 1
    assert "203.0.113.9" in lines[-1]
    assert log.suppressed == 500 - SOURCE_BURST
    now[0] += 5.0
    log.write("handshake refused", path=path_from("198.51.100.7"), reason="wrong-key")
    assert (
        stream.getvalue()
        .splitlines()[-2]
        .endswith(f"lines suppressed remote=198.51.100.7 suppressed={500 - SOURCE_BURST}")
    )


def test_a_machine_with_a_whole_network_is_one_source(written):
    stream = written()
    log = EventLog(lambda: 0.0)
    for number in range(100):
        log.write("handshake refused", path=path_from(f"2001:db8:0:7::{number:x}"), reason="wrong-key")
    assert len(stream.getvalue().splitlines()) == SOURCE_BURST
    log.flush()
    assert stream.getvalue().endswith("lines suppressed remote=2001:db8:0:7::/64 suppressed=90\n")


def test_a_peer_without_a_path_is_known_by_its_name(written):
    stream = written()
    log = EventLog(lambda: 0.0)
    for _ in range(15):
        log.write("child failed", connection="office", peer="b.example.org", reason="ts-unacceptable")
    log.write("child failed", connection="office", peer="c.example.org", reason="ts-unacceptable")
    log.flush()
    lines = stream.getvalue().splitlines()
    assert "c.example.org" in lines[-2]
    assert lines[-1].endswith("lines suppressed peer=b.example.org suppressed=5")


def test_what_was_left_out_is_told_even_if_nothing_follows(written):
    stream = written()
    now = [0.0]
    log = EventLog(lambda: now[0], rate=10.0, burst=10**6)
    log._sources = SourceLimits(1.0, 1)
    for number in range(FLUSHED_SOURCES + 5):
        for _ in range(3):
            log.write("handshake refused", path=path_from(f"198.51.100.{number}"), reason="x")
    before = len(stream.getvalue().splitlines())
    log.flush()
    told = stream.getvalue().splitlines()[before:]
    assert len(told) == FLUSHED_SOURCES + 1
    assert told[-1].endswith("lines suppressed suppressed=10")
    log.flush()
    assert len(stream.getvalue().splitlines()) == before + len(told)


def test_sources_are_bounded_and_forgotten_when_they_rest():
    limits = SourceLimits(1.0, 1)
    for number in range(MOST_SOURCES * 3):
        assert limits.allows(number, 0.0)
        assert not limits.allows(number, 0.0)
    assert len(limits) == MOST_SOURCES
    assert limits.take_evicted() == MOST_SOURCES * 2
    assert sum(count for _, count in limits.take_all(0.0)) == MOST_SOURCES
    assert list(limits.take_all(5.0)) == []
    assert len(limits) == 0
