"""resolv.conf, written by us for a while and put back as it was, a symbolic link included.

What was there is kept in a file of its own before anything is changed, so that a node that was killed can put it back
at its next start. It is put back only where the file is still as we wrote it: who has written it since knows better.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

KEPT = "resolv.conf.before"
_MOST_SERVERS = 3  # More are not read (resolv.conf(5)).
_LARGEST = 1 << 16


class ResolvConf:
    """The file at `path`; its original is kept in `folder`."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path = path
        self._kept = folder / KEPT

    def write(self, interface: str, servers: Sequence[str]) -> None:
        """Have `servers` asked for everything; search lists and options of the original stay. Raises OSError."""
        if self.path.exists() and self.path.stat().st_size > _LARGEST:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        before = self._before()
        lines = [f"# Written by rhp for {interface}; what stood here is kept in {self._kept}."]
        lines += [f"nameserver {one}" for one in servers[:_MOST_SERVERS]]
        original = str(before.get("content") or "").splitlines()
        lines += [line for line in original if line.split()[:1] in (["search"], ["domain"], ["options"])]
        ours = "\n".join(lines) + "\n"
        self._kept.parent.mkdir(parents=True, exist_ok=True)
        _replace(self._kept, json.dumps({**before, "ours": ours}), 0o600)
        _replace(self.path, ours, 0o644)

    def restore(self) -> bool:
        """Put back what was there; whether it was changed by us at all. Raises OSError."""
        before = self._read_kept()
        if before is None:
            return False
        if before.get("ours") == _content(self.path):
            link, content = before.get("link"), before.get("content")
            if isinstance(link, str):
                _relink(self.path, link)
            elif isinstance(content, str):
                _replace(self.path, content, 0o644)
            else:
                _remove(self.path)
        self._kept.unlink(missing_ok=True)
        return True

    def _before(self) -> dict[str, object]:
        """What stood there before we came: as kept already, or as it is now."""
        kept = self._read_kept()
        if kept is not None and kept.get("ours") == _content(self.path):
            return kept
        link = str(self.path.readlink()) if self.path.is_symlink() else None
        return {"path": str(self.path), "link": link, "content": _content(self.path)}

    def _read_kept(self) -> dict[str, object] | None:
        try:
            found = json.loads(self._kept.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        # Another path is another file's original, as after the path was changed.
        return found if isinstance(found, dict) and found.get("path") == str(self.path) else None


def _content(path: Path) -> str | None:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as file:
            return file.read(2 * _LARGEST)
    except OSError:
        return None


def _replace(path: Path, text: str, mode: int) -> None:
    """Write a file so that nobody ever sees half of it."""
    fresh = path.with_name(f".{path.name}.rhp-{os.getpid()}")
    octets = text.encode("utf-8", "surrogateescape")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(octets)
            with suppress(PermissionError):
                os.fchown(fd, 0, 0)  # The guard is somebody else; a file of this machine's stays root's.
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        if error.errno != errno.EBUSY:
            raise
        # A mount point, as in containers and in network namespaces (ip-netns(8)), cannot change places with a file.
        path.write_bytes(octets)


def _relink(path: Path, link: str) -> None:
    fresh = path.with_name(f".{path.name}.rhp-{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(link)
    fresh.replace(path)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
