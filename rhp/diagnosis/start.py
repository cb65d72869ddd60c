"""What a start would need beside a good configuration: privilege, folders, users, the right modes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from rhp.config.loading import Loaded
from rhp.diagnosis.finding import Finding, fine, note, problem
from rhp.guard.sandbox import accounts
from rhp.node.errors import StartError
from rhp.node.preflight import check_machine, check_privilege

_LEAST_ROOM = 16 << 20
"""Octets that the state folder's disk should have left."""


def machine(loaded: Loaded) -> Iterator[Finding]:
    """Privileges and the TUN device."""
    settings = loaded.settings
    try:
        check_privilege()
        check_machine(min(settings.port, settings.natt_port))
    except StartError as error:
        yield problem("machine", str(error).partition(";")[0], str(error).partition("; ")[2] or "run it as root")
    else:
        yield fine("machine", "this user may open ports and make an interface")


def users(loaded: Loaded) -> Iterator[Finding]:
    """Whom the two processes run as."""
    found = list(accounts.mistakes(loaded.identities))
    for mistake in found:
        said, _, advice = mistake.partition("; ")
        yield problem("users", said, advice)
    if not found:
        who = loaded.identities
        said = f"there are {who.node_user} for the node, in group {who.node_group}, and {who.guard_user} for the guard"
        yield fine("users", said)


def folders(loaded: Loaded) -> Iterator[Finding]:
    """The folders that the node writes in, and that nobody else may."""
    for key, folder in (("run_dir", loaded.settings.run_dir), ("state_dir", loaded.settings.state_dir)):
        yield _folder(key, folder)
    yield from _room(loaded.settings.state_dir)


def file_modes(file: Path) -> Iterator[Finding]:
    """Who may change the configuration decides what a privileged program does."""
    for place in (file, file.absolute().parent):
        try:
            status = place.stat()
        except OSError:
            continue
        # A folder with the sticky bit (/tmp) lets others add files, but not replace this one.
        if status.st_mode & stat.S_IWOTH and not (place != file and status.st_mode & stat.S_ISVTX):
            yield problem("files", f"everyone on this machine can change {place}", f"run chmod o-w {place}")
            return
        if status.st_uid not in (0, os.geteuid()):
            yield note("files", f"{place} belongs to user {status.st_uid}, who decides what the node does")
            return
    yield fine("files", f"only its owner can change {file}")


def _folder(key: str, folder: Path) -> Finding:
    there = next(one for one in (folder, *folder.parents) if one.exists())
    if not there.is_dir():
        return problem("folders", f"{there} is no folder", f"write another node.{key}")
    if not os.access(there, os.W_OK | os.X_OK):
        what = f"{there} cannot be written" + ("" if there == folder else f", so {folder} cannot be made")
        return problem("folders", what, f"make it writable, or write another node.{key}")
    if there.stat().st_mode & stat.S_IWOTH and not there.stat().st_mode & stat.S_ISVTX:
        return problem("folders", f"everyone on this machine can write in {there}", f"run chmod o-w {there}")
    return fine("folders", f"node.{key}: {folder}{'' if there == folder else ' will be made'}")


def _room(folder: Path) -> Iterator[Finding]:
    there = next(one for one in (folder, *folder.parents) if one.exists())
    disk = os.statvfs(there)
    left = disk.f_bavail * disk.f_frsize
    if left < _LEAST_ROOM:
        yield problem(
            "folders",
            f"the disk of {there} has {left >> 20} MB left, so tickets and leases may be lost",
            "make room there",
        )
