"""What a request chooses by: a name with * in it, and a number in text."""

from __future__ import annotations

from fnmatch import fnmatchcase

from rhp.node.control.server import CommandRefused


def matches(text: str, pattern: str) -> bool:
    """Whether a name is the one meant: letter case does not count, and * stands for anything."""
    return fnmatchcase(text.lower(), pattern.lower())


def number(text: str, most: int) -> int:
    """A number from 0 to `most`, which greater ones become; raises `CommandRefused` for what is none."""
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return min(int(text), most)
    raise CommandRefused(f"lines is a number, and {text!r} is none")
