"""Man pages: paragraphs and definitions in the macros of man(7)."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SPAN = re.compile(r"`([^`]+)`|\[([^\]]+)\]\([^)]+\)")


def heading(name: str, section: int, title: str) -> list[str]:
    """What a page begins with. No date, so that the same text makes the same page."""
    return [
        '.\\" Made by "make docs"; change what it is made of.',
        f'.TH {name.upper()} {section} "" "rhp" "{title}"',
        ".nh",
        ".ad l",
    ]


def chapter(title: str) -> list[str]:
    """A heading of the first order."""
    return [f'.SH "{title.upper()}"']


def part(title: str) -> list[str]:
    """A heading of the second order."""
    return [f'.SS "{plain(title)}"']


def paragraph(text: str) -> list[str]:
    """A paragraph of Markdown's simplest kind: words, `code` and [links](of.md)."""
    return [".PP", words(text)]


def definition(term: str, text: str) -> list[str]:
    """A term in bold, which is no Markdown, and what it means."""
    return [".TP", f"\\fB{plain(term)}\\fR", words(text) if text else "\\&"]


def example(lines: Iterable[str]) -> list[str]:
    """Lines that stay as they are."""
    return [".PP", ".RS 4", ".nf", *map(plain, lines), ".fi", ".RE"]


def words(text: str) -> str:
    """Markdown's code in bold and its links as their words, in roff."""
    found, end = "", 0
    for span in _SPAN.finditer(text):
        inner = f"\\fB{_escaped(span[1])}\\fR" if span[1] else _escaped(span[2])
        found += _escaped(text[end : span.start()]) + inner
        end = span.end()
    return _at_line(found + _escaped(text[end:]))


def plain(text: str) -> str:
    """Text that roff takes for nothing else."""
    return _at_line(_escaped(text))


def _escaped(text: str) -> str:
    """Every character as itself: what roff reads as an order, a hyphen or a curly quote is written out."""
    marks = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", '"': "\\(dq"}
    return "".join(marks.get(one, one) for one in text)


def _at_line(text: str) -> str:
    """A line that begins with a point or a quote is no order."""
    return f"\\&{text}" if text.startswith((".", "'")) else text
