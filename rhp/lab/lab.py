"""One run of the lab: its folder, its namespaces, its processes, and the promise that nothing of them stays.

A run has a folder under the temporary directory with a lock in it that lives as long as the run's process. A lock that
can be taken belongs to a dead run, and only then are its namespaces, their processes and its folder cleaned away: a run
that is alive elsewhere on the machine is never touched.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar

from rhp.lab.namespace import FOLDER, Namespace
from rhp.lab.programs import find, require_root, run

PREFIX = "rhp-lab-"


class Stoppable(Protocol):
    """Whatever must be ended before its namespace goes."""

    def stop(self) -> object:
        """End it; safe to call twice."""


S = TypeVar("S", bound=Stoppable)


class Lab:
    """Context manager: what is made through it is taken away at its end, in the reverse order."""

    def __init__(self) -> None:
        require_root()
        find("ip")
        clean_dead_runs()
        self.id, self.folder, self._lock = _take_folder()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def namespace(self, label: str) -> Namespace:
        """Make a namespace; `label` is a short word that is unique within the run."""
        namespace = Namespace(f"rhp-{self.id}-{label}")
        self._stack.callback(namespace.delete)
        return namespace

    def keep(self, thing: S) -> S:
        """Have `thing` stopped at the end of the run, before what was made earlier."""
        self._stack.callback(thing.stop)
        return thing

    def path(self, name: str) -> Path:
        """A path in the run's folder; missing folders on the way are made."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def close(self) -> None:
        """End everything, deaf to Ctrl-C meanwhile so that the end is complete. Safe to call twice."""
        with _without_interrupts():
            try:
                self._stack.close()
            finally:
                shutil.rmtree(self.folder, ignore_errors=True)
                os.close(self._lock) if self._lock >= 0 else None
                self._lock = -1


def clean_dead_runs() -> None:
    """Take away namespaces, processes and folders of runs whose process has died."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if folder.is_symlink() or folder.lstat().st_uid != os.geteuid():
            continue
        with contextlib.suppress(OSError):
            lock = os.open(folder / "lock", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _clean(folder)
            finally:
                os.close(lock)


def _clean(folder: Path) -> None:
    """Clean one dead run; its lock is ours."""
    prefix = f"rhp-{folder.name.removeprefix(PREFIX)}-"
    for path in FOLDER.glob(f"{prefix}*"):
        for word in run([find("ip"), "netns", "pids", path.name], check=False).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(word), signal.SIGKILL)
        run([find("ip"), "netns", "delete", path.name], check=False)
    for path in Path("/etc/netns").glob(f"{prefix}*"):
        shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _take_folder() -> tuple[str, Path, int]:
    """Make a folder and take its lock; when a run that is cleaning was quicker, the next name is tried."""
    while True:
        identifier = secrets.token_hex(3)
        folder = Path(tempfile.gettempdir()) / f"{PREFIX}{identifier}"
        with contextlib.suppress(FileExistsError, FileNotFoundError, BlockingIOError):
            # Nodes reach their own folders in it, as users of their own, and list nothing.
            folder.mkdir(mode=0o711)
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if folder.exists():
                return identifier, folder, lock
            os.close(lock)


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ignore SIGINT and SIGTERM for a moment (only the main thread may say so; elsewhere nothing changes)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
