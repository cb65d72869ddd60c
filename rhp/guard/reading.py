"""Having the configuration read, by a process that ends afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rhp.guard.brief import Outcome, read
from rhp.node.errors import StartError
from rhp.wire.errors import DecodeError

PYTHON = (sys.executable, "-P", "-m")
"""How a further process of ours begins. -P keeps the working directory, which is anybody's, off the search path."""


def read_configuration(file: Path) -> Outcome:
    """Both shares of a configuration, or its mistakes. Raises `StartError` where it could not be read at all."""
    reader = subprocess.run([*PYTHON, "rhp.config.process", str(file)], stdout=subprocess.PIPE, check=False)
    try:
        if reader.returncode == 0:
            return read(reader.stdout)
    except DecodeError:
        pass
    raise StartError(f"{file} could not be read: the process that reads it ended with status {reader.returncode}")
