"""The guard's loop: a question comes, is read, checked against the policy, carried out and answered.

The node at the other end may be somebody else's by now. So nothing that it sends is believed, and each of its ways to
be a nuisance has a bound: messages are short, as many questions as `MOST_UNDER_WAY` are taken up at once, what no sound
node asks is refused and costs a token, and without tokens nothing is read until there is one again. What cannot be read
at all no sound node can send: after `MOST_MALFORMED` of it the node is given up, and after the first descriptor.

Secrets are answered at once. What changes the machine waits for its turn, one after the other, meanwhile the secrets go
on: a slow name service must not hold up a handshake. Reading the configuration again takes longest, and goes on beside
all of it, once at a time and not too often. Adopting it waits for its turn like a change.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from typing import Protocol

from rhp.guard.channel import Channel, ChannelError, Smuggled, close_all
from rhp.guard.checks import Checks, Forbidden, Unfit
from rhp.guard.kinds import Note
from rhp.guard.local import LocalGuard
from rhp.guard.messages import build_answer, build_note, parse_question
from rhp.guard.pace import Pace
from rhp.guard.policy import GuardPolicy
from rhp.guard.protocol import Answer, Done, Question, ReadConfiguration, Refused, ServiceQuestion
from rhp.wire.errors import DecodeError

MOST_UNDER_WAY = 256
MOST_MALFORMED = 16
FORBIDDEN_AT_ONCE = 20
FORBIDDEN_PER_SECOND = 1.0
READINGS_AT_ONCE = 30
SECONDS_FOR_A_READING = 2.0
PATIENCE = 5.0
"""Seconds for a change that is under way when the node is gone; the service manager waits for all of the end."""


class Log(Protocol):
    """Where lines go; see `rhp.node.log.EventLog`."""

    def write(self, event: str, **fields: object) -> None:
        """Write one line."""


def unheard(question: ServiceQuestion) -> Answer:
    """Where nobody runs the node as a service, there is nothing to do."""
    return Done()


class Service:
    """Answers one node.

    `ended` hears why there is nothing more to answer: "gone", or what the node did. `told` answers what the node tells
    of itself; it does not wait.
    """

    def __init__(
        self,
        channel: Channel,
        guard: LocalGuard,
        policy: GuardPolicy,
        log: Log,
        ended: Callable[[str], None],
        told: Callable[[ServiceQuestion], Answer] = unheard,
    ) -> None:
        self._told = told
        self._channel = channel
        self._guard = guard
        self._policy = policy
        self._checks = Checks(policy)
        self._log = log
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._network: asyncio.Queue[tuple[int, Question] | None] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._readings = Pace(READINGS_AT_ONCE, SECONDS_FOR_A_READING, self._loop.time)
        self._outbox: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._tokens, self._refilled = float(FORBIDDEN_AT_ONCE), self._loop.time()
        self._pause: asyncio.TimerHandle | None = None
        self._under_way = 0
        self._open = False
        self.counters: Counter[str] = Counter()

    def start(self) -> None:
        """Begin to answer."""
        self._open = True
        self._channel.set_blocking(False)
        self._loop.add_reader(self._channel.fileno(), self._readable)
        self._worker = self._loop.create_task(self._work(), name="rhp-guard-network")

    def tell(self, note: Note) -> None:
        """Send the node a note; nothing happens where there is none any more."""
        if self._open:
            self._send(build_note(note), ())

    async def close(self) -> None:
        """Answer no more, and wait until what is being done to the machine is done. Safe twice.

        What is cut off half-way might not be known to whoever takes everything back, so it may end, within `PATIENCE`.
        """
        self._hang_up()
        if self._worker is not None:
            await asyncio.wait([self._worker], timeout=PATIENCE)
        under_way = [task for task in (self._worker, self._reading) if task is not None]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        self._worker = self._reading = None

    def _hang_up(self) -> None:
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._channel.fileno())
        self._loop.remove_writer(self._channel.fileno())
        if self._pause is not None:
            self._pause.cancel()
        # Which ends the worker, where it waits for one.
        self._network.put_nowait(None)
        self._channel.close()
        for _, fds in self._outbox:
            close_all(fds)
        self._outbox.clear()

    def _end(self, why: str) -> None:
        if self._open:
            self._hang_up()
            self._ended(why)

    def _readable(self) -> None:
        """Take one message. To look for a second one costs more than to be told of it."""
        try:
            received = self._channel.receive()
        except BlockingIOError:
            return
        except Smuggled as error:
            self._end(error.reason)
            return
        except ChannelError as error:
            self._malformed(error.reason)
            return
        except OSError:
            received = None
        if received is None:
            self._end("gone")
        else:
            self._take(received.octets)

    def _take(self, octets: bytes) -> None:
        try:
            number, question = parse_question(octets)
        except DecodeError as error:
            self._malformed(error.reason)
            return
        self.counters["questions"] += 1
        try:
            self._checks.check(question)
        except Forbidden as error:
            self._forbidden(number, question, str(error))
            if not isinstance(error, Unfit):
                self._spend()
            return
        if isinstance(question, ServiceQuestion):
            self._answer(number, question, self._told(question))
        elif (answer := self._guard.secret(question)) is not None:
            self._answer(number, question, answer)
        elif isinstance(question, ReadConfiguration):
            self._read(number, question)
        elif self._under_way >= MOST_UNDER_WAY:
            self._forbidden(number, question, "the node asked for too much at once")
            self._spend()
        else:
            self._under_way += 1
            self._network.put_nowait((number, question))

    def _read(self, number: int, question: ReadConfiguration) -> None:
        if self._reading is not None and not self._reading.done():
            self._forbidden(number, question, "the node asked for the configuration twice at once")
            self._spend()
            return
        self._reading = self._loop.create_task(self._read_soon(number, question), name="rhp-guard-reading")

    async def _read_soon(self, number: int, question: ReadConfiguration) -> None:
        await asyncio.sleep(self._readings.wait())
        answer = await self._carry_out(question)
        # Whoever hears the answer may ask for the next one.
        self._reading = None
        self._answer(number, question, answer)

    async def _carry_out(self, question: Question) -> Answer:
        try:
            return await self._guard.ask(question)
        except Exception as error:
            return self._failed(error)

    def _failed(self, error: Exception) -> Refused:
        """A mistake of ours with one question must not take the tunnels along."""
        self.counters["failed"] += 1
        return Refused(f"the guard failed ({type(error).__name__})")

    async def _work(self) -> None:
        while (item := await self._network.get()) is not None and self._open:
            number, question = item
            answer = await self._carry_out(question)
            self._under_way -= 1
            if self._guard.policy is not self._policy:
                answer = self._adopted(answer)
            self._answer(number, question, answer)

    def _adopted(self, answer: Answer) -> Answer:
        """Go by the policy that is in force now; where there is no telling what it allows, by the one before."""
        self._policy = self._guard.policy
        try:
            self._checks = Checks(self._policy)
        except Exception as error:
            return self._failed(error)
        return answer

    def _answer(self, number: int, question: Question, answer: Answer) -> None:
        self.counters["refused" if isinstance(answer, Refused) else "answered"] += 1
        octets, fds = build_answer(number, answer)
        if self._open:
            self._send(octets, fds)
        else:
            close_all(fds)

    def _send(self, octets: bytes, fds: tuple[int, ...]) -> None:
        """Send it now, or when the node has read what it was sent before. Descriptors of ours are closed behind it."""
        if not self._outbox and self._sent(octets, fds):
            return
        if len(self._outbox) >= MOST_UNDER_WAY:
            close_all(fds)
            self._end("deaf")
            return
        self._outbox.append((octets, fds))
        self._loop.add_writer(self._channel.fileno(), self._writable)

    def _sent(self, octets: bytes, fds: tuple[int, ...]) -> bool:
        """Whether it is out of the way: sent, or without anybody to send it to."""
        try:
            self._channel.send(octets, fds)
        except BlockingIOError:
            return False
        except OSError:
            # The reader will find the end of the line by itself.
            self.counters["unsent"] += 1
        close_all(fds)
        return True

    def _writable(self) -> None:
        while self._outbox and self._sent(*self._outbox[0]):
            self._outbox.popleft()
        if not self._outbox:
            self._loop.remove_writer(self._channel.fileno())

    def _malformed(self, reason: str) -> None:
        """Count what cannot be read; a sound node sends none of it."""
        self.counters["malformed"] += 1
        self._log.write("guard malformed", reason=reason)
        if self.counters["malformed"] >= MOST_MALFORMED:
            self._end("malformed")

    def _forbidden(self, number: int, question: Question, sentence: str) -> None:
        self.counters["forbidden"] += 1
        connection = getattr(question, "connection", None)
        self._log.write("guard refused", command=type(question).__name__, connection=connection, detail=sentence)
        self._answer(number, question, Refused(sentence))

    def _spend(self) -> None:
        """Take a token for what was forbidden; without one, read no more until there is one."""
        now = self._loop.time()
        grown = self._tokens + (now - self._refilled) * FORBIDDEN_PER_SECOND
        self._tokens, self._refilled = min(float(FORBIDDEN_AT_ONCE), grown) - 1.0, now
        if self._tokens < 0.0 and self._open:
            self._loop.remove_reader(self._channel.fileno())
            self._pause = self._loop.call_later(-self._tokens / FORBIDDEN_PER_SECOND, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        self._loop.add_reader(self._channel.fileno(), self._readable)
