"""Putting several new files in place together: all of them or none, and none over another one unless it is wanted.

They are written in a folder beside their places first, so that whoever makes them can look whether they are good.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True)
class NewFile:
    """What is to stand in a file; one that is `secret` is its owner's alone."""

    content: bytes = field(repr=False)
    secret: bool = False


def taken(folder: Path, files: Mapping[str, NewFile]) -> list[Path]:
    """Which of these places are somebody's already."""
    return [folder / name for name in files if os.path.lexists(folder / name)]


class Draft:
    """New files by their names within `folder`, in a folder of their own (`self.folder`) until `put`.

    Raises OSError where the folder cannot be made or written.
    """

    def __init__(self, folder: Path, files: Mapping[str, NewFile]) -> None:
        self._target = folder
        self._files = files

    def __enter__(self) -> Self:
        self._target.mkdir(mode=0o755, parents=True, exist_ok=True)
        # In the same file system, so that each file arrives whole; mkdtemp's mode is 0700.
        self.folder = Path(tempfile.mkdtemp(prefix=".rhp-init-", dir=self._target))
        try:
            for name, file in self._files.items():
                _write(self.folder / name, file)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def put(self) -> None:
        """Move every file to its place, over what is there, in their order."""
        for name in self._files:
            place = self._target / name
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.folder / name).replace(place)


def _write(path: Path, file: NewFile) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = 0o600 if file.secret else 0o644
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(descriptor, mode)
        stream.write(file.content)
        stream.flush()
        os.fsync(descriptor)
