"""Becoming somebody else for good, and nobody's prey."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Sequence
from pathlib import Path

from rhp.guard.sandbox.libc import prctl

_PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_SET_NAME, _PR_SET_NO_NEW_PRIVS = 4, 8, 15, 38


def require_one_thread() -> None:
    """Raise OSError where threads have been begun: the kernel lets each give up its own, and they would keep all."""
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        raise OSError(errno.EBUSY, "a package has begun a thread already, which would keep all of it")


def become(user: int, group: int, also: Sequence[int] = (), *, keeping: bool) -> None:
    """Be this user and group, and of the groups `also`; `keeping` the permitted capabilities. Raises OSError."""
    prctl("keep capabilities", _PR_SET_KEEPCAPS, int(keeping))
    os.setgroups(list(also))
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)


def close_up() -> None:
    """No program that it executes gains anything, no core and no debugger sees its memory, and it holds no folder."""
    no_new_privileges()
    prctl("not dumpable", _PR_SET_DUMPABLE, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir("/")


def no_new_privileges() -> None:
    """No program that this process ever executes gains anything. Raises OSError."""
    prctl("no new privileges", _PR_SET_NO_NEW_PRIVS, 1)


def call_itself(name: str) -> None:
    """The name that ps(1) and others show of this process; 15 characters."""
    from rhp.guard.sandbox.libc import ffi

    text = ffi.new("char[]", name.encode())
    prctl("name", _PR_SET_NAME, int(ffi.cast("unsigned long", text)))
