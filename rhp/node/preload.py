"""What the node would otherwise import only when it needs it. Later it may be a user that cannot read the files."""

from __future__ import annotations

from importlib import import_module

from rhp.ike.tasks import registry
from rhp.node import status

LATER = (
    "encodings.idna",  # Host names are looked up through it.
    "rhp._fast.dataplane",
    "rhp._fast.gate",
)


def everything() -> None:
    """Import all of it: also the tasks of the engine, which it finds by looking into their folder."""
    for name in LATER:
        import_module(name)
    registry.load()
    status.program_version()
