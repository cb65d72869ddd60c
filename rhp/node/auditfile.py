"""The audit file: one JSON line for everything that somebody did to the node, kept apart from the log.

Each line is written whole, or not at all: what a full disk cut is taken back. The disk is asked to keep it (fsync) in a
thread of its own, so a slow disk delays no peer. Before each line the file's name is looked up, so that who moves the
file away, as logrotate does, gets a new one without telling the node.
"""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

_MODE = 0o600
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class AuditFile:
    """Appends to `path`; OSError when that is impossible now, and `failed` is told of it later, once for each reason.

    `wall_clock` dates the lines (aware, UTC).
    """

    def __init__(self, path: Path, wall_clock: Callable[[], datetime], failed: Callable[[str], None]) -> None:
        self._path = path
        self._wall_clock = wall_clock
        self._failed = failed
        self._why = ""
        self._fd = _open(path)
        self._dirty = threading.Event()
        self._closing = False
        self._lock = threading.Lock()
        self._keeper = threading.Thread(target=self._keep, name="rhp-audit", daemon=True)
        self._keeper.start()

    def write(self, event: str, fields: Mapping[str, object]) -> None:
        """Append one line; never raises."""
        line = json.dumps({"time": self._wall_clock().isoformat(timespec="milliseconds"), "event": event, **fields})
        try:
            self._append(line.encode() + b"\n")
        except OSError as error:
            why = error.strerror or str(error)
            if why != self._why:
                self._why = why
                self._failed(f"{self._path}: {why}")
        else:
            self._why = ""
            self._dirty.set()

    def close(self) -> None:
        """Have the disk keep the last line, and close. Safe twice."""
        if self._closing:
            return
        self._closing = True
        self._dirty.set()
        self._keeper.join()
        _sync(self._fd)
        os.close(self._fd)

    def _append(self, line: bytes) -> None:
        with self._lock:
            if not _is_there(self._path, self._fd):
                fresh = _open(self._path)
                os.close(self._fd)
                self._fd = fresh
            size = os.fstat(self._fd).st_size
            if os.write(self._fd, line) < len(line):
                os.ftruncate(self._fd, size)
                raise OSError("the disk is full")

    def _keep(self) -> None:
        while not self._closing:
            self._dirty.wait()
            self._dirty.clear()
            with self._lock:
                kept = os.dup(self._fd)
            _sync(kept)
            os.close(kept)


def _open(path: Path) -> int:
    """A descriptor of the file, made where it is not there; OSError for what is no plain file."""
    fd = os.open(path, _FLAGS, _MODE)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError("it is no plain file")
    return fd


def _sync(fd: int) -> None:
    # The next line meets the same disk, and says so.
    with suppress(OSError):
        os.fsync(fd)


def _is_there(path: Path, fd: int) -> bool:
    """Whether the name still leads to the file that is open."""
    try:
        found, ours = path.stat(follow_symlinks=False), os.fstat(fd)
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)
