"""`rhp check`: the configuration, and what a start would need, without starting."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rhp.cli import exits
from rhp.cli.options import config_option, output_option, running_node, show_json


@click.command()
@output_option
@config_option
def check(output: str, config_file: Path) -> None:
    """Check the configuration and what a start would need

    Every mistake in the file and in the keys and certificates that it names, then this machine: privileges, users,
    folders and their modes, ports, the interface of each hub and its bridge. Nothing is changed, and a node that runs
    is not disturbed. Ends with 2 when the configuration has a mistake, with 4 when a start would fail for another
    reason.

    \b
    Example: rhp check && systemctl restart rhp
             rhp check -c new.toml -o json
    """
    from rhp.cli.findings import plain_data, show, summary
    from rhp.config.describe import describe
    from rhp.diagnosis import visit

    loaded, found = visit.configuration(config_file)
    plan = list(describe(loaded)) if loaded is not None else []
    if output == "table":
        show(found, all_of_them=True)
    rest = visit.check(loaded, running_node(config_file)) if loaded is not None else iter(())
    found += show(rest, all_of_them=True) if output == "table" else list(rest)
    healthy = all(one.level != "problem" for one in found)
    if output == "json":
        show_json({"ok": healthy, "findings": plain_data(found), "plan": plan})
    else:
        click.echo("\n".join(["", *plan, "", summary(found)] if plan else ["", summary(found)]))
    if loaded is None:
        sys.exit(exits.USAGE)
    if not healthy:
        sys.exit(exits.UNHEALTHY)
