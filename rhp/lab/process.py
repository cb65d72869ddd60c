"""One process in the background: started with its output in a file, ended by its own id and nothing wider."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from rhp.lab.errors import NotReached

T = TypeVar("T")


class Background:
    """A program that runs beside us, in a session of its own; its standard output and error go to `log`."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.command = tuple(command)
        self.log = log
        self._before = len(self.text())
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **environment} if environment else None,
            )

    @property
    def pid(self) -> int:
        """The process id; it stays ours (a zombie at least) until `stop` or `wait` has collected it."""
        return self._process.pid

    @property
    def children(self) -> list[int]:
        """The process ids of the processes that it has started and that still run."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return [int(word) for word in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        return []

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def tail(self, lines: int = 30) -> str:
        """The last lines it wrote, for error messages."""
        return "\n".join(self.text().splitlines()[-lines:])

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; silently nothing when it has ended."""
        self._process.send_signal(number)

    def wait(self, timeout: float) -> int:
        """Wait `timeout` seconds for its end and return its status; raises `NotReached` with its last lines."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise NotReached(f"`{' '.join(self.command)}` still runs after {timeout:g} s:\n{self.tail()}") from None

    def text(self) -> str:
        """All it has written so far (and what was in the file before)."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_for(self, words: str, timeout: float) -> None:
        """Wait until it has written `words`; raises `NotReached` with its last lines when it ends or lingers first."""
        deadline = time.monotonic() + timeout
        while words not in self.text()[self._before :]:
            status = self.status
            if status is not None and words not in self.text()[self._before :]:
                raise NotReached(f"{Path(self.command[0]).name} ended with status {status}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise NotReached(f'nothing said "{words}" within {timeout:g} s:\n{self.tail()}')
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, without giving it a chance to say farewell."""
        self._process.kill()
        self._process.wait()

    def stop(self, timeout: float = 5.0) -> int:
        """Ask it to end, then kill it after `timeout` seconds; returns its status. Safe to call twice."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._process.wait()

    def processor_seconds(self) -> float:
        """What it and its children have used so far, in all of their threads, and in the kernel for them."""
        return sum(_processor_seconds(pid) for pid in (self.pid, *self.children))

    def resident_bytes(self) -> int:
        """The memory that it and its children hold in RAM (VmRSS), in bytes; 0 once it has ended."""
        return sum(_resident_bytes(pid) for pid in (self.pid, *self.children))


def runs(pid: int) -> bool:
    """Whether there is such a process, and not only what is left of one that nobody has collected yet."""
    folder = Path(f"/proc/{pid}")
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        # The first of several threads may end before the others, which then still hold all that the process held.
        return state != "Z" or len(list((folder / "task").iterdir())) > 1
    return False


def _processor_seconds(pid: int) -> float:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _resident_bytes(pid: int) -> int:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def wait_until(condition: Callable[[], T], timeout: float, what: str, every: float = 0.05) -> T:
    """Call `condition` until it is true and return what it says; raises `NotReached` with `what` after `timeout` s."""
    deadline = time.monotonic() + timeout
    while not (said := condition()):
        if time.monotonic() > deadline:
            raise NotReached(f"{what} did not happen within {timeout:g} s")
        time.sleep(every)
    return said
