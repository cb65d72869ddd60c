"""Every key of the configuration with its type, its default and its text: the model and `texts` put together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rhp.config import model
from rhp.manual.kinds import kind
from rhp.manual.texts import TEXTS, WORDS

SAME_AS: dict[str, type[model.Table]] = {"hubs.NAME": model.Hub, "realms.NAME": model.Peering}
"""Sections that have the keys of another table as well, which are explained there."""


class Incomplete(Exception):
    """The texts and the model do not fit together; the text says which key."""


@dataclass(frozen=True, slots=True)
class Row:
    """Keys that are explained together; `kind`, `default` and `text` are Markdown."""

    keys: tuple[str, ...]
    kind: str
    default: str
    text: str


def rows(section: str) -> list[Row]:
    """The rows of a section such as "node"; raises `Incomplete` where a key has no text or a text no key."""
    fields = dict(_fields(section, table_of(section)))
    told: set[str] = set()
    found = []
    for names, text in TEXTS[section].items():
        keys = tuple(names.split(", "))
        for key in keys:
            if key not in fields:
                raise Incomplete(f"[{section}] has no key {key}, but rhp/manual/texts.py has a text for it")
        told.update(keys)
        kinds = [kind(*fields[key]) for key in keys]
        defaults = [_default(section, key, *fields[key]) for key in keys]
        found.append(Row(keys, _joined(kinds), _joined(defaults), text))
    if missing := fields.keys() - told:
        raise Incomplete(f"[{section}] {', '.join(sorted(missing))}: write its text in rhp/manual/texts.py")
    return found


def place(section: str) -> tuple[str, ...]:
    """Where the model has a section, whose names are written NAME; one of many without a name ends in []."""
    parts = section.replace("[]", ".NAME").split(".")
    return tuple("*" if part == "NAME" else part for part in parts)


def table_of(section: str) -> type[model.Table]:
    """The model of a section."""
    return model.TABLES[place(section)]


def heading(section: str) -> str:
    """How the file writes it: [node], [[hooks]]."""
    return f"[[{section.removesuffix('[]')}]]" if section.endswith("[]") else f"[{section}]"


def _fields(section: str, table: type[model.Table]) -> Iterator[tuple[str, tuple[type[model.Table], str]]]:
    """Each key that the section has to explain, with the table where it stands and its name there."""
    elsewhere = SAME_AS[section].model_fields if section in SAME_AS else {}
    for name, field in table.model_fields.items():
        if name in elsewhere or f"{section}.{name}.NAME" in TEXTS:
            continue
        inner = field.default
        if isinstance(inner, model.Table) and name not in TEXTS:
            yield from ((f"{name}.{key}", (type(inner), key)) for key in type(inner).model_fields)
        else:
            yield name, (table, name)


def _default(section: str, key: str, table: type[model.Table], name: str) -> str:
    """A default as a person writes it in the file, or in words where there is none."""
    default = table.model_fields[name].get_default(call_default_factory=True)
    words = WORDS.get((section, key))
    if default is None or default in ([], {}) or isinstance(default, model.Table):
        return "none" if words is None else words
    if words is not None:
        raise Incomplete(f"[{section}] {key} has a default in the model; take its words out of rhp/manual/texts.py")
    return _written(default)


def _written(default: object) -> str:
    """A value in TOML, between backquotes unless it is a number or a path."""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, int):
        return str(default)
    return f"`{default}`" if isinstance(default, Path) else f'`"{default}"`'


def _joined(parts: list[str]) -> str:
    """One for all where all are the same, else each in the order of the keys."""
    return parts[0] if len(set(parts)) == 1 else ", ".join(parts)
