"""The folders that the two processes write to, handed to their users while the guard is still root.

The run folder is the guard's, who has its lock in it, and the node's group may make its socket there, but move nothing
of others (the sticky bit). The state folder is the node's alone, the folder beside it the guard's alone.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from rhp.guard.brief import Brief
from rhp.guard.sandbox.accounts import Accounts
from rhp.node.errors import StartError
from rhp.node.paths import CONTROL_SOCKET

_RUN_MODE = 0o1775
_OWN_MODE = 0o700
_SEARCH = 0o001


def prepare(brief: Brief, accounts: Accounts) -> None:
    """Make them and give them away. Raises `StartError` with a sentence where that cannot be."""
    run, state, kept = Path(brief.run_dir), Path(brief.state_dir), Path(brief.policy.state_dir)
    try:
        # A socket that a killed node left may be another user's, and so in this one's way.
        (run / CONTROL_SOCKET).unlink(missing_ok=True)
        _give(run, accounts.guard, accounts.group, _RUN_MODE)
        _give(state, accounts.user, accounts.group, _OWN_MODE)
        _adopt(state, accounts.user, accounts.group)
        if brief.policy.assigned or brief.policy.firewall.wanted:
            _give(kept, accounts.guard, accounts.guard_group, _OWN_MODE)
    except OSError as error:
        where = error.filename or state
        raise StartError(f"{where} cannot be used: {error.strerror}; see node.run_dir and node.state_dir") from None
    for key, folder in (("run_dir", run), ("state_dir", state)):
        _check_way(key, folder, brief.identities.node_user)


def _give(folder: Path, user: int, group: int, mode: int) -> None:
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    _check_lonely(folder)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fchown(fd, user, group)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def _check_lonely(folder: Path) -> None:
    """A folder of root's in which there is more than a node leaves behind is somebody else's, /run or /tmp perhaps."""
    if folder.stat().st_uid == 0 and any(not _leaves(path.lstat().st_mode) for path in folder.iterdir()):
        raise StartError(f"{folder} holds what is not a node's; write one of its own for node.run_dir or state_dir")


def _leaves(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def _adopt(folder: Path, user: int, group: int) -> None:
    """Give the node what lies in its folder, from a time when it was root; not what may lie elsewhere as well."""
    for path in folder.iterdir():
        if not stat.S_ISREG(path.lstat().st_mode):
            continue
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(fd)
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid == 0:
                os.fchown(fd, user, group)
        finally:
            os.close(fd)


def _check_way(key: str, folder: Path, user: str) -> None:
    """Others must be able to pass the folders above; a sentence names the first that they cannot."""
    for above in reversed(folder.absolute().parents):
        if not above.stat().st_mode & _SEARCH:
            raise StartError(
                f"the user {user} cannot get to {folder}: run chmod o+x {above}, or write another node.{key}"
            )
