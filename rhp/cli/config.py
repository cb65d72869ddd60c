"""`rhp config`: look at a configuration without running it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from rhp.cli import exits
from rhp.cli.options import config_option, output_option


@click.group()
def config() -> None:
    """Check and show the configuration"""


@config.command()
@output_option
@config_option
def check(output: str, config_file: Path) -> None:
    """List every mistake, or say what the node would do

    Ends with 2 when there is a mistake. Warnings do not count. Nothing is changed. rhp check also looks at the machine.

    \b
    Example: rhp config check
             rhp config check -c new.toml -o json
    """
    from rhp.config.describe import describe
    from rhp.config.errors import ConfigError, Problem
    from rhp.config.loading import load

    problems: tuple[Problem, ...]
    lines: list[str] = []
    try:
        loaded = load(config_file)
        problems, lines = loaded.warnings, list(describe(loaded))
    except ConfigError as error:
        problems = error.problems
    wrong = sum(not problem.warning for problem in problems)
    if output == "json":
        shown = [
            {"where": one.where, "line": one.line, "message": one.message, "warning": one.warning} for one in problems
        ]
        click.echo(json.dumps({"schema_version": 1, "ok": not wrong, "problems": shown, "plan": lines}))
        sys.exit(exits.USAGE if wrong else exits.OK)
    for problem in problems:
        click.echo(problem.render(config_file), err=True)
    for line in lines:
        click.echo(line)
    if wrong:
        click.echo(f"{wrong} mistake{'s' if wrong > 1 else ''} in {config_file}", err=True)
        sys.exit(exits.USAGE)
    click.echo(f"{config_file} is good")
