"""Questions at a terminal: one for each thing that the command line did not say, asked again until it makes sense."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import click

from rhp.cli.options import fail

T = TypeVar("T")


class Dialogue:
    """Asks at the terminal, or takes every default where `silent`."""

    def __init__(self, silent: bool) -> None:
        self._silent = silent

    def ask(self, option: str, question: str, given: str | None, default: str, read: Callable[[str], T]) -> T:
        """What the option says, else what the person answers; `read` raises ValueError with a sentence."""
        if given is not None or self._silent:
            return said(option, default if given is None else given, read)
        self._need_terminal(option)
        while True:
            answer = click.prompt(question, default=default, show_default=bool(default), err=True)
            try:
                return read(str(answer).strip())
            except ValueError as error:
                click.echo(f"  {error}", err=True)

    def agree(self, question: str) -> None:
        """Go on only when the person says so."""
        if self._silent:
            return
        self._need_terminal("--yes")
        if not click.confirm(question, default=True, err=True):
            fail("nothing was written")

    def _need_terminal(self, option: str) -> None:
        if not sys.stdin.isatty():
            fail(f"there is no terminal to ask at; write {option}, or --yes to take every default")


def said(option: str, value: str, read: Callable[[str], T]) -> T:
    """What the command line said, once it makes sense; ends with a sentence where it does not."""
    try:
        return read(value)
    except ValueError as error:
        fail(f"{option}: {error}")
