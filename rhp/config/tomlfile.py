"""A TOML file as text and as tables, or one sentence about why it is none.

Standard library only: every command imports it.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

_LARGEST = 1 << 20
_POSITION = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_TWICE = re.compile(r"Cannot (?:overwrite a value|declare \((.*)\) twice|mutate immutable namespace \((.*)\))")


class TomlFileError(Exception):
    """The file cannot be used; the message is one sentence, `line` is 1-based or None. It never quotes the file."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def read_toml(file: Path) -> tuple[str, dict[str, Any]]:
    """Read a TOML file of at most 1 MiB; raises `TomlFileError`, and FileNotFoundError where there is none."""
    text = read_text(file)
    return text, parse(text)


def parse(text: str) -> dict[str, Any]:
    """The tables of a TOML text; raises `TomlFileError`."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        position = _POSITION.search(str(error))
        line = int(position[1]) if position and position[1] else None
        raise TomlFileError(_sentence(_POSITION.sub("", str(error))), line) from None
    except RecursionError:
        raise TomlFileError("this is nested too deeply for a configuration; look for brackets without an end") from None


def read_text(file: Path) -> str:
    """The text of such a file; raises what `read_toml` does, but for what is no TOML."""
    try:
        with file.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
    except FileNotFoundError:
        raise
    except IsADirectoryError:
        raise TomlFileError("this is a folder; name the file in it with -c FILE") from None
    except OSError as error:
        raise TomlFileError(f"it cannot be read: {error.strerror or error}") from None
    if len(content) > _LARGEST:
        raise TomlFileError("this is larger than 1 MiB and cannot be a configuration; name another file with -c FILE")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise TomlFileError("this is not UTF-8 text; save it as UTF-8") from None


def _sentence(message: str) -> str:
    """Say what tomllib found in the words of somebody who wrote the file."""
    if match := _TWICE.match(message):
        names = ".".join(re.findall(r"'([^']*)'", match[1] or match[2] or ""))
        return f"{f'[{names}]' if names else 'this key'} is there twice; join the two, or leave one of them out"
    if message.startswith("Invalid value"):
        return "this is not TOML: there is no valid value here; text stands in quotes"
    return f"this is not TOML: {message[:1].lower()}{message[1:]}"
