"""From a parsed TOML file to the model, gathering every mistake on the way.

Pydantic stops looking deeper where it finds a mistake. So a value that is wrong is noted, taken out, and the rest is
read again, until nothing wrong is left: a typing error in one key never hides a missing file named by another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rhp.config.errors import Problem
from rhp.config.lines import KeyPath, line_of
from rhp.config.model import TABLES, Configuration, Table
from rhp.config.suggest import nearest, one_of

Place = tuple[str | int, ...]

_MOST_ROUNDS = 50


@dataclass
class Findings:
    """The mistakes and warnings of one file, and which keys were taken out because of them."""

    lines: Mapping[KeyPath, int]
    problems: list[Problem] = field(default_factory=list)
    removed: set[Place] = field(default_factory=set)

    def add(self, place: Place, message: str, *, warning: bool = False) -> None:
        """Note one mistake at a key; its positions in lists are counted as if nothing had been taken out."""
        place = self.original(place)
        problem = Problem(render_place(place), message, line_of(self.lines, place), warning)
        if problem not in self.problems:
            self.problems.append(problem)

    def remove(self, place: Place) -> None:
        """Note that a key was taken out."""
        self.removed.add(self.original(place))

    def original(self, place: Place) -> Place:
        """The place in the file of a place in what is left: behind a removed item of a list the others move up."""
        found: Place = ()
        for part in place:
            if isinstance(part, int):
                gone = sorted(
                    known[-1]
                    for known in self.removed
                    if known[:-1] == found and len(known) == len(found) + 1 and isinstance(known[-1], int)
                )
                for index in gone:
                    part += index <= part
            found = (*found, part)
        return found

    def was_wrong(self, *place: str | int) -> bool:
        """Whether this key, or one in it or around it, was reported, so that its absence is no further mistake."""
        return any(known[: len(place)] == place or place[: len(known)] == known for known in self.removed)


def read(data: dict[str, Any], findings: Findings) -> Configuration:
    """Read `data` (which loses what is wrong in it); mistakes go to `findings`, what is right comes back."""
    for _ in range(_MOST_ROUNDS):
        try:
            return Configuration.model_validate(data)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=True)
        places = {_written_place(detail["loc"], data): detail for detail in details}
        for place, detail in places.items():
            if detail["type"] != "missing" or (*findings.original(place), detail["loc"][-1]) not in findings.removed:
                findings.add(place, sentence(place, detail))
        # Backwards, so that the positions in a list stay true while its items go.
        for place in sorted(places, key=_removal_order, reverse=True):
            _remove(data, place)
            findings.remove(place)
    return Configuration()


def render_place(place: Place) -> str:
    """Write a key's path as in the file: connections.office.remote_addrs[0], quoting names that TOML quotes."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"'
            text += f".{name}" if text else name
    return text


def sentence(place: Place, detail: ErrorDetails) -> str:
    """Say in one sentence what pydantic found."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        return f"{detail['loc'][-1]} is missing here; write it beside the others"
    if kind == "extra_forbidden":
        return _unknown_key(place)
    say: Callable[[], str] | None = {
        "literal_error": lambda: f"this is no possible value; write {context['expected']}".replace("'", '"'),
        "bool_type": lambda: "this must be true or false, without quotes",
        "list_type": lambda: "this must be a list; put it in brackets",
        "model_type": lambda: _table_expected(place),
        "dict_type": lambda: _table_expected(place),
        "string_type": lambda: "this must be text; put it in quotes",
    }.get(kind)
    return say() if say else f"this value does not fit ({kind.replace('_', ' ')})"


def _table_expected(place: Place) -> str:
    if place and isinstance(place[-1], int):
        keys = ", ".join(f"{key} = .." for key in getattr(model_at((*place[:-1], "*")), "model_fields", ()))
        return f"this must be a table; write {{{keys}}}"
    return f"this must be a table; begin it with [{render_place(place)}]"


def _unknown_key(place: Place) -> str:
    table = model_at(place[:-1])
    key = str(place[-1])
    own = tuple(table.model_fields) if table else ()
    for where, other in TABLES.items():
        if key in other.model_fields and other is not table:
            home = ".".join("NAME" if part == "*" else part for part in where)
            return (
                f"there is no such key here; it belongs in [{home}]" if home else f"write [{key}] as a table of its own"
            )
    if hint := nearest(key, own):
        return f"there is no such key; did you mean {hint}?"
    return f"there is no such key; write {one_of(own)}, or leave it out"


def model_at(place: Place) -> type[Table] | None:
    """The model of the table at a place, or None where no table belongs."""
    for where, table in TABLES.items():
        if len(where) == len(place) and all(a in ("*", b) for a, b in zip(where, place, strict=True)):
            return table
    return None


def _written_place(loc: tuple[str | int, ...], data: dict[str, Any]) -> Place:
    """Cut from pydantic's location what is not in the file: the branches of a union, the items of a single text."""
    place: list[str | int] = []
    here: Any = data
    for part in loc:
        inside = part in here if isinstance(here, dict) else isinstance(here, list) and isinstance(part, int)
        if not inside:
            break
        here = here[part]
        place.append(part)
    return tuple(place)


def _removal_order(place: Place) -> tuple[tuple[int, int, str], ...]:
    return tuple((1, part, "") if isinstance(part, int) else (0, 0, part) for part in place)


def _remove(data: dict[str, Any], place: Place) -> None:
    here: Any = data
    for part in place[:-1]:
        here = here[part]
    if place:
        del here[place[-1]]
