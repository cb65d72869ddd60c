"""What has to be there before anything is touched: privilege, the TUN device, no other node in the same run folder."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from rhp.node.errors import StartError
from rhp.node.paths import CONTROL_SOCKET

_NET_BIND_SERVICE, _NET_ADMIN = 10, 12
_ROOTS = (6, 7, 8, _NET_ADMIN)
"""SETGID, SETUID, SETPCAP: who starts as root gives that up, and that takes a privilege too."""

_LOWEST_FREE_PORT = 1024
_TUN = Path("/dev/net/tun")
_PROC = Path("/proc")
_STATUS = _PROC / "self/status"
_LONGEST_NUMBER = 20
LOCK_FILE = "rhp.lock"
ENDING_SECONDS = 8.0
"""How long a start waits for a node that still says farewell to its peers."""


def check_privilege(status: Path = _STATUS) -> None:
    """Raise `StartError` when this process may not make a network interface, and others to serve it."""
    held = _capabilities(status)
    if not all(held >> number & 1 for number in _ROOTS):
        raise StartError("rhp up makes a network interface and needs root; run it as root")


def check_machine(lowest_port: int, tun: Path = _TUN, status: Path = _STATUS) -> None:
    """Raise `StartError` when this process may not open its ports, or when the kernel has no TUN device."""
    held = _capabilities(status)
    if lowest_port < _LOWEST_FREE_PORT and not held >> _NET_BIND_SERVICE & 1:
        raise StartError(f"UDP port {lowest_port} needs root (or CAP_NET_BIND_SERVICE); run rhp up as root")
    if not tun.exists():
        raise StartError(f"there is no {tun}; run modprobe tun, or give the container that device")


def _capabilities(status: Path) -> int:
    """The effective capabilities as a bit set (proc(5)); root's are assumed where /proc is not to be had."""
    try:
        lines = status.read_text(encoding="ascii").splitlines()
    except OSError:
        return -1 if os.geteuid() == 0 else 0
    return next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)


class RunFolder:
    """The run folder with its lock, held while the node lives: of two nodes in one folder the second does not start.

    The kernel lets go of the lock when the process ends, however it ends, so that a crash never blocks a start.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / LOCK_FILE
        self._fd = self._shared = -1
        self._made: list[Path] = []

    @property
    def lock(self) -> int:
        """A descriptor for the node, which holds the lock too; to read only, and giving it up is giving up no other."""
        return self._shared

    def __enter__(self) -> Self:
        try:
            self._made = [one for one in (self._folder, *self._folder.parents) if not one.exists()]
            self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._fd = self._locked()
            self._shared = self._share()
        except BlockingIOError:
            raise StartError(
                f"a node is already running in {self._folder} (process {self._holder() or 'unknown'}); "
                "end it with rhp down, or give this one another node.run_dir"
            ) from None
        except FileExistsError:
            raise StartError(f"{self._folder} is no folder; give the node another node.run_dir") from None
        except OSError as error:
            reason = error.strerror or error
            raise StartError(f"the run folder {self._folder} cannot be used: {reason}; see node.run_dir") from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.unlink(missing_ok=True)
        os.close(self._fd)
        os.close(self._shared)
        with suppress(OSError):
            for folder in self._made:
                folder.rmdir()

    def _locked(self) -> int:
        """Open and lock the file; again when its last holder took it away between the two steps."""
        while True:
            fd = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._lock(fd)
                if self._file.exists() and os.path.samestat(os.fstat(fd), self._file.stat()):
                    return fd
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)

    def _share(self) -> int:
        """Have a second descriptor hold the lock beside ours: a start wants it for itself alone. BlockingIOError."""
        shared = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            for fd in (self._fd, shared):
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BaseException:
            os.close(shared)
            os.close(self._fd)
            raise
        return shared

    def _lock(self, fd: int) -> None:
        """Take the lock; from a node that is about to end, within a moment. BlockingIOError."""
        deadline = time.monotonic() + ENDING_SECONDS
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if self._stays() or time.monotonic() > deadline:
                    raise
            time.sleep(0.02)

    def _stays(self) -> bool:
        """Whether a node serves there and has no mind to end, which it has as soon as its guard is gone."""
        guard = self._holder()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(OSError):
            probe.connect(str(self._folder / CONTROL_SOCKET))
            return guard is None or _PROC.joinpath(str(guard)).exists()
        return False

    def _holder(self) -> int | None:
        """The process that took the lock, a guard; a node has one that is to be read only."""
        with suppress(OSError), self._file.open("rb") as file:
            number = file.read(_LONGEST_NUMBER).strip()
            if number.isdigit():
                return int(number)
        return None
