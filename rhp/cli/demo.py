"""`rhp demo`: two nodes and a strongSwan in namespaces of their own, with real traffic between them."""

from __future__ import annotations

import json
import signal
import sys
import time
from textwrap import wrap
from types import FrameType

import click
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from rhp.cli.options import output_option
from rhp.lab.errors import LabError
from rhp.lab.lab import Lab
from rhp.lab.programs import find, require_root
from rhp.lab.showcase import PROGRAMS, Finding, Showcase

PICTURE = """\
  ┌─ a: rhp ────────────┐                              ┌─ b: rhp ────────────┐
  │ rhp0     10.77.0.1  ╞══ Ethernet in ESP (EtherIP) ═╡ rhp0     10.77.0.2  │
  │ eth0     192.0.2.1  │                              │ eth0     192.0.2.2  │
  └──────────╥──────────┘                              └─────────────────────┘
             ║
             ║ IP in ESP (tunnel mode)
  ┌─ s: strongSwan ─────┐
  │ lo       10.88.0.1  │
  │ eth0     192.0.2.3  │
  └─────────────────────┘
"""

_MARGIN = 20
"""Columns in front of a finding's text."""
_NARROWEST = 40


@click.command()
@output_option
def demo(output: str) -> None:
    """Show two nodes and a strongSwan at work on this machine

    Makes three network namespaces, starts a node in two of them and a strongSwan in the third, connects them, and
    measures. At the end the first node's address changes while data flows. Takes about half a minute and leaves nothing
    behind. Needs root.

    \b
    Example: rhp demo
             rhp demo -o json
    """
    signal.signal(signal.SIGTERM, _end)
    console = Console(stderr=output == "json", highlight=False)
    begin = time.monotonic()
    values: dict[str, object] = {}
    error: str | None = None
    try:
        _run(console, values, quiet=output == "json")
    except LabError as failed:
        error = str(failed)
    except KeyboardInterrupt:
        error = "interrupted"
    seconds = round(time.monotonic() - begin, 1)
    if output == "json":
        failure = {} if error is None else {"error": error}
        click.echo(json.dumps({"schema_version": 1, "ok": error is None, **values, "seconds": seconds, **failure}))
    if error is not None:
        click.echo(f"rhp demo: {error}", err=True)
        sys.exit(130 if error == "interrupted" else 1)
    if output == "table":
        console.print(f"\n  All of it worked, in {seconds:.0f} s, and nothing was left behind.\n")


def _run(console: Console, values: dict[str, object], *, quiet: bool) -> None:
    """Do every step, showing each as it is done; `values` fills up on the way."""
    require_root()
    for program in PROGRAMS:
        find(program)
    with Lab() as lab:
        showcase = Showcase(lab)
        if not quiet:
            console.print()
            console.print(Text(PICTURE.rstrip(), style="cyan"))
        chapter = ""
        for step in showcase.steps():
            if quiet:
                findings = step.act()
            else:
                if step.chapter != chapter:
                    chapter = step.chapter
                    console.print(f"\n  [bold]{chapter}[/bold]")
                with console.status(f"{step.doing} ..."):
                    findings = step.act()
                for finding in findings:
                    if finding.text:
                        console.print(_line(finding, console.width))
            values.update({finding.key: finding.value for finding in findings})


def _line(finding: Finding, columns: int) -> str:
    """A finding as a line, aligned with its neighbours; what is too long for it goes on below its beginning."""
    parts = wrap(finding.text, max(columns - _MARGIN, _NARROWEST))
    text = ("\n" + " " * _MARGIN).join(parts)
    return f"    [green]✓[/green] {finding.label:<12}  {escape(text)}"


def _end(number: int, frame: FrameType | None) -> None:
    """Treat SIGTERM as Ctrl-C, so that everything is cleaned up."""
    raise KeyboardInterrupt
