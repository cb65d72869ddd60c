"""`make model`: random lives of two engines for SECONDS, each round with a seed of its own.

A life that breaks a rule is made as short as it can be and printed with its flow; `--seed` repeats its round.
"""

import argparse
import random
import sys
import time

import conftest  # noqa: F401  (it makes the modules below importable)
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from machine import TwoEngines

ROUND = settings(
    max_examples=50,
    stateful_step_count=60,
    deadline=None,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, help="repeat this round and no other")
    chosen = parser.parse_args()
    end = time.monotonic() + chosen.seconds
    rounds = 0
    while True:
        number = chosen.seed if chosen.seed is not None else random.randrange(1 << 32)
        try:
            seed(number)(run_state_machine_as_test)(TwoEngines, settings=ROUND)
        except Exception:
            print(f"round {rounds + 1} failed: repeat it with --seed {number}", file=sys.stderr)
            raise
        rounds += 1
        if chosen.seed is not None or time.monotonic() > end:
            break
    print(f"{rounds} seeds of {ROUND.max_examples} lives each: no counter-example")


if __name__ == "__main__":
    main()
