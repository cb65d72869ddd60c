"""`rhp up`: run a node in the foreground."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rhp.cli import exits
from rhp.cli.options import config_option, fail


@click.command()
@config_option
def up(config_file: Path) -> None:
    """Run a node in the foreground

    Reads the configuration, opens the interface and the ports, brings the connections up and serves until it gets
    SIGTERM or SIGINT, or until rhp down. At SIGHUP, which closing its terminal is as well, it reads the configuration
    again, as by rhp reload. The log goes to standard error, under systemd to the journal.

    Two processes run: the guard, which has the keys and may change this machine's network, and the node, which talks to
    the world and may do neither. When one dies the other ends too; the exit code is then 70, or 71 where it was the
    guard. It is 2 when the configuration has a mistake, and 1 where something else has to be mended before the next
    start.

    \b
    Example: rhp up
             rhp up -c /etc/rhp/branch.toml 2>> /var/log/rhp.log
    """
    from rhp.guard.brief import Mistaken
    from rhp.guard.process import run
    from rhp.node.errors import StartError

    try:
        ended = run(config_file.absolute())
    except StartError as error:
        fail(str(error))
    if isinstance(ended, Mistaken):
        click.echo(ended.text, err=True)
        mistakes = f"{ended.mistakes} mistake{'s' if ended.mistakes > 1 else ''}"
        fail(f"the configuration has {mistakes}; nothing was changed", exits.USAGE)
    sys.exit(ended)
