"""How the guard ends when its node has: by itself, as it was told to, or because somebody else had it by then."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import pytest

from rhp.guard import exits
from rhp.guard.channel import Channel, pair
from rhp.guard.local import LocalGuard
from rhp.guard.manager import Manager
from rhp.guard.messages import build_question, parse_told
from rhp.guard.policy import GuardPolicy
from rhp.guard.process import Guardian
from rhp.guard.protocol import Done, TellState


class Child:
    """The node as the guard has it: this process plays it, at `end`, and ends with what `ends` is set to."""

    pid = os.getpid()

    def __init__(self):
        ours, self.end = pair()
        self.channel = Channel(ours, self.pid, bare=True)
        self.ends = asyncio.get_running_loop().create_future()

    async def wait(self):
        return await self.ends

    def kill(self):
        if not self.ends.done():
            self.ends.set_result(-signal.SIGKILL)


class Lines:
    def __init__(self):
        self.written = []

    def write(self, event, **fields):
        self.written.append((event, fields))


async def ended(states, status, told=None):
    """The guard's exit status, and what it logged, after a node that said these states and ended so."""
    child, log, policy = Child(), Lines(), GuardPolicy()
    guardian = Guardian(child, LocalGuard(policy), SimpleNamespace(policy=policy), log, Manager({}))
    serving = asyncio.ensure_future(guardian.serve())
    loop = asyncio.get_running_loop()
    child.end.setblocking(False)
    for state in states:
        await loop.sock_sendall(child.end, build_question(1, TellState(state)))
        assert parse_told(await loop.sock_recv(child.end, 100), ())[1] == Done()
    if told is not None:
        # Not to this process, whose signals are pytest's: as the loop would call it.
        guardian._stop(told)
    child.ends.set_result(status)
    try:
        return await asyncio.wait_for(serving, 20), log.written
    finally:
        child.end.close()


def test_the_firewall_is_looked_after_while_the_node_runs(monkeypatch):
    async def story():
        child, log, guard = Child(), Lines(), LocalGuard(GuardPolicy())
        found = [None, "the table had been removed, and stands again"]
        looked = asyncio.Event()

        def keep_guarded():
            if not found:
                looked.set()
            return found.pop(0) if found else None

        guard.keep_guarded = keep_guarded
        guardian = Guardian(child, guard, SimpleNamespace(policy=GuardPolicy()), log, Manager({}))
        serving = asyncio.ensure_future(guardian.serve())
        await asyncio.wait_for(looked.wait(), 20)
        child.ends.set_result(exits.NOT_STARTED)
        await serving
        child.end.close()
        looked.clear()
        await asyncio.sleep(0.05)
        assert not looked.is_set()
        return log.written

    monkeypatch.setattr("rhp.guard.process.ROUND", 0.001)
    assert asyncio.run(story()) == [("firewall removed", {"detail": "the table had been removed, and stands again"})]


SERVED = ("running", "stopping")


@pytest.mark.parametrize(
    ("states", "status", "told", "expected"),
    [
        (SERVED, exits.DONE, None, exits.DONE),
        (("running",), exits.DONE, "SIGTERM", exits.DONE),
        ((), exits.DONE, "SIGTERM", exits.DONE),
        ((), exits.NOT_STARTED, None, exits.NOT_STARTED),
    ],
)
def test_a_sound_node_ends_as_it_says(states, status, told, expected):
    assert asyncio.run(ended(states, status, told)) == (expected, [])


@pytest.mark.parametrize(
    ("states", "status", "detail"),
    [
        ((), exits.DONE, "it ended with status 0"),
        (("running",), exits.DONE, "it ended with status 0"),
        (("running",), exits.NOT_STARTED, "it ended with status 1"),
        (SERVED, exits.NOT_STARTED, "it ended with status 1"),
        (SERVED, 2, "it ended with status 2"),
        (("running",), -signal.SIGSEGV, "it was ended by SIGSEGV"),
        (SERVED, -40, "it was ended by signal 40"),
        (SERVED, -signal.SIGKILL, "it was ended by SIGKILL"),
    ],
)
def test_a_node_that_was_taken_over_cannot_have_the_service_stay_down(states, status, detail):
    """Exit codes 0, 1 and 2 are ends that no service manager does anything about."""
    code, ((event, fields),) = asyncio.run(ended(states, status))
    assert code == exits.NODE_DIED
    assert event == "node died"
    assert fields["detail"] == f"{detail}; everything it had has been taken back"


def test_to_be_told_to_reload_before_it_serves_does_not_end_it():
    """A guard that a service manager, or a terminal that closes, speaks to while it still reads its configuration."""
    script = """
        import os, signal, sys
        from pathlib import Path
        from rhp.guard import process
        from rhp.guard.brief import Mistaken
        def read(file):
            os.kill(os.getpid(), signal.SIGHUP)
            return Mistaken("as it was read", 1, "rhp.toml", ())
        process.read_configuration = read
        print(process.run(Path("rhp.toml")).text)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "as it was read\n"), done.stderr
