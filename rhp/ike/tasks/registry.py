"""Which tasks an exchange consists of, in which order.

A task module registers its class with `@hook(exchange, order)`. IKE_SA_INIT and IKE_AUTH consist of all their hooks
in both roles. What we begin later names its tasks itself; what a peer begins later is served by those hooks that say
`concerns`. A task of our own is one new file in this package: `load` finds it. Others live in packages of their own and
are named in the configuration (`rhp.ike.extensions`); docs/extensions.md says how they are written. Hooks are the
process's: every engine in it has the same.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar

import rhp.ike.tasks as package
from rhp.ike import extensions
from rhp.ike.turn import Task, Turn

T = TypeVar("T", bound=type[Task])

_hooks: dict[int, list[tuple[int, type[Task]]]] = {}


def hook(exchange: int, order: int) -> Callable[[T], T]:
    """Register a task for an exchange type; lower orders build and process earlier."""

    def register(task: T) -> T:
        hooks = _hooks.setdefault(int(exchange), [])
        hooks.append((order, task))
        hooks.sort(key=lambda entry: entry[0])
        return task

    return register


def load(names: Sequence[str] = ()) -> None:
    """Import every module of the package and the extensions of these names, so that all hooks are there.

    Harmless when done before. Raises LocalError for an extension that is not there or cannot be imported.
    """
    for module in iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")
    for name in names:
        extensions.load(name)


def for_request(turn: Turn) -> Sequence[Task]:
    """The tasks of an exchange of ours that names none: all hooks."""
    return [task() for _, task in _hooks.get(turn.exchange, ())]


def for_answer(turn: Turn) -> Sequence[Task]:
    """The tasks that a peer's request needs."""
    return [task() for _, task in _hooks.get(turn.exchange, ()) if task.concerns(turn)]
