"""`python -m rhp.guard.hooks.runner FD`: the one process of a node that starts programs, those of `[[hooks]]`.

The guard starts it while it is root itself, and only where there are hooks. It knows their commands from the start, and
does what it is told over FD: run one, with some more in its environment. It reads nothing of the network, and what it
hears comes from the guard alone. Without a privileged hook it keeps of root what changing the user takes.

    no network octet in a command    a hook is named by its number
    no descriptor of ours            all are closed; the input is /dev/null, the output is read, and bounded
    no privilege                     user, group and groups of the hook's user, no new privileges
    no time without end              a hook is in a session of its own, all of which is killed when its time is over
"""

from __future__ import annotations

import os
import pwd
import selectors
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field

from rhp.guard import memory
from rhp.guard.channel import Channel, ChannelError, close_all
from rhp.guard.hooks.wire import LONGEST_OUTPUT, Ended, build, parse_hooks, parse_run
from rhp.guard.policy import HookPolicy
from rhp.guard.sandbox import capabilities, process
from rhp.guard.sandbox.capabilities import Capability
from rhp.wire.errors import DecodeError

NAME = "rhp-hooks"
LARGEST_HOOKS = 1 << 20
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_AT_ONCE = 65536


@dataclass(slots=True)
class Running:
    """One hook at work: its process, the descriptor that tells of its end, and the one that it prints to."""

    hook: int
    program: subprocess.Popen[bytes]
    ended: int
    printed: int
    deadline: float
    late: bool = False
    cut: bool = False
    output: bytearray = field(default_factory=bytearray)


class Runner:
    """Runs what the channel says, each hook once at a time, until the channel's other end is gone."""

    def __init__(self, channel: Channel, hooks: tuple[HookPolicy, ...]) -> None:
        self._channel = channel
        self._hooks = hooks
        self._running: dict[int, Running] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(channel.fileno(), selectors.EVENT_READ, None)

    def serve(self) -> None:
        """Return when the guard is gone; what is still at work is killed."""
        try:
            while self._turn():
                pass
        finally:
            for one in self._running.values():
                _kill(one)

    def _turn(self) -> bool:
        soonest = min((one.deadline for one in self._running.values() if not one.late), default=None)
        found = self._selector.select(None if soonest is None else max(0.0, soonest - time.monotonic()))
        for key, _ in found:
            one: Running | None = key.data
            if one is None:
                if not self._hear():
                    return False
                continue
            if self._running.get(one.hook) is not one:
                continue  # It was collected a moment ago.
            if key.fd == one.printed:
                self._read(one)
            else:
                self._collect(one)
        for one in self._running.values():
            if not one.late and time.monotonic() >= one.deadline:
                one.late = True
                _kill(one)
        return True

    def _hear(self) -> bool:
        """Take one message; False at the end of the line, or for one that cannot be the guard's."""
        try:
            received = self._channel.receive()
            if received is None:
                return False
            close_all(received.fds)
            run = parse_run(received.octets)
        except (ChannelError, DecodeError, OSError):
            return False
        if not 0 <= run.hook < len(self._hooks) or run.hook in self._running:
            self._tell(Ended(run.hook, 0, problem="it is at work already"))
            return True
        try:
            self._start(run.hook, dict(run.environment))
        except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            self._tell(Ended(run.hook, 0, problem=_sentence(error)))
        return True

    def _start(self, number: int, given: dict[str, str]) -> None:
        hook = self._hooks[number]
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            program = _start(hook, {**ENVIRONMENT, **given}, writer)
            ended = os.pidfd_open(program.pid)
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        os.set_blocking(reader, False)
        one = Running(number, program, ended, reader, time.monotonic() + hook.timeout)
        self._running[number] = one
        for fd in (one.ended, one.printed):
            self._selector.register(fd, selectors.EVENT_READ, one)

    def _read(self, one: Running) -> None:
        """Take what it printed; at the end of it, look there no more."""
        try:
            octets = os.read(one.printed, _AT_ONCE)
        except BlockingIOError:
            return
        if not octets:
            self._selector.unregister(one.printed)
            return
        room = LONGEST_OUTPUT - len(one.output)
        one.output += octets[:room]
        one.cut |= len(octets) > room

    def _collect(self, one: Running) -> None:
        """It has ended. What it left running in the background has nobody any more who reads what it prints."""
        status = one.program.wait()
        while not one.cut and one.printed in self._selector.get_map() and _waiting(one.printed):
            self._read(one)
        for fd in (one.ended, one.printed):
            with suppress(KeyError):
                self._selector.unregister(fd)
            os.close(fd)
        del self._running[one.hook]
        self._tell(Ended(one.hook, status, one.late, one.cut, bytes(one.output)))

    def _tell(self, ended: Ended) -> None:
        # A guard that has gone is found out when it is listened to.
        with suppress(OSError):
            self._channel.send(build(ended))


def _start(hook: HookPolicy, environment: dict[str, str], output: int) -> subprocess.Popen[bytes]:
    user = None if hook.privileged else pwd.getpwnam(hook.user)
    return subprocess.Popen(
        hook.command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd="/",
        env=environment,
        start_new_session=True,
        umask=0o077,
        user=user and user.pw_uid,
        group=user and user.pw_gid,
        extra_groups=user and [user.pw_gid],
        # Nothing else runs in this process, so nothing can be in the middle of anything.
        preexec_fn=None if hook.privileged else process.no_new_privileges,
    )


def _kill(one: Running) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(one.program.pid, signal.SIGKILL)


def _waiting(fd: int) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        return bool(selector.select(0))


def _sentence(error: Exception) -> str:
    if isinstance(error, KeyError):
        return "its user is not on this machine any more"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _unmoved(number: int, frame: object) -> None:
    pass


def main() -> None:
    """Serve the guard at the other end of FD."""
    # Whatever a shell let us ignore, a program of ours begins without it. Python ignores these two for itself, and sees
    # to it that programs do not.
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # What ends it is the end of the line, so that the last events of a node still have their hooks. It must be a
        # handler: to ignore a signal would be handed on to every program.
        signal.signal(number, _unmoved)
    channel = Channel(socket.socket(fileno=int(sys.argv[1])), os.getppid())
    first = channel.receive()
    if first is None:
        return
    hooks = parse_hooks(memory.read(first.fds[0], LARGEST_HOOKS))
    process.call_itself(NAME)
    if not any(hook.privileged for hook in hooks):
        kept = {Capability.SETUID, Capability.SETGID, Capability.KILL}
        capabilities.bound(kept)
        capabilities.keep(kept)
    Runner(channel, hooks).serve()


if __name__ == "__main__":
    main()
