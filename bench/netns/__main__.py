"""Measure the contenders against each other and write bench/out/netns.json.

    python -m bench.netns [--rounds N] [--seconds N] [--only NAME ...] [--measure NAME ...]

The rounds are interleaved: every contender has its turn at a measure before the next measure, and all that again in
the next round, so that a machine that is busy for a while is busy for all of them. What is kept is each one's median.
"""

import argparse
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence

from bench import compare
from bench.netns.contenders import CONTENDERS, Contender
from bench.netns.measures import REPEATED, SINGLE
from rhp.lab.errors import LabError
from rhp.lab.lab import Lab

Samples = dict[str, dict[str, list[float]]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit status is 1 when the lab could not be built."""
    options = _options(arguments)
    try:
        samples = measure(options.only, options.measure, options.rounds, options.seconds)
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    medians = {
        name: {program: round(statistics.median(values), 4) for program, values in programs.items()}
        for name, programs in samples.items()
    }
    compare.show(compare.write("netns", medians))
    return 0


def measure(programs: Sequence[str], measures: Sequence[str], rounds: int, seconds: int) -> Samples:
    """Every sample of every measure of every program, in the order in which they were taken."""
    samples: Samples = defaultdict(lambda: defaultdict(list))
    with Lab() as lab:
        contenders = [CONTENDERS[name](lab) for name in programs]
        for single in (name for name in SINGLE if name in measures):
            _once(samples, single, contenders)
        for number in range(rounds):
            for name in (name for name in REPEATED if name in measures):
                for contender in contenders:
                    value = REPEATED[name](lab, contender, seconds)
                    samples[name][contender.name].append(value)
                    print(f"round {number + 1}  {name:<20} {contender.name:<20} {value:8.3f}", file=sys.stderr)
    return samples


def _once(samples: Samples, name: str, contenders: Sequence[Contender]) -> None:
    """Take a measure that does not vary with load; a short one is taken three times."""
    for contender in contenders:
        values = [SINGLE[name](contender) for _ in range(3)]
        found = [value for value in values if value is not None]
        if found:
            samples[name][contender.name] = found


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.netns", description=__doc__, add_help=True)
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured (default 3)")
    parser.add_argument("--seconds", type=int, default=3, help="how long each measure takes (default 3)")
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS), help="programs")
    names = [*SINGLE, *REPEATED]
    parser.add_argument("--measure", nargs="+", choices=names, default=names, help="measures")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
