"""`rhp up`: run a node in the foreground."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rhp.cli.options import config_option, fail

if TYPE_CHECKING:
    from rhp.config.loading import Loaded


@click.command()
@config_option
def up(config_file: Path) -> None:
    """Run a node in the foreground

    Reads the configuration, opens the interface and the ports, brings the connections up and serves until it gets
    SIGTERM or SIGINT, or until rhp down. The log goes to standard error.
    """
    from rhp.config.errors import ConfigError
    from rhp.config.loading import load
    from rhp.node.errors import StartError
    from rhp.node.log import set_up
    from rhp.node.preflight import RunFolder, check_machine, check_privilege

    try:
        check_privilege()
    except StartError as error:
        fail(str(error))
    try:
        loaded = load(config_file)
    except ConfigError as error:
        click.echo(str(error), err=True)
        wrong = sum(not problem.warning for problem in error.problems)
        fail(f"the configuration has {wrong} mistake{'s' if wrong > 1 else ''}; nothing was changed")
    settings = loaded.settings
    set_up(settings.log_level)
    try:
        check_machine(min(settings.port, settings.natt_port))
        with RunFolder(settings.run_dir):
            _serve(loaded)
    except StartError as error:
        fail(str(error))


def _serve(loaded: Loaded) -> None:
    from rhp.guard.local import LocalGuard
    from rhp.guard.secrets import SecretsError
    from rhp.node.daemon import run
    from rhp.node.errors import StartError
    from rhp.node.log import EventLog

    log = EventLog(time.monotonic)
    for problem in loaded.warnings:
        place = f"{loaded.file}:{problem.line}" if problem.line else loaded.file
        log.write("configuration warning", place=place, detail=f"{problem.where}: {problem.message}")
    try:
        guard = LocalGuard(loaded.policy)
    except SecretsError as error:
        raise StartError("; ".join(error.problems)) from None
    asyncio.run(run(loaded.settings, loaded.engine, guard))
