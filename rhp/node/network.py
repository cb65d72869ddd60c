"""The node's wishes about links and routes, put to the guard one after the other in the order in which they arose."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from rhp.guard.guard import Guard
from rhp.guard.protocol import Answer, NetworkQuestion, Refused

Done = Callable[[Answer], None]

_logger = logging.getLogger("rhp")


class NetworkQueue:
    """An ordered queue in front of the guard; `submit` returns at once, `done` hears the answer in the event loop."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._queue: asyncio.Queue[tuple[NetworkQuestion, Done | None]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to work."""
        self._task = asyncio.create_task(self._work(), name="rhp-network")

    def submit(self, question: NetworkQuestion, done: Done | None = None) -> None:
        """Put a question at the end of the queue."""
        self._queue.put_nowait((question, done))

    async def drained(self) -> None:
        """Wait until everything submitted so far has been answered."""
        await self._queue.join()

    async def close(self) -> None:
        """Stop; what still waits is left undone, for ReleaseAll follows."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _work(self) -> None:
        while True:
            question, done = await self._queue.get()
            try:
                answer = await self._guard.ask(question)
            except Exception as error:
                answer = Refused(f"the guard failed: {type(error).__name__}")
            try:
                if done is not None:
                    done(answer)
            except Exception:
                # A mistake of ours with one answer must not leave all later questions unasked, and has to be seen.
                _logger.exception("answer not taken")
            finally:
                self._queue.task_done()
