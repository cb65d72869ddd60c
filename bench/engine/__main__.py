"""`python -m bench.engine`: handshakes per second and core, what ten thousand IKE SAs cost, and what a reload does.

One handshake is IKE_SA_INIT and IKE_AUTH with a first Child SA, with X25519 and AES-128-GCM. The engine's own figures
are taken with both ends in this process on one core; the gateways' with a node and with strongSwan's charon as
processes of their own, which do all that belongs to it. Rates are medians of interleaved rounds.
"""

import argparse
import compileall
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import rhp
from bench import compare
from bench.engine import first_ping, gateways, hop, looking, memory, rates, reload, scale
from rhp.lab.errors import LabError

PARTS = ("rates", "scale", "gateways", "first-ping", "hop", "looking", "reload", "memory")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write bench/out/engine.json and print it; the exit status is 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.engine", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often the rates are measured (default 5)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts; the others' figures are kept")
    options = parser.parse_args(arguments)
    # As pip does it. Without it, and where Python may write none, each process would compile all that it imports.
    compileall.compile_dir(Path(rhp.__file__).parent, quiet=2)
    # As the node does when its code is loaded.
    gc.freeze()
    figures = compare.read("engine")
    failed = False
    for part, measure in (
        ("gateways", gateways.measure),
        ("memory", memory.measure),
        ("first-ping", first_ping.measure),
    ):
        if part in options.only:
            try:
                figures.update(measure())
            except LabError as error:
                print(f"bench: {error}", file=sys.stderr)
                failed = True
    if "hop" in options.only:
        figures.update(hop.measure())
    if "looking" in options.only:
        figures.update(looking.measure())
    if "reload" in options.only:
        figures.update(reload.measure())
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if "rates" in options.only:
        figures.update(rates.measure(options.rounds))
    if "scale" in options.only:
        figures.update(scale.measure())
    compare.show(compare.write("engine", figures))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
