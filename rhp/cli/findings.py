"""Findings as a person or a program reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import click

from rhp.cli.table import plain
from rhp.diagnosis.finding import Finding

_MARKS = {"ok": "ok", "note": "note", "problem": "PROBLEM"}


def show(findings: Iterable[Finding], *, all_of_them: bool) -> list[Finding]:
    """Print each as it is found, the good ones only where they are asked for; give them all."""
    found = []
    for one in findings:
        found.append(one)
        if one.level == "ok" and not all_of_them:
            continue
        click.echo(f"{_MARKS[one.level]:<8} {one.subject}: {plain(one.says)}")
        if one.advice:
            click.echo(f"{'':<8} -> {plain(one.advice)}")
    return found


def plain_data(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """The same for JSON."""
    return [{"subject": one.subject, "level": one.level, "says": one.says, "advice": one.advice} for one in findings]


def summary(findings: Sequence[Finding]) -> str:
    """How many there are of each kind."""
    problems = sum(one.level == "problem" for one in findings)
    notes = sum(one.level == "note" for one in findings)
    return f"{_many(len(findings), 'look')}, {_many(problems, 'problem')}, {_many(notes, 'note')}"


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
