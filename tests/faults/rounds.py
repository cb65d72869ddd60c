"""Rounds of faults under traffic (`make faults`): after each, all tunnels are up, and nothing has leaked.

    rounds.py --rounds 50 --seed 7

A round is one fault. Then both ends of every tunnel must name the same SAs and no other, every transfer must go on
with the right SHA-256, and the books of every machine must be what they were before the first round.
"""

import argparse
import random
import sys
import time
from dataclasses import dataclass

import conftest  # noqa: F401  (it makes the modules below importable)
from books import Memory, balanced, books
from deck import deal
from office import Office

from rhp.lab.errors import LabError
from rhp.lab.lab import Lab

UP_SECONDS = 60.0
"""From the end of a fault. A first message that is lost costs half a second, then one, two and four."""
FLOW_SECONDS = 60.0
BOOKS_SECONDS = 20.0
FLOW_OCTETS = 1 << 16
GROWN_KB = 4 * 1024
"""What a process may have grown by since it was first looked at: caches fill, allocators keep."""


@dataclass(frozen=True)
class Round:
    """What it was, and how long it took from the end of the fault until each of the three held, in seconds."""

    number: int
    fault: str
    hit: str
    fault_s: float
    up_s: float
    flow_s: float
    books_s: float

    @property
    def seconds(self):
        """All of it."""
        return self.fault_s + self.up_s + self.flow_s + self.books_s

    @property
    def line(self):
        """One line of the table."""
        return (
            f"{self.number:3}  {self.fault:26} {self.hit:22} {self.fault_s:6.1f} {self.up_s:6.1f}"
            f" {self.flow_s:6.1f} {self.books_s:6.1f}"
        )


HEAD = f"{'no.':3}  {'fault':26} {'what it hit':22} {'fault':>6} {'up':>6} {'flows':>6} {'books':>6}  (seconds)"


def play(office, cards, seed, tell=print):
    """Play a round with each card; the rounds and the memory. Raises `LabError` at the first that does not end well."""
    fate, memory, played = random.Random(f"details of {seed}"), Memory(), []
    office.flow_on(FLOW_OCTETS, FLOW_SECONDS)
    before = settled_books(office)
    memory.note(office)
    tell(f"seed {seed}")
    tell(HEAD)
    for number, fault in enumerate(cards, 1):
        try:
            played.append(one_round(office, number, fault, fate, before))
        except Exception as error:
            error.add_note(f"in round {number} of seed {seed}, {fault.__name__}\n{office.evidence()}")
            raise
        memory.note(office)
        tell(played[-1].line)
    judge(office, memory)
    return played, memory


def one_round(office, number, fault, fate, before):
    """One fault, and the three proofs."""
    began = time.monotonic()
    hit = fault(office, fate)
    done = time.monotonic()
    office.wait_up(UP_SECONDS)
    up = time.monotonic()
    office.flow_on(FLOW_OCTETS, FLOW_SECONDS)
    flowed = time.monotonic()
    balanced(office, before, BOOKS_SECONDS)
    times = done - began, up - done, flowed - up, time.monotonic() - flowed
    return Round(number, fault.__name__.replace("_", " "), hit, *times)


def settled_books(office):
    """The books once nothing of the start is under way any more: twice the same."""
    deadline, last = time.monotonic() + BOOKS_SECONDS, books(office)
    while True:
        time.sleep(1.0)
        if (again := books(office)) == last:
            return again
        last = again
        if time.monotonic() > deadline:
            raise LabError("the books do not come to rest before the first round")


def judge(office, memory):
    """What is looked at once, at the end."""
    for (host, role), grown, lived, first, last in memory.growth():
        if grown > GROWN_KB or last - first > GROWN_KB:
            raise LabError(f"the {role} of {host} holds {last} kB after {first} kB; {grown} kB more in {lived} rounds")
    for name, supervisor in office.supervisors.items():
        said = supervisor.node.process.text()
        for word in ("Traceback", "engine fault"):
            if word in said:
                raise LabError(f"{name} said {word}:\n{said[max(0, said.index(word) - 2000) :][:6000]}")


def summary(office, played, memory):
    """A table for a person."""
    took = sum(one.seconds for one in played)
    yield f"{len(played)} rounds in {took:.0f} s; after each all tunnels were up and the books balanced"
    for what, values in (("up", [one.up_s for one in played]), ("flows", [one.flow_s for one in played])):
        yield f"  {what} again: median {sorted(values)[len(values) // 2]:.1f} s, longest {max(values):.1f} s"
    for path, flow in office.flows.items():
        yield f"  {path}: {flow.verify() / 1e6:.1f} MB by {flow.connections} connections, SHA-256 right"
    yield "  memory, kB: first life, last life; growth within the longest life"
    for (host, role), grown, lived, first, last in memory.growth():
        yield f"    {host + ' ' + role:12} {first:7} {last:7} {grown:+6} in {lived} rounds"


def main():
    """Play as many rounds as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, help="repeat the rounds of this seed")
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.randrange(1 << 16)
    with Lab() as lab:
        office = Office(lab)
        played, memory = play(
            office, deal(random.Random(seed), chosen.rounds), seed, lambda line: print(line, flush=True)
        )
        for line in summary(office, played, memory):
            print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
