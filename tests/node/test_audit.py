"""The audit: who did what to the node, and how it went, in the log and in a file of its own."""

import asyncio
import errno
import json
import os
import resource
import signal
import stat
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rhp.guard.protocol import AddRoute, CheckPsk, SignOctets
from rhp.node.auditfile import AuditFile
from rhp.node.control.audit import Client
from rhp.node.control.client import ControlError, ask
from rhp.node.control.protocol import Request
from rhp.node.control.server import CommandRefused, ControlServer
from rhp.node.errors import StartError
from rhp.node.journal import Journal
from rhp.node.log import EventLog
from rhp.node.settings import NodeSettings
from rhp.node.telemetry import Telemetry

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def audit(tmp_path):
    """An audit file, and what it complained about."""
    complaints = []
    made = AuditFile(tmp_path / "audit.log", lambda: NOW, complaints.append)
    made.complaints = complaints
    yield made
    made.close()
    made.close()


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_says_when_what_and_who(audit, tmp_path):
    audit.write("command", {"command": "down", "uid": 0, "client": 42, "outcome": "done"})
    assert lines(tmp_path / "audit.log") == [
        {
            "time": "2026-03-01T12:00:00.000+00:00",
            "event": "command",
            "command": "down",
            "uid": 0,
            "client": 42,
            "outcome": "done",
        }
    ]
    assert stat.S_IMODE((tmp_path / "audit.log").stat().st_mode) == 0o600


def test_a_new_run_goes_on_where_the_old_one_ended(audit, tmp_path):
    audit.write("node stopped", {})
    audit.close()
    second = AuditFile(tmp_path / "audit.log", lambda: NOW, lambda why: None)
    second.write("node started", {})
    second.close()
    assert [line["event"] for line in lines(tmp_path / "audit.log")] == ["node stopped", "node started"]


def test_a_file_that_was_moved_away_is_followed_by_a_new_one(audit, tmp_path):
    audit.write("command", {"command": "down"})
    (tmp_path / "audit.log").rename(tmp_path / "audit.log.1")
    audit.write("command", {"command": "initiate"})
    (tmp_path / "audit.log").unlink()
    audit.write("command", {"command": "terminate"})
    assert [line["command"] for line in lines(tmp_path / "audit.log.1")] == ["down"]
    assert [line["command"] for line in lines(tmp_path / "audit.log")] == ["terminate"]
    assert audit.complaints == []


def test_a_full_disk_cuts_no_line_and_is_told_once():
    # A limit of this process stands in for the end of a disk: it cuts the last line in the same way.
    complaints = []
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audit.log"
        audit = AuditFile(path, lambda: NOW, complaints.append)
        audit.write("command", {"command": "first"})
        size = path.stat().st_size
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
            for _ in range(3):
                audit.write("command", {"command": "second"})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, old)
        assert path.stat().st_size == size
        assert complaints == [f"{path}: the disk is full"]
        audit.write("command", {"command": "third"})
        audit.close()
        assert [line["command"] for line in lines(path)] == ["first", "third"]


def test_a_folder_that_is_gone_is_told(audit, tmp_path):
    other = tmp_path / "gone"
    other.mkdir()
    complaints = []
    lost = AuditFile(other / "audit.log", lambda: NOW, complaints.append)
    (other / "audit.log").unlink()
    other.rmdir()
    lost.write("command", {})
    lost.write("command", {})
    lost.close()
    assert complaints == [f"{other / 'audit.log'}: {os.strerror(errno.ENOENT)}"]


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_only_a_plain_file_is_written_to(tmp_path, kind):
    path = tmp_path / "audit.log"
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(OSError, match=r".+"):
        AuditFile(path, lambda: NOW, lambda why: None)


class Office:
    """A control socket whose commands are audited by a telemetry with a file."""

    def __init__(self, folder):
        self.path = folder / "control.sock"
        self.file = folder / "audit.log"
        log = EventLog(lambda: 0.0)
        self.events = []
        self.journal = Journal(log, lambda: NOW, self.events.append, {})
        self.telemetry = Telemetry(NodeSettings(run_dir=folder, audit_file=self.file), log, self.journal)
        self.control = ControlServer(self.path, self.handle, audit=self.telemetry.commanded)

    async def handle(self, request):
        if request.fields.get("connection") == "nobody":
            raise CommandRefused("there is no connection nobody")
        if request.fields.get("connection") == "bug":
            raise RuntimeError("a secret detail")
        return {}

    async def __aenter__(self):
        self.telemetry.open()
        await self.control.start()
        return self

    async def __aexit__(self, *_):
        await self.control.close()
        self.telemetry.close()
        self.telemetry.close()


def test_each_command_that_changes_something_has_a_line(tmp_path, run):
    async def body():
        async with Office(tmp_path) as office:
            for command, fields in (
                ("status", {}),
                ("redirect", {"connection": "office", "target": "gate.example.org"}),
                ("initiate", {"connection": "nobody"}),
                ("terminate", {"connection": "bug"}),
                ("release-lease", {"address": "10.88.0.2"}),
                ("down", {}),
            ):
                try:
                    await asyncio.to_thread(ask, office.path, Request(command, fields))
                except ControlError:
                    assert fields["connection"] in ("nobody", "bug")
        who = {"event": "command", "uid": os.getuid(), "client": os.getpid()}
        assert [{name: value for name, value in line.items() if name != "time"} for line in lines(office.file)] == [
            {**who, "command": "redirect", "connection": "office", "target": "gate.example.org", "outcome": "done"},
            {
                **who,
                "command": "initiate",
                "connection": "nobody",
                "outcome": "refused",
                "detail": "there is no connection nobody",
            },
            {**who, "command": "terminate", "connection": "bug", "outcome": "failed", "detail": "RuntimeError"},
            {**who, "command": "release-lease", "address": "10.88.0.2", "outcome": "done"},
            {**who, "command": "down", "outcome": "done"},
        ]
        commands = [event["command"] for event in office.events]
        assert commands == ["redirect", "initiate", "terminate", "release-lease", "down"]

    run(body())


def test_what_the_guard_refuses_has_a_line_and_a_peer_s_wrong_proof_has_none(tmp_path, run):
    async def body():
        async with Office(tmp_path) as office:
            office.telemetry.refused("add-route", AddRoute("10.0.0.0/8", "eth9"), "eth9 is not the node's interface")
            office.telemetry.refused("sign-octets", SignOctets("office", b"secret", None), "there is no key")
            office.telemetry.refused("check-psk", CheckPsk("x", (2, b""), (2, b""), 5, b"", b""), "it differs")
        found = [
            (one["question"], one.get("connection"), one.get("interface"), one["detail"]) for one in lines(office.file)
        ]
        assert found == [
            ("add-route", None, "eth9", "eth9 is not the node's interface"),
            ("sign-octets", "office", None, "there is no key"),
        ]
        assert "secret" not in office.file.read_text()

    run(body())


def test_a_file_that_cannot_be_opened_stops_the_start(tmp_path, run):
    async def body():
        log = EventLog(lambda: 0.0)
        settings = NodeSettings(audit_file=tmp_path / "no" / "audit.log")
        telemetry = Telemetry(settings, log, Journal(log, lambda: NOW, print, {}))
        with pytest.raises(StartError, match=r"write another one into node\.audit_file"):
            telemetry.open()

    run(body())


def test_a_line_that_cannot_be_kept_is_told_in_the_log(tmp_path, run, caplog):
    async def body():
        async with Office(tmp_path) as office:
            office.file.unlink()
            office.file.mkdir()
            office.telemetry.commanded(Client(1, 0), Request("down"), "done", "")
            assert [event["event"] for event in office.events] == ["audit file unusable", "command"]

    run(body())
