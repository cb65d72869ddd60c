"""Where the files lie that names are looked up by, for /etc often has only links to them: resolv.conf above all.

NetworkManager, resolvconf, netconfig, connman and others have it in a folder of their own in /run, and replace it there
by renaming a new one to it. So the folder has to be readable, where it is nobody's for keys; else that one file is.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

FILES = tuple(Path("/etc", name) for name in ("resolv.conf", "hosts", "nsswitch.conf", "gai.conf"))
_RUN = Path("/run")
_OF_KEYS = ("secrets", "credentials", "user")
"""Folders in /run where whole folders are not given away, whatever leads there."""


def behind(files: Iterable[Path] = FILES, run: Path = _RUN) -> list[str]:
    """The folders, and else the files, that these lead to and that are not in /etc themselves."""
    found = (_behind(file, run) for file in files)
    return list(dict.fromkeys(path for path in found if path is not None))


def _behind(file: Path, run: Path) -> str | None:
    real = file.resolve()
    # Where somebody has made a folder of it, there is nothing to read.
    if real.parent == file.parent or real.is_dir():
        return None
    inside = real.parent.relative_to(run).parts if real.is_relative_to(run) else ()
    return str(real) if not inside or inside[0] in _OF_KEYS else str(real.parent)
