"""What the node would otherwise import only when it needs it. Later it may be a user that cannot read the files.

Installed below somebody's home, as a fresh clone of root's is, neither our code nor that of the libraries can be read
by the node's user. So all of both is loaded before: `cryptography` imports parts of itself at their first use. What
Python has of its own is loaded when it is needed, and has to be readable.
"""

from __future__ import annotations

import os
import pkgutil
import sys
from importlib import import_module

from rhp.node import status
from rhp.node.errors import StartError

_WHOLE = (
    "cryptography",
    "OpenSSL",
    "rhp.crypto",
    "rhp.ike",
    "rhp.net",
    "rhp.node",
    "rhp.pki",
    "rhp.realm",
    "rhp.spi",
    "rhp.wire",
)
_ALSO = (
    "encodings.idna",  # Host names are looked up through it.
    "rhp._fast.dataplane",
    "rhp._fast.gate",
)


def everything() -> None:
    """Import all of it."""
    for name in _WHOLE:
        package = import_module(name)
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            import_module(found.name)
    for name in _ALSO:
        import_module(name)
    status.program_version()


def check_python() -> None:
    """Raise `StartError` where Python's own files cannot be read any more."""
    if not os.access(os.__file__, os.R_OK):
        raise StartError(
            f"the node's user cannot read Python's own files in {sys.base_prefix}; use a Python that everybody may read"
        )
