"""What the node gives up, in this order, before it reads the first octet from the network.

    files           its run folder, its state, the files of Python and of the system's libraries; no program
    capabilities    all of them, also for whatever it may ever execute
    user, groups    one of its own, which owns nothing else
    the rest        no new privileges, no core file, no debugger
    system calls    what a program that only moves packets has no use for

`rhp.guard.sandbox.calls` lists the calls. /etc is read as a whole, but not listed: names are looked up by files that
others replace while we run (resolv.conf, hosts, nsswitch.conf), and so is what these lead to (`namefiles`). What is
secret there its mode keeps from this user.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from rhp.guard.kinds import Start
from rhp.guard.sandbox import capabilities, landlock, namefiles, process, seccomp

NAME = "rhp-node"
_SYSTEM = ("/usr", "/lib", "/lib64", "/proc", "/run/systemd/resolve")
_DEVICES = ("/dev/null", "/dev/urandom")


def enter(start: Start) -> list[str]:
    """Give it all up; what this kernel cannot take is told, a sentence for each. Raises OSError where it must."""
    missing: list[str] = []
    process.require_one_thread()
    os.umask(0o077)
    process.call_itself(NAME)
    rules = _rules(start, missing)
    capabilities.bound()
    process.become(start.user, start.group, keeping=False)
    capabilities.keep(())
    process.close_up()
    if rules is not None:
        rules.restrict()
    try:
        seccomp.restrict()
    except OSError as error:
        missing.append(f"system calls are not filtered: {error.strerror}")
    return missing


def _rules(start: Start, missing: list[str]) -> landlock.Ruleset | None:
    """Made while the paths can still be reached."""
    try:
        rules = landlock.Ruleset()
    except OSError as error:
        missing.append(f"files are guarded by their modes alone, for this kernel has no Landlock ({error.strerror})")
        return None
    rules.allow(landlock.READ, (*_SYSTEM, *_python()))
    rules.allow(landlock.READ_FILE, ("/etc", *namefiles.behind(), *_DEVICES))
    rules.allow(landlock.WRITE_FILE, _DEVICES)
    rules.allow(landlock.WRITE, start.folders)
    return rules


def _python() -> Iterable[str]:
    """Where modules are found."""
    return {path for path in (sys.prefix, sys.base_prefix, *sys.path) if path.startswith("/")} - {"/"}
