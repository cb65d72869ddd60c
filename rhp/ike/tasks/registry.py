"""Which tasks an exchange consists of, in which order.

A task module registers its class with `@hook(exchange, order)`. IKE_SA_INIT and IKE_AUTH consist of all their hooks
in both roles. What we begin later names its tasks itself; what a peer begins later is served by those hooks that say
`concerns`. An extension is one new file in this package: `load` finds it.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar

import rhp.ike.tasks as package
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


def load() -> None:
    """Import every module of the package, so that all hooks are there; harmless when done before."""
    for module in iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")


def for_request(turn: Turn) -> Sequence[Task]:
    """The tasks of an exchange of ours that names none: all hooks."""
    return [task() for _, task in _hooks.get(turn.exchange, ())]


def for_answer(turn: Turn) -> Sequence[Task]:
    """The tasks that a peer's request needs."""
    return [task() for _, task in _hooks.get(turn.exchange, ()) if task.concerns(turn)]
