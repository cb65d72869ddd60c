"""`rhp rekey`: replace keys before their time."""

from __future__ import annotations

from pathlib import Path

import click

from rhp.cli.options import ask_node, config_option, connection_argument


@click.command()
@connection_argument
@click.option("--ike", is_flag=True, help="Replace the IKE SA (the default without --child)")
@click.option("--reauth", is_flag=True, help="Have both ends prove themselves anew, on a new IKE SA")
@click.option("--child", metavar="NAME", help="Replace this child")
@config_option
def rekey(connection: str, ike: bool, reauth: bool, child: str | None, config_file: Path) -> None:
    """Replace the keys of a connection or a child now

    Traffic goes on meanwhile, and the connection's own times for it begin anew.

    \b
    Example: rhp rekey office
             rhp rekey office --child lan
    """
    if reauth:
        result = ask_node(config_file, "reauthenticate", connection=connection)
        click.echo(f"{connection}: {result.get('renewed', 0)} reauthenticating")
    elif ike or child is None:
        result = ask_node(config_file, "rekey-ike", connection=connection)
        click.echo(f"{connection}: {result.get('rekeyed', 0)} rekeying")
    if child is not None:
        result = ask_node(config_file, "rekey-child", connection=connection, child=child)
        click.echo(f"{connection}: {result.get('children', 0)} of {child} rekeying")
