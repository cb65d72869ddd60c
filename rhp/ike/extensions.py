"""Extensions: tasks that live in packages of their own, found by the name that a configuration gives them.

A name is that of an entry point of the group `rhp.ike.tasks`, or else a module that can be imported. Nothing is loaded
that is only installed: what takes part in the protocol of a privileged process is for its configuration to say.
"""

import sys
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec

from rhp.ike.errors import LocalError

GROUP = "rhp.ike.tasks"


def installed() -> list[str]:
    """The names of the entry points that there are, in order."""
    return sorted({found.name for found in entry_points(group=GROUP)})


def check(name: str) -> None:
    """See whether there is an extension of that name, without running it. Raises LocalError with a sentence."""
    if _entry_point(name) is None and not _is_module(name):
        raise LocalError("no-extension", f'there is no extension "{name}"')


def load(name: str) -> None:
    """Import it, which registers its tasks; harmless when done before. Raises LocalError with a sentence."""
    check(name)
    found = _entry_point(name)
    module = found.module if found is not None else name
    if module in sys.modules:
        return
    try:
        import_module(module)
    except Exception as error:
        # Whatever somebody else's code raises must end in a sentence.
        what = f"{type(error).__name__}: {error}"
        raise LocalError("broken-extension", f'the extension "{name}" cannot be loaded ({what})') from error


def _entry_point(name: str) -> EntryPoint | None:
    found = {(one.module, one.attr): one for one in entry_points(group=GROUP, name=name)}
    if len(found) > 1:
        modules = " and ".join(sorted(module for module, _ in found))
        raise LocalError("no-extension", f'"{name}" names more than one extension: {modules}')
    return next(iter(found.values()), None)


def _is_module(name: str) -> bool:
    if not all(part.isidentifier() for part in name.split(".")):
        return False
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False
