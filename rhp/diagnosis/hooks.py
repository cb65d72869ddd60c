"""The programs of [[hooks]]: whether their user can run them, and who else decides what they do.

That they are there, can be run by somebody and belong to root where they run as root is a matter of the configuration,
and was seen when it was read.
"""

from __future__ import annotations

import os
import pwd
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from rhp.config.loading import Loaded
from rhp.diagnosis.finding import Finding, fine, problem

SUBJECT = "hooks"
PATIENCE = 10.0
_LONGEST_FIRST_LINE = 256
"""Octets of "#!" and what follows that the kernel looks at (execve(2))."""


def look(loaded: Loaded) -> Iterator[Finding]:
    """Each program once for each user that it runs as."""
    runs = ((Path(hook.command[0]), None if hook.privileged else hook.user) for hook in loaded.policy.hooks)
    for program, user in dict.fromkeys(runs):
        found = [*_changed(program, user), *_interpreter(program), *_out_of_reach(program, user)]
        yield from found
        if not found:
            yield fine(SUBJECT, f"{program} can be run by {user or 'root'}")


def _changed(program: Path, user: str | None) -> Iterator[Finding]:
    """Who may write a folder above the program may put another one in its place."""
    real = program.resolve()
    for place in dict.fromkeys((program, *program.parents, real, *real.parents)):
        try:
            status = place.stat()
        except OSError:
            continue  # Not for this user's eyes.
        folder = stat.S_ISDIR(status.st_mode)
        if status.st_mode & stat.S_IWOTH and not (folder and status.st_mode & stat.S_ISVTX):
            said = f"everyone on this machine can change {place}, and with it what the hook {program} does"
            yield problem(SUBJECT, said, f"run chmod o-w {place}")
            return
        if user is None and folder and status.st_uid:
            said = f"{place} belongs to user {status.st_uid}, who can change the hook {program}, which runs as root"
            yield problem(SUBJECT, said, f"run chown root {place}, or put the program elsewhere")
            return


def _interpreter(program: Path) -> Iterator[Finding]:
    words = _script(program)
    if words and not Path(words[0]).exists():
        said = f"the hook {program} is to be run by {words[0]}, as its first line says, and there is none"
        yield problem(SUBJECT, said, "install that, or mend the line")


def _out_of_reach(program: Path, user: str | None) -> Iterator[Finding]:
    """The kernel is asked as that user, which root alone can do."""
    if user is None or os.geteuid():
        return
    who = pwd.getpwnam(user)
    # A script is read by its interpreter.
    wanted = ["-x", str(program), *(("-a", "-r", str(program)) if _script(program) else ())]
    done = subprocess.run(
        ["test", *wanted], user=who.pw_uid, group=who.pw_gid, extra_groups=[who.pw_gid], timeout=PATIENCE, check=False
    )
    if done.returncode:
        said = f"the hook {program} runs as {user}, who may not run it"
        yield problem(SUBJECT, said, "run chmod o+rx on it and on the folders above, or write another user")


def _script(program: Path) -> list[str]:
    """The words behind "#!"; none of another kind of program, or of one that this user may not read."""
    try:
        with program.open("rb") as file:
            head = file.read(_LONGEST_FIRST_LINE)
    except OSError:
        return []
    line = head.partition(b"\n")[0]
    # Only blanks part the words: with the line ends of Windows there is an interpreter of a strange name.
    return re.split(r"[ \t]+", line[2:].decode("utf-8", "replace").strip(" \t")) if line.startswith(b"#!") else []
