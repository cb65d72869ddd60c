"""`python -m rhp.config.process FILE`: read a configuration, write both shares of it to standard output, and end.

A process of its own, because reading takes more than all the guard's work: the model, its checks, certificates. What
that leaves in memory, keys written into the file among it, goes with the process.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path

from rhp.guard.brief import Outcome, write


def read(file: Path) -> Outcome:
    """Both shares, or what is wrong."""
    from rhp.config.apart import apart, mistaken
    from rhp.config.errors import ConfigError
    from rhp.config.loading import load

    try:
        return apart(load(file))
    except ConfigError as error:
        return mistaken(error)


def main() -> None:
    """Read the file that the command line names."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Plugins of the library that checks the model are nobody's business here, and looking for them takes a while.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    # Nothing here lives long enough to be worth a search for cycles, which would go through all of it.
    gc.disable()
    sys.stdout.buffer.write(write(read(Path(sys.argv[1]))))
    sys.stdout.flush()
    # Python would put all of it away, object by object, and the guard would wait for that.
    os._exit(0)


if __name__ == "__main__":
    main()
