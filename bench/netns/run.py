"""One run of the benchmark: programs started, measures taken in turn, failures kept and told.

A program that does not start, or fails at a measure, loses that figure and is named at the end; the others go on.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable

from bench.netns.contender import Contender
from bench.netns.contenders import CONTENDERS, SUITES
from bench.netns.measures import FIRST, LAST, OF_SUITES, REPEATED, Measure, Single
from rhp.lab.errors import LabError
from rhp.lab.lab import Lab
from rhp.lab.ping import reaches


class Run:
    """What was measured so far: `samples[measure][program]` in the order in which they were taken, and `failures`."""

    def __init__(self, lab: Lab, programs: Iterable[str]) -> None:
        self.samples: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.failures: list[str] = []
        self._lab = lab
        self._contenders: list[Contender] = []
        for name in programs:
            self._start(name)

    def measure(self, measures: Iterable[str], rounds: int, seconds: int) -> None:
        """Take every one of these measures of every program, in `rounds` interleaved rounds."""
        wanted = set(measures)
        # What does not vary from round to round is taken once, a few times over.
        for name in (name for name in FIRST if name in wanted):
            self._turn(name, "first", FIRST[name], 3)
        for number in range(1, rounds + 1):
            for name in (name for name in REPEATED if name in wanted):
                self._turn(name, f"round {number}", self._repeated(REPEATED[name], seconds), 1)
        for name in (name for name in LAST if name in wanted):
            self._turn(name, "last", LAST[name], 3)

    def _repeated(self, measure: Measure, seconds: int) -> Single:
        """The measure as a function of the program alone."""
        return lambda contender: measure(self._lab, contender, seconds)

    def _start(self, name: str) -> None:
        """Start one program; it takes part when a first packet has come through."""
        try:
            contender = {**CONTENDERS, **SUITES}[name](self._lab)
            if not reaches(contender.client, contender.address):
                raise LabError("nothing comes through")
            self._contenders.append(contender)
        except LabError as error:
            self._fail(f"{name} did not start: {error}")

    def _turn(self, name: str, when: str, taken: Single, times: int) -> None:
        """One measure of each program that it is for."""
        for contender in self._contenders:
            if contender.name in SUITES and name not in OF_SUITES:
                continue
            try:
                values = [value for _ in range(times) if (value := taken(contender)) is not None]
            except LabError as error:
                self._fail(f"{contender.name}, {name}: {error}")
                continue
            for value in values:
                self.samples[name][contender.name].append(value)
                print(f"{when:<8} {name:<30} {contender.name:<20} {value:8.3f}", file=sys.stderr)

    def _fail(self, words: str) -> None:
        self.failures.append(words)
        print(words, file=sys.stderr)
