"""`rhp initiate`: bring a connection up."""

from __future__ import annotations

from pathlib import Path

import click

from rhp.cli.options import ask_node, config_option


@click.command()
@click.argument("connection")
@config_option
def initiate(connection: str, config_file: Path) -> None:
    """Bring a connection up now

    Also after rhp terminate, and instead of waiting for the next try. rhp status shows what comes of it.
    """
    ask_node(config_file, "initiate", connection=connection)
    click.echo(f"{connection}: asked for")
