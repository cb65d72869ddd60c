"""The few calls of the C library that Python has no name for, by cffi in its ABI mode: nothing is compiled.

Each raises OSError with the call's name where the kernel says no.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from cffi import FFI  # type: ignore[import-untyped]

ffi = FFI()
ffi.cdef(
    """
    int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
    long syscall(long number, ...);
    """
)

_NUMBERS = {
    "x86_64": {"capset": 126, "bpf": 321, "seccomp": 317},
    "aarch64": {"capset": 91, "bpf": 280, "seccomp": 277},
}
_EVERYWHERE = {"landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446}
"""System calls that came after all architectures had agreed to count alike."""


@cache
def _library() -> Any:  # noqa: ANN401
    return ffi.dlopen(None)


def prctl(name: str, option: int, *values: int) -> int:
    """Operations on this process (prctl(2)); `name` is the option's, for the error."""
    padded = (*values, 0, 0, 0, 0)[:4]
    return _checked(f"prctl {name}", _library().prctl(option, *padded))


def syscall(name: str, *values: object) -> int:
    """A system call by its name; a value is a number (an unsigned long) or a pointer made with `ffi`."""
    numbers = _NUMBERS.get(os.uname().machine, {})
    number = _EVERYWHERE.get(name, numbers.get(name))
    if number is None:
        raise OSError(38, f"{name}: its number on {os.uname().machine} is not known")
    given = [ffi.cast("unsigned long", value) if isinstance(value, int) else value for value in values]
    return _checked(name, _library().syscall(number, *given))


def _checked(name: str, result: int) -> int:
    if result < 0:
        error = ffi.errno
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return int(result)
