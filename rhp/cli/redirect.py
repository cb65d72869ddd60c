"""`rhp redirect`: send peers to another gateway."""

from __future__ import annotations

from pathlib import Path

import click

from rhp.cli.options import ask_node, config_option, connection_argument


@click.command()
@connection_argument
@click.argument("target", required=False)
@click.option("--peer", metavar="IDENTITY", help="Send only this peer, and nobody who calls later")
@click.option("--off", is_flag=True, help="Send nobody away any more")
@config_option
def redirect(connection: str, target: str | None, peer: str | None, off: bool, config_file: Path) -> None:
    """Send peers to another gateway

    TARGET is its address or host name. Every peer of the connection that can follow is sent there, and so is everybody
    who calls from now on, until --off or the end of the node. The other gateway has to prove the same identity.

    \b
    Example: rhp redirect office gate2.example.org
             rhp redirect office --off
    """
    if off == (target is not None):
        raise click.UsageError("Write either TARGET or --off.")
    if off:
        ask_node(config_file, "redirect-off", connection=connection)
        click.echo(f"{connection}: nobody is sent away any more")
        return
    result = ask_node(config_file, "redirect", connection=connection, target=target, peer=peer)
    unable = result.get("unable", 0)
    rest = f", {unable} cannot follow" if unable else ""
    click.echo(f"{connection}: {result.get('redirected', 0)} sent to {target}{rest}")
