"""Having the configuration read, by a process that ends afterwards.

So nothing of the reading stays in the guard's memory, and whoever reads it again after hours reads it as at the start.
By then the guard is root no more; the process has of it what it takes to read root's files, and nothing else.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from rhp.guard.brief import Outcome, read
from rhp.guard.messages import LARGEST_ENCLOSED
from rhp.node.errors import StartError
from rhp.wire.errors import DecodeError

PYTHON = (sys.executable, "-P", "-m")
"""How a further process of ours begins. -P keeps the working directory, which is anybody's, off the search path."""

LONGEST = 60.0
"""Seconds in which the file has to be read again. A disk that does not answer takes longer."""


def read_configuration(file: Path) -> Outcome:
    """Both shares of a configuration, or its mistakes. Raises `StartError` where it could not be read at all."""
    reader = subprocess.run(_command(file), stdout=subprocess.PIPE, check=False)
    return _outcome(file, reader.returncode, reader.stdout)


async def read_again(file: Path) -> Outcome:
    """The same beside the loop. Raises `StartError` also where it takes too long, or says too much."""
    process = await asyncio.create_subprocess_exec(
        *_command(file), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, limit=1 << 20
    )
    try:
        async with asyncio.timeout(LONGEST):
            octets = await _all_of(process)
            status = await process.wait()
    except TimeoutError:
        raise StartError(f"{file} could not be read within {LONGEST:.0f} seconds") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _outcome(file, status, octets)


async def _all_of(process: asyncio.subprocess.Process) -> bytes:
    if process.stdout is None:
        raise RuntimeError("the process has no output")
    found = bytearray()
    while piece := await process.stdout.read(1 << 20):
        found += piece
        if len(found) > LARGEST_ENCLOSED:
            raise StartError("the configuration is too large")
    return bytes(found)


def _command(file: Path) -> list[str]:
    return [*PYTHON, "rhp.config.process", str(file)]


def _outcome(file: Path, status: int, octets: bytes) -> Outcome:
    try:
        if status == 0:
            return read(octets)
    except DecodeError:
        pass
    raise StartError(f"{file} could not be read: the process that reads it ended with status {status}")
