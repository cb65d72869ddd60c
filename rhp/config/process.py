"""`python -m rhp.config.process FILE`: read a configuration, write both shares of it to standard output, and end.

A process of its own, because reading takes more than all the guard's work: the model, its checks, certificates. What
that leaves in memory, keys written into the file among it, goes with the process.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from rhp.guard.brief import Mistaken, Outcome, write


def read(file: Path) -> Outcome:
    """Both shares, or what is wrong."""
    from rhp.config.apart import apart
    from rhp.config.errors import ConfigError
    from rhp.config.loading import load

    try:
        return apart(load(file))
    except ConfigError as error:
        return Mistaken(str(error), sum(not problem.warning for problem in error.problems))


def main() -> None:
    """Read the file that the command line names."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.stdout.buffer.write(write(read(Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
