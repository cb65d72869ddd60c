"""Ten thousand IKE SAs with a Child SA each: their memory, a timer's tick over them, and the day they all come back.

The storm: the responder has started anew, and every client calls in the same moment. Messages to the responder wait in
two queues as they do at a node's port, those that begin an IKE SA behind the others, and a full queue loses them. Its
clock runs by the processor time that it takes, and where nothing waits it jumps to the next timer; so the seconds that
come out are those of one core that does nothing else. A client that has given up calls again, as a node does.
"""

import gc
import os
import tracemalloc
from collections import deque
from pathlib import Path as FilePath
from time import thread_time_ns

from bench.engine.pair import Node, Pair, there
from rhp.ike.effects import Send
from rhp.wire.header import FLAG_RESPONSE
from rhp.wire.iana import ExchangeType

SAS = 10_000
TRACED = 1_000
WARM = 100
QUEUE = 4_000
"""Datagrams that a socket's buffer of 4 MB holds."""
TICKS = 20_000
STEP = 0.005
"""Seconds that timers may be late in the storm."""
LONGEST = 600.0
PAUSE = 1.0
"""Seconds before a client that gave up calls again."""


def traced_kilobytes() -> float:
    """Python's own count of what the responder keeps for an IKE SA and its Child SA."""
    pair = Pair(TRACED + WARM)
    for number in range(WARM):
        pair.handshake(number, 0.0)
    tracemalloc.start()
    for number in range(WARM, TRACED + WARM):
        pair.handshake(number, 0.0)
    gc.collect()
    both = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return both / TRACED / 2 / 1000.0


def resident() -> int:
    """The memory of this process, in octets."""
    gc.collect()
    return int(FilePath("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def tick_ns(node: Node, now: float) -> float:
    """What a tick costs when nothing is due."""
    node.tick(now)
    handle = node.engine.handle_timer
    began = thread_time_ns()
    for _ in range(TICKS):
        handle(now)
    return (thread_time_ns() - began) / TICKS


class Storm:
    """All clients of a pair call its new responder at once."""

    def __init__(self, pair: Pair, clients: int) -> None:
        self._pair = pair
        self._clients = clients
        self._known: deque[Send] = deque()
        self._begin: deque[Send] = deque()
        self._now = 0.0
        self._looked = 0.0
        self._again: deque[tuple[float, int]] = deque()
        self.lost = 0
        self.repeated = 0

    def run(self) -> float:
        """Seconds until every client has its IKE SA and its Child SA; RuntimeError when some never get one."""
        responder = self._pair.responder
        for number in range(self._clients):
            self._to_responder(self._pair.begin(number, 0.0))
        while responder.installed < self._clients:
            if self._known or self._begin:
                self._take((self._known or self._begin).popleft())
            else:
                self._jump()
            if self._now - self._looked > STEP:
                self._look_at_timers()
            if self._now > LONGEST:
                raise RuntimeError(f"{responder.installed} of {self._clients} clients came back")
        return self._now

    def _take(self, sent: Send) -> None:
        responder = self._pair.responder
        before = responder.spent
        answers = responder.receive(sent.datagram, there(sent), self._now)
        self._now += (responder.spent - before) / 1e9
        self._to_initiator(answers)

    def _jump(self) -> None:
        nodes = (self._pair.initiator, self._pair.responder)
        deadlines = [deadline for node in nodes if (deadline := node.engine.next_deadline()) is not None]
        deadlines += [when for when, _ in self._again]
        self._now = max(self._now, min(deadlines, default=LONGEST)) + STEP * 2

    def _look_at_timers(self) -> None:
        self._looked = self._now
        self._to_responder(self._pair.initiator.tick(self._now))
        self._to_initiator(self._pair.responder.tick(self._now))
        failed, self._pair.initiator.failed = self._pair.initiator.failed, []
        self.repeated += len(failed)
        self._again.extend((self._now + PAUSE, int(name[1:])) for name in failed)
        while self._again and self._again[0][0] <= self._now:
            self._to_responder(self._pair.begin(self._again.popleft()[1], self._now))

    def _to_initiator(self, messages: list[Send]) -> None:
        for sent in messages:
            self._to_responder(self._pair.initiator.receive(sent.datagram, there(sent), self._now))

    def _to_responder(self, messages: list[Send]) -> None:
        for sent in messages:
            # The exchange type and the flags; see rhp.wire.header.
            begins = sent.datagram[18] == ExchangeType.IKE_SA_INIT and not sent.datagram[19] & FLAG_RESPONSE
            queue = self._begin if begins else self._known
            if len(queue) < QUEUE:
                queue.append(sent)
            else:
                self.lost += 1


def measure() -> dict[str, dict[str, float]]:
    """All of it."""
    traced = traced_kilobytes()
    few = Pair(10)
    for number in range(10):
        few.handshake(number, 0.0)
    pair = Pair(SAS + WARM)
    for number in range(SAS, SAS + WARM):
        pair.handshake(number, 0.0)
    before = resident()
    for number in range(SAS):
        pair.handshake(number, 0.0)
    grown = (resident() - before) / SAS / 2 / 1000.0
    pair.check(SAS + WARM)
    ticks = [tick_ns(node, 1.0) for node in (pair.responder, few.responder)]
    del pair
    gc.collect()
    again = Pair(SAS, init_rate=100)
    storm = Storm(again, SAS)
    took = storm.run()
    return {
        "ike_sa_kilobytes": {"rhp": round(traced, 1), "rhp-resident": round(grown, 1)},
        "idle_tick_ns": {"rhp": round(ticks[0]), "rhp-10-sas": round(ticks[1])},
        "restart_storm_s": {"rhp": round(took, 2), "rhp-cpu": round(again.responder.spent / 1e9, 2)},
        "restart_storm_losses": {"messages": storm.lost, "calls": storm.repeated},
    }
