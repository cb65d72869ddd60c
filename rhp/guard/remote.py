"""The node's guard, which is another process: a question goes out with a number, and its answer comes back with it.

Many questions may be under way at once, and answers come in any order. When the guard is gone, every question that
waits and every one that follows is refused, and `lost` hears of it once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from rhp.guard.channel import Channel, ChannelError, close_all
from rhp.guard.kinds import Heartbeat, Reload, Start, Stop
from rhp.guard.messages import LARGEST, build_question, parse_told
from rhp.guard.protocol import Answer, Descriptors, Question, Refused, TellAlive
from rhp.wire.errors import DecodeError

UNDER_WAY = 64
"""Questions that may wait for their answers at once; others wait for their turn."""

GONE = "the guard is gone"
_LAST_NUMBER = (1 << 32) - 1


class RemoteGuard:
    """Asks over a channel.

    `stopped` hears why the guard wants the node to end, `reload` why it is to read its configuration again, and `lost`
    that there is no guard any more. `tunnels` tells how many there are, when the guard asks whether the node lives.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(UNDER_WAY)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._outbox: deque[bytes] = deque()
        self._number = 0
        self._alive = True
        self.stopped: Callable[[str], None] = lambda why: None
        self.reload: Callable[[str], None] = lambda why: None
        self.tunnels: Callable[[], int] = lambda: 0
        self._beating: set[asyncio.Task[Answer]] = set()
        self.lost: Callable[[], None] = lambda: None
        channel.set_blocking(False)
        self._loop.add_reader(channel.fileno(), self._readable)

    async def ask(self, question: Question) -> Answer:
        """Put one question; `Refused` also where there is no guard any more."""
        async with self._slots:
            if not self._alive:
                return Refused(GONE)
            number = self._next_number()
            octets = build_question(number, question)
            if len(octets) > LARGEST:
                return Refused("the question is too long for the guard")
            future: asyncio.Future[Answer] = self._loop.create_future()
            self._waiting[number] = future
            try:
                self._send(octets)
                return await future
            finally:
                # Whoever gave up waiting gets no answer, and descriptors that come late are closed.
                self._waiting.pop(number, None)

    def close(self) -> None:
        """Hang up. Safe twice."""
        if self._alive:
            self._end()

    def _next_number(self) -> int:
        self._number = self._number % _LAST_NUMBER + 1
        return self._number

    def _send(self, octets: bytes) -> None:
        if self._outbox:
            self._outbox.append(octets)
            return
        try:
            self._channel.send(octets)
        except BlockingIOError:
            self._outbox.append(octets)
            self._loop.add_writer(self._channel.fileno(), self._writable)
        except OSError:
            self._gone()

    def _writable(self) -> None:
        try:
            while self._outbox:
                self._channel.send(self._outbox[0])
                self._outbox.popleft()
        except BlockingIOError:
            return
        except OSError:
            self._gone()
            return
        self._loop.remove_writer(self._channel.fileno())

    def _readable(self) -> None:
        """Take one message. To look for a second one costs more than to be told of it."""
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
            number, told = parse_told(received.octets, received.fds)
        except DecodeError:
            # The guard is of this installation: what it says wrongly is no guard's.
            close_all(received.fds)
            self._gone()
            return
        match told:
            case Stop(why):
                self.stopped(why)
            case Reload(why):
                self.reload(why)
            case Heartbeat(beat):
                self._live(beat)
            case Start():
                pass
            case _:
                self._answered(number, told)

    def _live(self, beat: int) -> None:
        task = self._loop.create_task(self.ask(TellAlive(beat, self.tunnels())), name="rhp-heartbeat")
        self._beating.add(task)
        task.add_done_callback(self._beating.discard)

    def _answered(self, number: int, answer: Answer) -> None:
        future = self._waiting.get(number)
        if future is not None and not future.done():
            future.set_result(answer)
        elif isinstance(answer, Descriptors):
            close_all(answer.fds)

    def _gone(self) -> None:
        if self._alive:
            self._end()
            self.lost()

    def _end(self) -> None:
        self._alive = False
        self._loop.remove_reader(self._channel.fileno())
        self._loop.remove_writer(self._channel.fileno())
        self._channel.close()
        self._outbox.clear()
        for future in self._waiting.values():
            if not future.done():
                future.set_result(Refused(GONE))
