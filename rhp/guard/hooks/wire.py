"""What guard and runner say to each other: one dataclass a message, short, and plain data.

The runner gets its hooks once, before the first message, in a sealed file of memory. Later it hears of a hook by its
number alone: whatever comes from the network ends up in the values of the environment, never in a command.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rhp.guard.codec import Codec
from rhp.guard.policy import HookPolicy
from rhp.wire.errors import DecodeError

LONGEST_OUTPUT = 4096
"""Octets of what a hook prints that are kept; the rest is read and dropped."""


@dataclass(frozen=True, slots=True)
class Run:
    """The guard to the runner: run the hook of that number with these in its environment."""

    hook: int
    environment: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """The runner to the guard: it ended with `status`, negative for a signal, or ran out of its time.

    `problem` says why it could not be begun. `cut` tells that there was more output.
    """

    hook: int
    status: int
    late: bool = False
    cut: bool = False
    output: bytes = field(default=b"", repr=False)
    problem: str = ""


_codec = Codec()


def build(message: Run | Ended) -> bytes:
    """Write one."""
    return _codec.encode(Run | Ended, message)


def parse_run(octets: bytes) -> Run:
    """Read what the guard says. Raises DecodeError."""
    message = _codec.decode(Run | Ended, octets)
    if not isinstance(message, Run):
        raise DecodeError("not-a-run")
    return message


def parse_ended(octets: bytes) -> Ended:
    """Read what the runner says. Raises DecodeError."""
    message = _codec.decode(Run | Ended, octets)
    if not isinstance(message, Ended):
        raise DecodeError("not-an-end")
    return message


def build_hooks(hooks: tuple[HookPolicy, ...]) -> bytes:
    """Write what the runner gets at its start."""
    return _codec.encode(tuple[HookPolicy, ...], hooks)


def parse_hooks(octets: bytes) -> tuple[HookPolicy, ...]:
    """Read it. Raises DecodeError."""
    found: tuple[HookPolicy, ...] = _codec.decode(tuple[HookPolicy, ...], octets)
    return found
