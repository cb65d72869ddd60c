"""Programs that run when something happens: whose they are, what they are told, how they are ended."""

import asyncio
import os
import re
import select
from contextlib import suppress
from pathlib import Path

import pytest

from rhp.guard.channel import Channel, pair
from rhp.guard.hooks.dispatch import MOST_WAITING, HookRunner, Hooks
from rhp.guard.hooks.wire import Ended, build, parse_run
from rhp.guard.policy import HookPolicy
from rhp.guard.protocol import Done, Refused, RunHook
from rhp.lab.process import runs, wait_until

UP = "tunnel-up"
LIBRARYS_OWN = 1 << 31 | 1 << 32
"""Signals 32 and 33 of a mask. The C library keeps them to itself, so what a parent did to them nobody can undo."""
HOSTILE = '$(touch /tmp/owned) `id` "; rm -rf / #\n\x1b[31m\0%n ' + "x" * 5000


class Lines:
    """The log, and a way to wait for a line of it."""

    def __init__(self):
        self.lines = []
        self._more = asyncio.Event()

    def write(self, event, **fields):
        self.lines.append((event, fields))
        self._more.set()

    async def wait(self, count):
        async with asyncio.timeout(60):
            while len(self.lines) < count:
                self._more.clear()
                await self._more.wait()
        return self.lines


@pytest.fixture
def script(open_folder):
    """Write a program for /bin/sh that anybody may run."""

    def write(name, *lines):
        path = open_folder / name
        path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        path.chmod(0o755)
        return str(path)

    return write


def told(hooks, *questions, lines=None):
    """Ask for these, wait for as many lines, and end; give the lines, the counters and the runner's hooks."""

    async def story():
        log = Lines()
        runner = HookRunner(hooks)
        try:
            made = Hooks(hooks, runner.channel, log)
            for question in questions:
                assert made.run(question) == Done()
            await log.wait(len(questions) if lines is None else lines)
            await made.finish(60)
            return log.lines, made.counters
        finally:
            runner.end()

    return asyncio.run(story())


def test_a_hook_is_told_what_happened_and_is_nobody(script):
    show = script(
        "show", 'echo "$RHP_EVENT/$RHP_CONNECTION/$RHP_PEER/$RHP_REMOTE_ADDRESS/$RHP_INTERFACE"', "id -un", "id -G"
    )
    hook = HookPolicy((UP,), (show,))
    lines, counters = told((hook,), RunHook(UP, "office", "b.example.org", remote="192.0.2.2", interface="rhp0"))
    assert lines == [
        (
            "hook done",
            {
                "command": show,
                "detail": "it is done; it said: tunnel-up/office/b.example.org/192.0.2.2/rhp0?nobody?65534",
            },
        )
    ]
    assert counters == {"begun": 1, "done": 1}


def test_what_a_stranger_says_is_only_the_value_of_a_variable(script, tmp_path):
    """As root, so that it could do what it says."""
    out = tmp_path / "out"
    show = script("show", f'printf "%s" "$RHP_PEER" > {out}; tr "\\0" "\\n" < /proc/$$/cmdline >> {out}.command')
    told((HookPolicy((UP,), (show,), privileged=True),), RunHook(UP, peer=HOSTILE))
    said = out.read_text()
    assert said == '$(touch /tmp/owned) `id` "; rm -rf / #??[31m?%n ' + "x" * (512 - 48)
    assert "owned" not in Path(f"{out}.command").read_text()
    assert not Path("/tmp/owned").exists()


def test_nothing_of_ours_is_handed_on(script):
    show = script(
        "show",
        "ls /proc/$$/fd | tr '\\n' ' '",
        "env | cut -d= -f1 | sort | tr '\\n' ' '",
        "grep -E 'NoNewPrivs|CapEff|SigIgn' /proc/$$/status | tr '\\t\\n' '= '",
    )
    os.environ["RHP_TEST_SECRET"] = "do not tell"
    try:
        lines, _ = told((HookPolicy((UP,), (show,)),), RunHook(UP))
    finally:
        del os.environ["RHP_TEST_SECRET"]
    said = lines[0][1]["detail"]
    assert "RHP_TEST_SECRET" not in said
    assert "PATH" in said
    # The 10 is the shell's own, which has the script open, and 3 and 4 the pipe that it may still be making.
    assert re.match(r"it is done; it said: 0 1 10 2 (3 )?(4 )?LANG PATH ", said)
    assert "CapEff:=0000000000000000" in said
    assert "NoNewPrivs:=1" in said
    ignored = re.search(r"SigIgn:=([0-9a-f]{16})", said)
    assert ignored and int(ignored[1], 16) & ~LIBRARYS_OWN == 0


def test_a_runner_that_cannot_listen_for_a_moment_is_not_gone():
    """The line to it is full: a node that has been taken over can have that happen, and later hooks run as ever."""

    async def story():
        hooks, log = (HookPolicy((UP,), ("/bin/one",)), HookPolicy(("tunnel-down",), ("/bin/two",))), Lines()
        ours, runner = pair()
        ours.setblocking(False)
        with runner:
            made = Hooks(hooks, Channel(ours, os.getpid(), bare=True), log)
            made.run(RunHook(UP))
            made.run(RunHook(UP))
            with suppress(BlockingIOError):
                while True:
                    ours.send(b"full" * 1000)
            # One event waits for the first hook by now, and the second hook cannot be begun.
            assert made.run(RunHook("tunnel-down")) == Done()
            runner.send(build(Ended(0, 0)))
            assert [event for event, _ in await log.wait(3)] == ["hook dropped", "hook done", "hook dropped"]
            assert [fields["command"] for _, fields in log.lines] == ["/bin/two", "/bin/one", "/bin/one"]
            runner.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    runner.recv(1 << 16)
            assert made.run(RunHook(UP)) == made.run(RunHook("tunnel-down")) == Done()
            assert {parse_run(runner.recv(1 << 16)).hook for _ in range(2)} == {0, 1}
            assert made.counters == {"begun": 3, "dropped": 2, "done": 1}
            await made.finish(0)

    asyncio.run(story())


def test_only_a_privileged_hook_is_root(script):
    who = script("who", "id -un")
    hooks = (
        HookPolicy((UP,), (who,)),
        HookPolicy((UP,), (who,), privileged=True),
        HookPolicy((UP,), (who,), user="daemon"),
    )
    lines, _ = told(hooks, RunHook(UP), lines=3)
    assert sorted(fields["detail"].split(": ")[-1] for _, fields in lines) == ["daemon", "nobody", "root"]


def test_who_takes_too_long_is_killed_with_all_that_it_began(script, tmp_path):
    pids = tmp_path / "pids"
    slow = script("slow", f"sleep 1000 & echo $! > {pids}", "sleep 1000")
    # On a busy machine it may be ended before it has noted what it began, and then it gets longer.
    for timeout in (3.0, 10.0, 30.0):
        pids.write_text("")
        lines, counters = told((HookPolicy((UP,), (slow,), timeout=timeout, privileged=True),), RunHook(UP))
        assert lines[0][0] == "hook failed"
        assert f"it was ended after its {timeout} seconds" in lines[0][1]["detail"]
        assert counters["failed"] == 1
        if pids.read_text():
            break
    wait_until(lambda: not runs(int(pids.read_text())), 30, "the end of what it began")


def test_a_flood_of_output_costs_nothing(script):
    loud = script("loud", "head -c 20000000 /dev/zero | tr '\\0' 'x'", "exit 3")
    lines, _ = told((HookPolicy((UP,), (loud,), timeout=60.0),), RunHook(UP))
    assert lines[0][0] == "hook failed"
    assert lines[0][1]["detail"].startswith("it ended with status 3; it said: xxx")
    assert len(lines[0][1]["detail"]) < 500


def test_one_at_a_time_in_order_and_too_many_are_counted(script, tmp_path):
    out, gate = tmp_path / "out", tmp_path / "gate"
    os.mkfifo(gate)
    one = script("one", f'test "$RHP_REASON" != 0 || cat {gate}', f'echo "$RHP_REASON" >> {out}')
    hooks = (HookPolicy((UP,), (one,), timeout=60.0, privileged=True),)

    async def story():
        log = Lines()
        runner = HookRunner(hooks)
        try:
            made = Hooks(hooks, runner.channel, log)
            for number in range(MOST_WAITING + 4):
                made.run(RunHook(UP, reason=str(number)))
            assert [event for event, _ in await log.wait(3)] == ["hook dropped"] * 3
            await asyncio.to_thread(gate.write_text, "go")
            await made.finish(120)
            return made.counters
        finally:
            runner.end()

    counters = asyncio.run(story())
    assert out.read_text().split() == [str(number) for number in range(MOST_WAITING + 1)]
    assert counters == {"begun": MOST_WAITING + 1, "done": MOST_WAITING + 1, "dropped": 3}


def test_a_program_that_is_not_there_any_more_is_told_of(script):
    there = script("there", "true")
    Path(there).unlink()
    lines, _ = told((HookPolicy((UP,), (there,)),), RunHook(UP))
    assert lines == [
        ("hook failed", {"command": there, "detail": "it could not be run: No such file or directory"}),
    ]


def test_when_the_runner_dies_hooks_are_refused_and_all_else_goes_on(script):
    hooks = (HookPolicy((UP,), (script("one", "true"),)),)

    async def story():
        log = Lines()
        runner = HookRunner(hooks)
        try:
            made = Hooks(hooks, runner.channel, log)
            os.kill(runner.pid, 9)
            assert (await log.wait(1))[0][0] == "hooks gone"
            assert isinstance(made.run(RunHook(UP)), Refused)
            await made.finish(60)
        finally:
            runner.end()

    asyncio.run(story())


def test_what_still_runs_ends_with_the_guard(script, tmp_path):
    pid_file = tmp_path / "pid"
    os.mkfifo(pid_file)
    slow = script("slow", f"echo $$ > {pid_file}", "exec sleep 1000")
    hooks = (HookPolicy((UP,), (slow,), timeout=1000.0, privileged=True),)

    async def story():
        runner = HookRunner(hooks)
        made = Hooks(hooks, runner.channel, Lines())
        made.run(RunHook(UP))
        pid = int(await asyncio.to_thread(pid_file.read_text))
        watched = os.pidfd_open(pid)
        await made.finish(0.01)
        await asyncio.to_thread(runner.end)
        return watched

    watched = asyncio.run(story())

    assert select.select([watched], [], [], 30)[0]
    os.close(watched)


def test_without_a_privileged_hook_the_runner_is_no_root_in_full(script):
    hooks = (HookPolicy((UP,), (script("one", "true"),)),)

    async def story():
        runner = HookRunner(hooks)
        try:
            log = Lines()
            made = Hooks(hooks, runner.channel, log)
            made.run(RunHook(UP))
            await log.wait(1)
            status = Path(f"/proc/{runner.pid}/status").read_text()
            await made.finish(60)
            return status
        finally:
            runner.end()

    status = asyncio.run(story())
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff"))
    assert int(effective, 16) == 1 << 5 | 1 << 6 | 1 << 7
