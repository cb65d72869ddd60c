"""Measure the contenders against each other and write bench/out/netns.json.

    python -m bench.netns [--rounds N] [--seconds N] [--only NAME ...] [--measure NAME ...]

The rounds are interleaved: every contender has its turn at a measure before the next measure, and all that again in
the next round, so that a machine that is busy for a while is busy for all of them. What is kept is each one's median.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence

from bench import compare
from bench.netns.contenders import CONTENDERS, SUITES
from bench.netns.measures import FIRST, LAST, REPEATED
from bench.netns.run import Run
from rhp.lab.errors import LabError
from rhp.lab.lab import Lab


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit status is 1 when something could not be measured."""
    options = _options(arguments)
    try:
        with Lab() as lab:
            run = Run(lab, options.only)
            run.measure(options.measure, options.rounds, options.seconds)
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    medians = {
        name: {program: round(statistics.median(values), 4) for program, values in programs.items()}
        for name, programs in run.samples.items()
    }
    compare.show(compare.write("netns", medians))
    for words in run.failures:
        print(f"bench: {words}", file=sys.stderr)
    return 1 if run.failures else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.netns", description=__doc__, add_help=True)
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured (default 3)")
    parser.add_argument("--seconds", type=int, default=2, help="how long each measure takes (default 2)")
    programs = [*CONTENDERS, *SUITES]
    parser.add_argument("--only", nargs="+", choices=programs, default=programs, help="programs")
    names = [*FIRST, *REPEATED, *LAST]
    parser.add_argument("--measure", nargs="+", choices=names, default=names, help="measures")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
