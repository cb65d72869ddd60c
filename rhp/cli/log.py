"""`rhp log`: the running node's last log lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from rhp.cli.names import complete_connection
from rhp.cli.options import SCHEMA_VERSION, config_option, control_socket, give_up, output_option
from rhp.cli.table import plain
from rhp.node.control.client import ControlError, Session
from rhp.node.control.protocol import Request

LEVELS = ("debug", "info", "warning", "error")


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on, until Ctrl-C")
@click.option(
    "-n", "--lines", type=click.IntRange(0, 2000), default=100, show_default=True, help="Show the last so many"
)
@click.option("--level", type=click.Choice(LEVELS), default="debug", help="Show this level and what is graver")
@click.option(
    "--connection", metavar="NAME", shell_complete=complete_connection, help="Show only lines about this connection"
)
@output_option
@config_option
def log(follow: bool, lines: int, level: str, connection: str | None, output: str, config_file: Path) -> None:
    """Show the running node's log

    The node keeps its last 2000 lines in memory, from node.log_level on. What each says stands in docs/logging.md. With
    -o json each line is a JSON object, its fields apart.

    \b
    Example: rhp log --level warning
             rhp log -f --connection office
    """
    fields = {"level": level, "lines": str(lines), "follow": "yes" if follow else "no"}
    if connection is not None:
        fields["connection"] = connection
    try:
        with Session(control_socket(config_file)) as session:
            request = Request("log", fields)
            if follow:
                found, rest = session.follow(request)
            else:
                found, rest = session.ask(request), iter(())
            _show(found["lines"], output)
            _show(rest, output)
    except ControlError as error:
        give_up(error)
    except KeyboardInterrupt:
        return


def _show(lines: Iterable[Mapping[str, Any]], output: str) -> None:
    for line in lines:
        if output == "json":
            click.echo(json.dumps({"schema_version": SCHEMA_VERSION, **line}))
        else:
            words = "\n".join(map(plain, line["text"].split("\n")))
            click.echo(f"{line['time']} {line['level']:<7} {words}")
