"""`rhp events`: follow what happens in the running node."""

from __future__ import annotations

import json
from pathlib import Path

import click

from rhp.cli.options import config_option, control_socket, fail, output_option
from rhp.node.control.client import ControlError, follow


@click.command()
@output_option
@config_option
def events(output: str, config_file: Path) -> None:
    """Follow what happens in the running node

    One line per event, until the node ends or Ctrl-C. With -o json each line is a JSON object.
    """
    try:
        for event in follow(control_socket(config_file)):
            click.echo(json.dumps(event) if output == "json" else _line(event))
    except ControlError as error:
        fail(str(error))
    except KeyboardInterrupt:
        return


def _line(event: dict[str, object]) -> str:
    fields = [f"{name}={value}" for name, value in event.items() if name not in ("time", "event")]
    return " ".join([str(event.get("time")), str(event.get("event")), *fields])
