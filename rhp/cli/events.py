"""`rhp events`: follow what happens in the running node."""

from __future__ import annotations

import json
from pathlib import Path

import click

from rhp.cli.options import SCHEMA_VERSION, config_option, control_socket, give_up, output_option
from rhp.cli.table import plain
from rhp.node.control.client import ControlError, follow


@click.command()
@output_option
@config_option
def events(output: str, config_file: Path) -> None:
    """Follow what happens in the running node

    One line per event, until the node ends or Ctrl-C. With -o json each line is a JSON object.

    \b
    Example: rhp events
             rhp events -o json | jq 'select(.event == "ike established") .peer'
    """
    try:
        for event in follow(control_socket(config_file)):
            click.echo(
                json.dumps({"schema_version": SCHEMA_VERSION, **event}) if output == "json" else plain(_line(event))
            )
    except ControlError as error:
        give_up(error)
    except KeyboardInterrupt:
        return


def _line(event: dict[str, object]) -> str:
    fields = [f"{name}={value}" for name, value in event.items() if name not in ("time", "event")]
    return " ".join([str(event.get("time")), str(event.get("event")), *fields])
