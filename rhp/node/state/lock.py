"""One state folder is one node's: the lock that says so.

Two nodes would give one address to two peers, and betray each other's crash tokens. The kernel lets go of the lock when
the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from rhp.node.errors import StartError

LOCK = "vault.lock"


def lock_folder(folder: Path) -> int:
    """Take the folder for this process; a descriptor that holds it until it is closed.

    Raises `StartError` where another node has it, OSError where nothing can be written there.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StartError(
            f"another node keeps its state in {folder}; end that one, or give this one a node.state_dir of its own"
        ) from None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
