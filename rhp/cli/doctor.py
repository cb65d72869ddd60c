"""`rhp doctor`: what usually goes wrong, found and with what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rhp.cli import exits
from rhp.cli.options import config_option, output_option, running_node, show_json

if TYPE_CHECKING:
    from rhp.diagnosis.finding import Finding


@click.command()
@click.option("-a", "--all", "all_of_them", is_flag=True, help="Show also what is as it should be")
@output_option
@config_option
def doctor(all_of_them: bool, output: str, config_file: Path) -> None:
    """Find what usually goes wrong, and what to do

    Looks at the clock, the kernel and its offloads, ports, users, folders, certificates, firewalls, the programs of
    hooks, forwarding, routes, leftovers, and asks the running node what it saw: NAT, failures, drops. Sends nothing,
    and makes a TAP for a moment. Run it as root. Each finding says what to do; ends with 4 when there is a problem,
    with 0 when there are only notes.

    \b
    Example: rhp doctor
             rhp doctor -o json | jq '.findings[] | select(.level == "problem")'
    """
    from rhp.cli.findings import plain_data, show, summary

    looks = _looks(config_file)
    found = list(looks) if output == "json" else show(looks, all_of_them=all_of_them)
    healthy = all(one.level != "problem" for one in found)
    if output == "json":
        show_json({"ok": healthy, "findings": plain_data(found)})
    else:
        click.echo(summary(found))
    if not healthy:
        sys.exit(exits.UNHEALTHY)


def _looks(config_file: Path) -> Iterator[Finding]:
    from rhp.diagnosis import visit

    loaded, first = visit.configuration(config_file)
    return chain(first, visit.doctor(loaded, running_node(config_file)))
