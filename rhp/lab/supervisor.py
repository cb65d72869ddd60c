"""Keeps an rhp node running as a service manager does with Restart=on-failure: a death is followed by a new start.

An end in order (`exits.DONE`) stays an end until somebody starts the node again, and a start that is refused
(`exits.NOT_STARTED`) is a failure of the supervisor, for nothing would change by repeating it. The new start does not
wait for whatever the old one has left running: that is harder on the node than a service manager is.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rhp.guard import exits
from rhp.lab.errors import LabError, NotReached
from rhp.lab.process import wait_until
from rhp.lab.rhpnode import RhpNode

PAUSE = 0.1
"""Seconds between an end and the next start: RestartSec of a unit that says nothing else."""
START_SECONDS = 60.0


class Supervisor:
    """Watches `node`, which runs already; `starts` and `ends` tell what happened, the newest last."""

    def __init__(self, node: RhpNode) -> None:
        self.node = node
        self.starts = 1
        self.ends: list[int] = []
        self._failure: BaseException | None = None
        self._asked = threading.Event()
        self._may_start = threading.Event()
        self._may_start.set()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"supervisor-{node.namespace.name}")
        self._thread.start()

    def start(self) -> None:
        """Start a node that has ended in order, and wait until it serves; raises `LabError`."""
        before = self.starts
        self._asked.set()
        self.wait_started(before)

    def wait_started(self, before: int) -> None:
        """Wait until the node has been started again since there were `before` starts; raises `LabError`."""
        wait_until(lambda: self.starts > before or self._failure is not None, START_SECONDS + 10, "another start")
        self.check()

    def wait_ended(self, before: int) -> int:
        """Wait for the next end since there were `before` ends, and return its status."""
        wait_until(lambda: len(self.ends) > before, 60, f"the end of the node in {self.node.namespace.name}")
        return self.ends[before]

    @contextmanager
    def held(self) -> Iterator[None]:
        """As long as the `with` lasts a node that has ended is not started again."""
        self._may_start.clear()
        try:
            yield
        finally:
            self._may_start.set()

    def check(self) -> None:
        """Raise `LabError` when a start has failed."""
        if self._failure is not None:
            raise LabError(f"the node in {self.node.namespace.name} did not start again: {self._failure}")

    def stop(self) -> None:
        """End the node and watch no more. Safe to call twice."""
        self._ending.set()
        self._thread.join()
        self.node.stop()

    def processes(self) -> dict[str, int]:
        """The process ids of guard and node; raises `LabError` while there are not exactly these two."""
        return {"guard": self.node.process.pid, "node": self.node.pid}

    def _watch(self) -> None:
        try:
            while not self._ending.is_set():
                status = self.node.process.status
                if status is None:
                    time.sleep(0.02)
                    continue
                self.ends.append(status)
                if status == exits.NOT_STARTED:
                    raise NotReached(f"it ended with status {status}\n{self.node.process.tail(20)}")
                if not self._wait_for_start(status):
                    return
                self.node.start(START_SECONDS)
                self.starts += 1
        except Exception as error:
            self._failure = error

    def _wait_for_start(self, status: int) -> bool:
        """Wait for the moment of the next start; False when there is none."""
        wanted = self._asked if status == exits.DONE else self._may_start
        while not wanted.wait(0.02):
            if self._ending.is_set():
                return False
        self._asked.clear()
        return not self._ending.wait(PAUSE)
