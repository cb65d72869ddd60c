"""A configuration, the commands in this process, and a stand-in for the node that they ask."""

import asyncio
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from rhp.cli.main import main
from rhp.node.control.server import CommandRefused, ControlServer

sys.path.insert(0, str(Path(__file__).parent))

from picture import PICTURE  # A helper of this folder, importable from here on.

GOOD = """\
[node]
run_dir = "{folder}/run"

[connections.office]
remote_addrs = ["192.0.2.7"]
psk_file = "office.psk"
local.id = "a.example.org"
remote.id = "b.example.org"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "office.psk").write_text("0123456789abcdef0123456789abcdef\n")
    (tmp_path / "office.psk").chmod(0o600)
    (tmp_path / "rhp.toml").write_text(GOOD.format(folder=tmp_path))
    (tmp_path / "run").mkdir()
    return tmp_path


@pytest.fixture
def rhp():
    """Run `rhp` with these arguments in this process."""

    def call(*arguments):
        return CliRunner().invoke(main, [str(one) for one in arguments])

    return call


@pytest.fixture
def answering(folder):
    """A stand-in for the running node, in a thread of its own; its list holds what was asked."""
    asked = []
    ready, ended = threading.Event(), threading.Event()

    async def handle(request):
        asked.append((request.command, request.fields))
        if request.fields.get("connection") == "nobody":
            raise CommandRefused("there is no connection 'nobody'")
        if request.command == "down":
            asyncio.get_running_loop().call_later(0.05, ended.set)
        return {
            "status": PICTURE,
            "terminate": {"ended": 1},
            "add-lane": {"lane": 2},
            "rekey-ike": {"rekeyed": 1},
            "rekey-child": {"children": 1},
            "reauthenticate": {"renewed": 1},
            "delete-child": {"children": 1},
            "redirect": {"redirected": 3, "unable": 1},
            "leases": {"schema_version": 1, "leases": []},
            "release-lease": {"released": ["anna@example.org"]},
            "totals": {"schema_version": 1, "totals": []},
        }.get(request.command, {})

    async def serve():
        server = ControlServer(folder / "run" / "control.sock", handle)
        await server.start()
        ready.set()
        while not ended.is_set():
            if server._followers:
                server.publish({"event": "ike established", "time": "now", "peer": "b"})
                ended.set()
            await asyncio.sleep(0.01)
        await server.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(60)
    yield asked
    ended.set()
    thread.join(60)
    assert not thread.is_alive()


@pytest.fixture
def answering_with(folder):
    """A stand-in for the node that answers so, and tells its first follower these events."""
    ended, threads = threading.Event(), []

    def make(answers, events):
        ready = threading.Event()

        async def handle(request):
            return answers.get(request.command, {})

        async def serve():
            server = ControlServer(folder / "run" / "control.sock", handle)
            await server.start()
            ready.set()
            waiting = list(events)
            while not ended.is_set():
                # One after the other, so that each is seen.
                if server.followed and waiting:
                    server.publish(waiting.pop(0))
                await asyncio.sleep(0.02)
            await server.close()

        threads.append(threading.Thread(target=lambda: asyncio.run(serve())))
        threads[-1].start()
        assert ready.wait(60)

    yield make
    ended.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
