"""The files that a configuration names: found relative to its folder, bounded in size, and secrets closed to others."""

from __future__ import annotations

import stat
from pathlib import Path

from rhp.config.suggest import nearest
from rhp.guard.keyfile import LARGEST_SECRET, check_mode, too_large

_LARGEST = 1 << 20


def read_file(folder: Path, name: str, *, secret: bool) -> bytes:
    """Read a file next to the configuration; ValueError says in one sentence what is wrong with it.

    A secret that others can read or write is refused: it may have been copied already. Where a secret's file is not
    there the message does not repeat its name: somebody may have written the key itself in its place.
    """
    path = folder / name
    # The guard reads secrets for itself, and takes no more than this.
    largest = LARGEST_SECRET if secret else _LARGEST
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path} is no file; write the name of a file")
        if secret:
            check_mode(str(path), status)
        with path.open("rb") as file:
            # No more than there is: room for the largest costs more than all the rest, with a thousand keys.
            content = file.read(min(status.st_size, largest) + 1)
    except FileNotFoundError:
        hint = _neighbour(path)
        missing = f"there is no such file, as seen from {folder}" if secret else f"there is no file {path}"
        raise ValueError(f"{missing}; {f'did you mean {hint}?' if hint else 'write the name of a file'}") from None
    except PermissionError:
        raise ValueError(f"{path} cannot be read by this user; run rhp as root, or give it to this user") from None
    except OSError as error:
        what = "the file of that name" if secret else path
        raise ValueError(f"{what} cannot be read: {error.strerror or 'write the name of a file'}") from None
    if not content.strip():
        raise ValueError(f"{path} is empty; write the key or certificate into it")
    if len(content) > largest:
        certificate = f"{path} is larger than 1 MiB and cannot be a certificate; write another name"
        raise ValueError(too_large(path) if secret else certificate)
    return content


def _neighbour(path: Path) -> str | None:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except OSError:
        return None
    return nearest(path.name, names)
