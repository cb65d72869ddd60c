"""What the way to the guard costs a handshake: the same questions put in this process, and to a process of its own.

The questions are those of a responder with a pre-shared key: check the peer's proof, make its own. Both ways are taken
in turn, so that whatever else the machine does counts for both.
"""

import asyncio
import os
from statistics import median
from time import perf_counter

from bench.engine.pair import DOMAIN, GATE, Kind, Pair, connection, policy
from rhp.guard.channel import Channel, pair
from rhp.guard.guard import Guard
from rhp.guard.local import LocalGuard
from rhp.guard.policy import GuardPolicy
from rhp.guard.protocol import Answer, CheckPsk, ProvePsk, Question, Refused
from rhp.guard.remote import RemoteGuard
from rhp.guard.service import Service

HANDSHAKES = 400
ROUNDS = 9


class _Silent:
    """A log that nobody reads."""

    def write(self, event: str, **fields: object) -> None:
        """Write nothing."""


def questions(seen: Pair) -> list[Question]:
    """What the responder asks in one handshake."""
    asked: list[Question] = []
    answer = seen.responder.answer

    def note(question: Question) -> Answer:
        asked.append(question)
        return answer(question)

    seen.responder.answer = note  # type: ignore[method-assign]
    seen.handshake(0, 0.0)
    if [type(one) for one in asked] != [CheckPsk, ProvePsk]:
        raise RuntimeError("the responder asked for something else than two proofs")
    return asked


async def _serve(channel: Channel, told: GuardPolicy) -> None:
    ended = asyncio.Event()
    service = Service(channel, LocalGuard(told), told, _Silent(), lambda why: ended.set())
    service.start()
    await ended.wait()


async def _ask(guard: Guard, asked: list[Question]) -> float:
    """Milliseconds for the questions of one handshake, one after the other, as a handshake puts them."""
    began = perf_counter()
    for _ in range(HANDSHAKES):
        for question in asked:
            if isinstance(await guard.ask(question), Refused):
                raise RuntimeError("the guard refused a proof")
    return (perf_counter() - began) * 1000 / HANDSHAKES


async def _compare(channel: Channel, told: GuardPolicy, asked: list[Question]) -> dict[str, float]:
    here, there = LocalGuard(told), RemoteGuard(channel)
    near, far = [], []
    for _ in range(ROUNDS):
        near.append(await _ask(here, asked))
        far.append(await _ask(there, asked))
    there.close()
    without, with_hop = median(near), median(far)
    return {"rhp": round(with_hop - without, 4), "without": round(without, 4), "with": round(with_hop, 4)}


def measure() -> dict[str, dict[str, float]]:
    """Milliseconds per handshake: what the process between adds (`rhp`), and the questions without and with it."""
    seen = Pair(1, Kind())
    asked = questions(seen)
    told = policy((connection("gate", GATE, f"*.{DOMAIN}", Kind()),), Kind())
    ours, theirs = pair()
    parent = os.getpid()
    if not (child := os.fork()):
        ours.close()
        asyncio.run(_serve(Channel(theirs, parent), told))
        os._exit(0)
    theirs.close()
    try:
        found = asyncio.run(_compare(Channel(ours, child), told, asked))
    finally:
        ours.close()
        os.waitpid(child, 0)
    return {"guard_hop_ms": found}
