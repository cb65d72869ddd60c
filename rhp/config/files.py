"""The files that a configuration names: found relative to its folder, bounded in size, and secrets closed to others."""

from __future__ import annotations

import stat
from pathlib import Path

from rhp.config.suggest import nearest

_LARGEST = 1 << 20
_OTHERS = stat.S_IROTH | stat.S_IWOTH


def read_file(folder: Path, name: str, *, secret: bool) -> bytes:
    """Read a file next to the configuration; ValueError says in one sentence what is wrong with it.

    A secret that everyone on the machine can read or write is refused: it may have been copied already.
    """
    path = folder / name
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise ValueError(f"{path} is no file; write the name of a file")
        if secret and mode & _OTHERS:
            raise ValueError(f"everyone on this machine can read {path}; run chmod 600 {path}")
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        hint = _neighbour(path)
        raise ValueError(f"there is no file {path}{f'; did you mean {hint}?' if hint else ''}") from None
    except PermissionError:
        raise ValueError(f"{path} cannot be read by this user; run rhp as root, or give it to this user") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
    if not content.strip():
        raise ValueError(f"{path} is empty; write the key or certificate into it")
    if len(content) > _LARGEST:
        raise ValueError(f"{path} is larger than 1 MiB and cannot be a key or certificate; write another name")
    return content


def _neighbour(path: Path) -> str | None:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except OSError:
        return None
    return nearest(path.name, names)
