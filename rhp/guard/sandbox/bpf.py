"""A small assembler for classic BPF, the language of system call filters (seccomp(2)).

A program is a list of steps, and of labels that stand between them. A jump names the labels to go on at where the
accumulator equals `value`, has a bit of it, or is not below it, and where not; without one the next step follows.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

_INSTRUCTION = struct.Struct("=HBBI")
_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_EQUAL, _NOT_BELOW, _HAS_ANY = 0x15, 0x35, 0x45
_FARTHEST = 255


@dataclass(frozen=True, slots=True)
class Label:
    """A place in a program."""

    name: str


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction; `yes` and `no` name labels further on, empty for the next step."""

    code: int
    value: int
    yes: str = ""
    no: str = ""


Line = Step | Label


def load(offset: int) -> Step:
    """Take the 32 bits at this offset of what the filter looks at."""
    return Step(_LOAD, offset)


def mask(value: int) -> Step:
    """Keep these bits only."""
    return Step(_AND, value)


def equal(value: int, yes: str = "", no: str = "") -> Step:
    """Jump by whether it is this."""
    return Step(_EQUAL, value, yes, no)


def not_below(value: int, yes: str = "", no: str = "") -> Step:
    """Jump by whether it is this or more."""
    return Step(_NOT_BELOW, value, yes, no)


def has_any(value: int, yes: str = "", no: str = "") -> Step:
    """Jump by whether it has one of these bits."""
    return Step(_HAS_ANY, value, yes, no)


def give(value: int) -> Step:
    """End with this."""
    return Step(_RETURN, value)


def assemble(lines: Sequence[Line]) -> bytes:
    """The program as the kernel reads it; ValueError for a label that is not further on, or too far."""
    places: dict[str, int] = {}
    steps: list[Step] = []
    for line in lines:
        if isinstance(line, Label):
            places[line.name] = len(steps)
        else:
            steps.append(line)
    octets = b""
    for at, step in enumerate(steps):
        octets += _INSTRUCTION.pack(step.code, _way(places, at, step.yes), _way(places, at, step.no), step.value)
    return octets


def _way(places: dict[str, int], at: int, label: str) -> int:
    if not label:
        return 0
    way = places.get(label, at) - at - 1
    if not 0 <= way <= _FARTHEST:
        raise ValueError(f"there is no way from step {at} to {label}")
    return way
