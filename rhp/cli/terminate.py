"""`rhp terminate`: take a connection or one of its children down."""

from __future__ import annotations

from pathlib import Path

import click

from rhp.cli.options import ask_node, config_option, connection_argument


@click.command()
@connection_argument
@click.option("--child", metavar="NAME", help="Take only this child down")
@config_option
def terminate(connection: str, child: str | None, config_file: Path) -> None:
    """Take a connection or a child down

    The peer gets a DELETE. It stays down until rhp initiate, or until the peer calls.

    \b
    Example: rhp terminate office
             rhp terminate office --child lan
    """
    if child is not None:
        result = ask_node(config_file, "delete-child", connection=connection, child=child)
        click.echo(f"{connection}: {result.get('children', 0)} of {child} ending")
    else:
        result = ask_node(config_file, "terminate", connection=connection)
        click.echo(f"{connection}: {result.get('ended', 0)} ending")
