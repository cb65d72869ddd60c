"""Between the node and the service manager: it is ready when the node serves, and alive as long as the node answers.

The guard asks by a note (`Heartbeat`), the node answers by a question (`TellAlive`), which its main loop alone can put:
a node that hangs puts none, the watchdog hears nothing, and the manager begins the service anew. The node has no line
to the manager of its own; what it may say is a number and one of three words.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rhp.guard.kinds import Heartbeat
from rhp.guard.manager import Manager
from rhp.guard.protocol import STATES, Done, Refused, TellAlive, TellState

USUAL = 10.0
"""Seconds between two beats where no watchdog says how often."""

_SHARE = 3


class Supervision:
    """Tells `manager` what the node tells; `beat` sends the node a heartbeat. It goes on until `close`.

    `served` says whether the node was ever running.
    """

    def __init__(self, manager: Manager, beat: Callable[[Heartbeat], None]) -> None:
        self._manager = manager
        self._beat = beat
        self._loop = asyncio.get_running_loop()
        self.served = False
        self._state = STATES[0]
        self._tunnels = 0
        self._number = 0
        self._answered = True
        self._timer: asyncio.TimerHandle | None = None

    @property
    def ending(self) -> bool:
        """Whether the end has begun, because the node said so or because it was told to."""
        return self._state == STATES[-1]

    def told(self, question: TellState | TellAlive) -> Done | Refused:
        """Take what the node tells of itself; what it cannot mean is refused."""
        if isinstance(question, TellAlive):
            return self._alive(question)
        if self.ending and question.state == self._state:
            return Done()  # We said so before it did.
        if STATES.index(question.state) <= STATES.index(self._state):
            return Refused(f"the node is {self._state}, and cannot be {question.state} now")
        self._state = question.state
        if question.state == "running":
            self.served = True
            self._manager.ready(self._line())
            self._next()
        else:
            self._manager.stopping("saying farewell")
        return Done()

    def stopping(self) -> None:
        """The end has begun, whoever wanted it."""
        if not self.ending:
            self._state = STATES[-1]
            self._manager.stopping("saying farewell")

    def close(self) -> None:
        """Beat no more. Safe twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> None:
        """Beat, unless the last one is not answered yet: a node that hangs gets no heap of them."""
        if self._manager.there:
            every = self._manager.watchdog / _SHARE if self._manager.watchdog else USUAL
            self._timer = self._loop.call_later(every, self._next)
            if self._answered:
                self._answered = False
                self._number = self._number % 0xFFFFFFFF + 1
                self._beat(Heartbeat(self._number))

    def _alive(self, question: TellAlive) -> Done | Refused:
        if self._answered or question.beat != self._number:
            return Refused("the node was not asked whether it lives")
        self._answered = True
        self._manager.alive()
        if question.tunnels != self._tunnels and self._state == "running":
            self._tunnels = question.tunnels
            self._manager.status(self._line())
        return Done()

    def _line(self) -> str:
        return f"serving, {self._tunnels} tunnel{'' if self._tunnels == 1 else 's'} up"
