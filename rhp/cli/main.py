"""The `rhp` command. Each subcommand is one file, imported when called: `rhp status` does not pay for `rhp up`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "init": "rhp.cli.init:init",
    "up": "rhp.cli.up:up",
    "reload": "rhp.cli.reload:reload",
    "status": "rhp.cli.status:status",
    "realms": "rhp.cli.realms:realms",
    "down": "rhp.cli.down:down",
    "watch": "rhp.cli.watch:watch",
    "peers": "rhp.cli.peers:peers",
    "sas": "rhp.cli.sas:sas",
    "hub": "rhp.cli.hub:hub",
    "events": "rhp.cli.events:events",
    "log": "rhp.cli.log:log",
    "initiate": "rhp.cli.initiate:initiate",
    "terminate": "rhp.cli.terminate:terminate",
    "rekey": "rhp.cli.rekey:rekey",
    "redirect": "rhp.cli.redirect:redirect",
    "add-lane": "rhp.cli.add_lane:add_lane",
    "leases": "rhp.cli.leases:leases",
    "capture": "rhp.cli.capture:capture",
    "check": "rhp.cli.check:check",
    "doctor": "rhp.cli.doctor:doctor",
    "config": "rhp.cli.config:config",
    "service": "rhp.cli.service:service",
    "keygen": "rhp.cli.keygen:keygen",
    "completion": "rhp.cli.completion:completion",
    "demo": "rhp.cli.demo:demo",
}
"""Every subcommand and where it stands, in the order of a node's life."""

SUMMARIES = {
    "init": "Write a first configuration",
    "up": "Run a node in the foreground",
    "reload": "Read the configuration again",
    "status": "Show what the running node does",
    "realms": "Show the realms and who is in them",
    "down": "End the running node",
    "watch": "Watch what each peer sends and gets",
    "peers": "Show who is connected, one line a peer",
    "sas": "Show the IKE SAs and Child SAs",
    "hub": "Show the hub's table of stations",
    "events": "Follow what happens in the running node",
    "log": "Show the running node's log",
    "initiate": "Bring a connection up now",
    "terminate": "Take a connection or a child down",
    "rekey": "Replace the keys of a connection or a child now",
    "redirect": "Send peers to another gateway",
    "add-lane": "Add a lane to the running node",
    "leases": "List the inner addresses that are lent",
    "capture": "Write the traffic of the tunnels to a file for Wireshark",
    "check": "Check the configuration and what a start would need",
    "doctor": "Find what usually goes wrong, and what to do",
    "config": "Check and show the configuration",
    "service": "Write the files that make systemd run the node",
    "keygen": "Make shared keys and certificates",
    "completion": "Print what makes a shell complete rhp's commands",
    "demo": "Show two nodes and a strongSwan at work on this machine",
}
"""What `rhp --help` says of each, so that it need not import them."""


class LazyGroup(click.Group):
    """A group whose subcommands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names in their order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name; None when there is none."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command = getattr(import_module(module), attribute)
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one comes near."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from rhp.config.suggest import nearest

            hint = nearest(args[0], COMMANDS) if args else None
            if hint is None:
                raise
            raise click.UsageError(f"{error.format_message()} Did you mean {hint}?", ctx) from None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name without importing any."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=summary) for name, summary in SUMMARIES.items() if name.startswith(incomplete)
        ]
        return found if incomplete[:1] != "-" else click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))


def _show_version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Print the versions of rhp and of the OpenSSL that seals its packets, and end."""
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import version

    from rhp._fast.evp import openssl_version

    click.echo(f"rhp {version('rhp')}, {openssl_version()}")
    ctx.exit()


@click.group("rhp", cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version of rhp, and of the OpenSSL that seals its packets",
)
def main() -> None:
    """Carry Ethernet and IP networks over IKEv2 and ESP

    Ends with 0 when all is well, 1 when something failed, 2 when the command line or the configuration is wrong, 3
    when no node runs, 4 when something is not as it should be.

    \b
    Example: rhp check && rhp up
             rhp status
    """
