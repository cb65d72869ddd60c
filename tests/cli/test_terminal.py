"""What is shown to a person: the commands run on a pseudo-terminal, against a stand-in for the node."""

import contextlib
import os
import pty
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-c", "from rhp.cli.main import main; main()"]


def on_a_terminal(*arguments):
    """Run rhp with a terminal for all three; its exit code and what the terminal got."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200", "LINES": "30"}
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    shown = b""
    # EIO is how a terminal says that nobody has its other end open any more.
    with contextlib.suppress(OSError):
        while chunk := os.read(ours, 65536):
            shown += chunk
    os.close(ours)
    return process.wait(120), shown.decode()


@pytest.fixture
def peer_row():
    return {
        "peer": "b.example.org\x1b[31m[bold]",
        "connection": "office",
        "address": "192.0.2.7:4500",
        "age_s": 61.0,
        "tunnels": [{"mode": "ethernet", "port": 1, "bytes_in": 0, "bytes_out": 0, "packets_in": 0, "packets_out": 0}],
    }


def test_initiate_shows_how_far_it_is(folder, answering_with):
    steps = [
        {"event": "connecting", "connection": "office", "peer": "b.example.org"},
        {"event": "ike state", "connection": "other", "new": "not this one"},
        {"event": "ike state", "connection": "office", "new": "authenticating"},
        {"event": "child established", "connection": "office", "peer": "b.example.org"},
    ]
    answering_with({"peers": {"peers": []}}, steps)
    code, shown = on_a_terminal("initiate", "office", "-c", folder / "rhp.toml")
    assert code == 0, shown
    assert "\roffice: calling b.example.org" in shown
    assert "\roffice: authenticating" in shown
    assert "not this one" not in shown
    assert shown.rstrip().rpartition("\r")[2].startswith("office: is up with b.example.org after ")


def test_initiate_ends_with_1_when_it_failed(folder, answering_with):
    failure = {"event": "authentication failed", "connection": "office", "detail": "the key is\x1b[31m not ours"}
    answering_with({"peers": {"peers": []}}, [failure])
    code, shown = on_a_terminal("initiate", "office", "-c", folder / "rhp.toml")
    assert code == 1
    assert "rhp: office: authentication failed: the key is?[31m not ours" in shown


def test_watch_draws_a_table(folder, answering_with, peer_row):
    answering_with({"peers": {"time": "now", "clock_s": 1.0, "total": 1, "peers": [peer_row]}}, [])
    code, shown = on_a_terminal("watch", "--count", "2", "--interval", "0.1", "-c", folder / "rhp.toml")
    assert code == 0, shown
    assert "1 peers at now" in shown
    assert "b.example.org?[31m[bold]" in shown
    assert "\x1b[31m" not in shown
