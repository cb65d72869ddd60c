"""Which line a TOML key stands on, so that a mistake can be shown with its place.

`tomllib` does not tell positions, so this reads the text a second time, knowing just enough of TOML: tables, dotted
and quoted keys, strings and brackets that go over several lines. A key inside an inline table or a list is found on the
line of the key that holds it. `tomllib` has accepted the text before, so nothing here needs to report an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

KeyPath = tuple[str, ...]


class LineIndex(Mapping[KeyPath, int]):
    """What `key_lines` finds in a text, which is looked for when it is first needed: a good file never needs it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: dict[KeyPath, int] | None = None

    def __getitem__(self, path: KeyPath) -> int:
        return self._lines()[path]

    def __iter__(self) -> Iterator[KeyPath]:
        return iter(self._lines())

    def __len__(self) -> int:
        return len(self._lines())

    def _lines(self) -> dict[KeyPath, int]:
        if self._found is None:
            self._found = key_lines(self._text)
        return self._found


_KEY = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*""")
_STRING_ENDS = ('"""', "'''", '"', "'")


def key_lines(text: str) -> dict[KeyPath, int]:
    """Map every table's and every key's path to its 1-based line; the first place wins."""
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        start, line = number, lines[number].strip()
        number += 1
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            table, _ = _keys(line.lstrip("["))
            _note(found, (), table, start + 1)
            continue
        path, rest = _keys(line)
        _note(found, table, path, start + 1)
        value = rest.lstrip().removeprefix("=")
        while not _complete(value) and number < len(lines):
            value += "\n" + lines[number]
            number += 1
    return found


def line_of(found: Mapping[KeyPath, int], path: tuple[str | int, ...]) -> int | None:
    """The line of the key, or of the nearest table or key around it; None when only the whole file is left."""
    keys = tuple(str(part) for part in path)
    while keys:
        if keys in found:
            return found[keys]
        keys = keys[:-1]
    return None


def _note(found: dict[KeyPath, int], table: KeyPath, path: KeyPath, line: int) -> None:
    for length in range(1, len(path) + 1):
        found.setdefault(table + path[:length], line)


def _keys(text: str) -> tuple[KeyPath, str]:
    """Read a dotted key from the front of `text`; give its parts and what follows."""
    parts: list[str] = []
    while match := _KEY.match(text):
        parts.append(next(group for group in match.groups() if group is not None))
        text = text[match.end() :]
        if not text.startswith("."):
            break
        text = text[1:]
    return tuple(parts), text


def _complete(value: str) -> bool:
    """Whether a value ends within this text: no string and no bracket is left open."""
    depth, at = 0, 0
    while at < len(value):
        quote = next((end for end in _STRING_ENDS if value.startswith(end, at)), None)
        if quote:
            at = _string_end(value, at + len(quote), quote)
            if at < 0:
                return False
            continue
        if value[at] == "#":
            newline = value.find("\n", at)
            at = len(value) if newline < 0 else newline
            continue
        depth += (value[at] in "[{") - (value[at] in "]}")
        at += 1
    return depth <= 0


def _string_end(value: str, at: int, quote: str) -> int:
    """Where the text goes on behind a string that began before `at`; -1 when it is still open."""
    while at < len(value):
        if value[at] == "\\" and quote[0] == '"':
            at += 2
        elif value.startswith(quote, at):
            return at + len(quote)
        else:
            at += 1
    return -1
