"""Which hooks an event has, one after the other for each; and what became of them, in the log.

A hook that is at work is not begun a second time: what happens meanwhile waits, in order, up to `MOST_WAITING`, and
what is beyond that is counted and told. So neither a storm of tunnels nor a node that has been taken over starts more
programs at once than there are hooks.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress

from rhp.guard.channel import Channel, ChannelError, pair
from rhp.guard.hooks.wire import Ended, Run, build, build_hooks, parse_ended
from rhp.guard.memory import sealed
from rhp.guard.policy import HookPolicy
from rhp.guard.protocol import Done, Refused, RunHook
from rhp.guard.reading import PYTHON
from rhp.guard.service import Log
from rhp.wire.errors import DecodeError

MODULE = "rhp.guard.hooks.runner"
MOST_WAITING = 64
LONGEST_VALUE = 512
ENDING_SECONDS = 5.0
_LONGEST_LINE = 400


class HookRunner:
    """The runner's process, as the guard has it. To be made while the guard is root."""

    def __init__(self, hooks: tuple[HookPolicy, ...]) -> None:
        ours, theirs = pair()
        try:
            self._process = subprocess.Popen(
                [*PYTHON, MODULE, str(theirs.fileno())], stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),)
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.channel = Channel(ours, self._process.pid, bare=True)
        file = sealed("rhp-hooks", build_hooks(hooks))
        try:
            self.channel.send(b"hooks", (file,))
        finally:
            os.close(file)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def end(self) -> None:
        """Hang up, on which it ends, and collect it. Safe twice."""
        self.channel.close()
        try:
            self._process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Hooks:
    """Has the hooks of events run, by the runner at the other end of `channel`."""

    def __init__(self, hooks: Sequence[HookPolicy], channel: Channel, log: Log) -> None:
        self._hooks = hooks
        self._channel = channel
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, deque[Run]] = {number: deque() for number in range(len(hooks))}
        self._busy: set[int] = set()
        self._alive = True
        self._idle = asyncio.Event()
        self._idle.set()
        self.counters: Counter[str] = Counter()
        channel.set_blocking(False)
        self._loop.add_reader(channel.fileno(), self._readable)

    def run(self, question: RunHook) -> Done | Refused:
        """Have what is configured for this event run, now or when its turn comes."""
        if not self._alive:
            return Refused("what runs the hooks is gone")
        environment = _environment(question)
        for number, hook in enumerate(self._hooks):
            if question.event in hook.on:
                self._queue(Run(number, environment))
        return Done()

    async def finish(self, patience: float) -> None:
        """Wait for what is at work or waits, `patience` seconds at most, and hear no more."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), patience)
        self._end()

    def _queue(self, run: Run) -> None:
        waiting = self._waiting[run.hook]
        if run.hook not in self._busy:
            self._begin(run)
        elif len(waiting) < MOST_WAITING:
            waiting.append(run)
        else:
            self._drop(run, "too many events wait for it already")

    def _begin(self, run: Run) -> bool:
        """Whether it is begun, or nothing ever is any more."""
        try:
            self._channel.send(build(run))
        except BlockingIOError:
            # The runner is at many others; that is no reason to do without it.
            self._drop(run, "too many hooks are to be run at once")
            return False
        except OSError:
            self._gone()
            return True
        self._busy.add(run.hook)
        self._idle.clear()
        self.counters["begun"] += 1
        return True

    def _drop(self, run: Run, why: str) -> None:
        self.counters["dropped"] += 1
        self._log.write("hook dropped", command=self._name(run.hook), detail=why)

    def _readable(self) -> None:
        try:
            received = self._channel.receive()
        except BlockingIOError:
            return
        except (ChannelError, OSError):
            received = None
        if received is None:
            self._gone()
            return
        try:
            ended = parse_ended(received.octets)
        except DecodeError:
            self._gone()
            return
        if ended.hook in self._busy:
            self._ended(ended)

    def _ended(self, ended: Ended) -> None:
        self._busy.discard(ended.hook)
        self._tell(ended)
        waiting = self._waiting[ended.hook]
        while waiting and not self._begin(waiting.popleft()):
            pass
        if not self._busy:
            self._idle.set()

    def _tell(self, ended: Ended) -> None:
        fine = not ended.problem and not ended.late and ended.status == 0
        self.counters["done" if fine else "failed"] += 1
        if fine:
            became = "it is done"
        elif ended.problem:
            became = f"it could not be run: {ended.problem}"
        elif ended.late:
            became = f"it was ended after its {self._hooks[ended.hook].timeout} seconds"
        else:
            became = f"it ended with status {ended.status}"
        said = _printable(ended.output.decode("utf-8", "replace").strip(), _LONGEST_LINE)
        detail = f"{became}; it said: {said}" if said else became
        self._log.write("hook done" if fine else "hook failed", command=self._name(ended.hook), detail=detail)

    def _name(self, number: int) -> str:
        return self._hooks[number].command[0]

    def _gone(self) -> None:
        if self._alive:
            self._log.write("hooks gone", detail="what runs the hooks has ended, and no hook runs until the next start")
            self._end()

    def _end(self) -> None:
        if self._alive:
            self._alive = False
            self._loop.remove_reader(self._channel.fileno())
            self._channel.close()
            self._idle.set()


def _environment(question: RunHook) -> tuple[tuple[str, str], ...]:
    """What a hook is told. Values may be a stranger's words: printable and bounded, in variables of fixed names."""
    told = (
        ("RHP_EVENT", question.event),
        ("RHP_CONNECTION", question.connection),
        ("RHP_PEER", question.peer),
        ("RHP_LOCAL_ADDRESS", question.local),
        ("RHP_REMOTE_ADDRESS", question.remote),
        ("RHP_INNER_ADDRESSES", question.addresses),
        ("RHP_INTERFACE", question.interface),
        ("RHP_REASON", question.reason),
    )
    return tuple((name, _printable(value, LONGEST_VALUE)) for name, value in told)


def _printable(text: str, most: int) -> str:
    """One line of characters that can be printed."""
    return "".join(char if char.isprintable() else "?" for char in text[:most])
