"""rhp(1): every command with its options, from what `--help` of each says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import dedent

import click

from rhp.cli.main import COMMANDS, SUMMARIES, main
from rhp.manual import roff

_EXITS = {
    "0": "all is well",
    "1": "something failed",
    "2": "the command line or the configuration is wrong",
    "3": "no node runs there",
    "4": "it was done or shown, and something is not as it should be",
}
_FILES = {
    "/etc/rhp/rhp.toml": "the configuration, see rhp.toml(5)",
    "/run/rhp/control.sock": "where the running node is asked",
    "/var/lib/rhp": "what outlives a restart: leases, counters, the secrets behind tickets",
}


def page() -> str:
    """The whole man page."""
    lines = roff.heading("rhp", 1, "rhp's commands")
    lines += [*roff.chapter("Name"), "rhp \\- a VPN node in user space: Ethernet and IP networks over IKEv2 and ESP"]
    lines += [*roff.chapter("Synopsis"), "\\fBrhp\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]"]
    lines += roff.chapter("Description")
    lines += roff.paragraph(
        "rhp carries an Ethernet network, or IP networks, between machines over the standard protocols IKEv2 and ESP. "
        "It needs a TAP device and UDP, and no kernel IPsec. `rhp init` writes a first configuration, `rhp up` runs a "
        "node with it, `rhp status` shows what the node does, and `rhp doctor` finds what is in its way."
    )
    lines += roff.chapter("Commands")
    with click.Context(main, info_name="rhp") as context:
        for name in COMMANDS:
            command = main.get_command(context, name)
            if command is None:
                raise LookupError(f"rhp has no command {name}")
            lines += _command(command, f"rhp {name}", context, SUMMARIES[name])
    lines += roff.chapter("Exit status")
    for code, meaning in _EXITS.items():
        lines += roff.definition(code, meaning)
    lines += roff.chapter("Files")
    for path, meaning in _FILES.items():
        lines += roff.definition(path, meaning)
    lines += [*roff.chapter("See also"), "\\fBrhp.toml\\fR(5)"]
    return "\n".join(lines) + "\n"


def _command(command: click.Command, path: str, above: click.Context, summary: str = "") -> Iterator[str]:
    """A command and what belongs to it: how it is called, its text, its options; then the commands below it."""
    with click.Context(command, parent=above, info_name=path.rpartition(" ")[2]) as context:
        yield from roff.part(" ".join([path, *command.collect_usage_pieces(context)]))
        yield from _text(command.help or summary)
        for parameter in command.get_params(context):
            record = parameter.get_help_record(context)
            if record and record[1] and "--help" not in parameter.opts:
                yield from roff.definition(*record)
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                if below is not None:
                    yield from _command(below, f"{path} {name}", context)


def _text(text: str) -> Iterator[str]:
    """The paragraphs of a help text; what click must not wrap is an example."""
    for block in re.split(r"\n\s*\n", text.replace("\f", "").strip()):
        lines = block.splitlines()
        if lines[0].strip() == "\b":
            yield from roff.example(dedent("\n".join(lines[1:])).splitlines())
        else:
            yield from roff.paragraph(" ".join(line.strip() for line in lines).rstrip(".") + ".")
