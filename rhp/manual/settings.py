"""rhp.toml(5): every key of the configuration, from the same texts as docs/configuration.md."""

from __future__ import annotations

from rhp.manual import roff
from rhp.manual.reference import Row, heading, rows, table_of
from rhp.manual.texts import TEXTS

_EXAMPLE = """\
[interface]
addresses = ["10.77.0.1/24"]

[connections.office-b]
remote_addrs = ["198.51.100.7"]
psk_file = "offices.psk"
local.id = "a.example.org"
remote.id = "b.example.org"
"""


def page() -> str:
    """The whole man page."""
    lines = roff.heading("rhp.toml", 5, "rhp's configuration")
    lines += [*roff.chapter("Name"), "rhp.toml \\- configuration of rhp(1)"]
    lines += roff.chapter("Description")
    lines += roff.paragraph(
        "`/etc/rhp/rhp.toml`, or the file that `-c` names, is a file in TOML. File and folder names in it are relative "
        "to its folder. An unknown key is an error; `rhp config check` lists every mistake at once, and prints what "
        "the node would do when there is none. `rhp init` writes a first one."
    )
    lines += roff.paragraph(
        'Times are seconds, or text such as `"90s"`, `"15m"`, `"4h"`. Where a list is asked, a single text may stand '
        "for one. NAME is a name that you choose."
    )
    lines += roff.chapter("Keys")
    for section in TEXTS:
        lines += roff.part(heading(section))
        lines += roff.paragraph(str(table_of(section).__doc__).partition("\n")[0])
        for row in rows(section):
            lines += roff.definition(", ".join(row.keys), _meaning(row))
    lines += [*roff.chapter("Example"), *roff.example(_EXAMPLE.splitlines())]
    lines += [*roff.chapter("See also"), "\\fBrhp\\fR(1)"]
    return "\n".join(lines) + "\n"


def _meaning(row: Row) -> str:
    """A row's text with its type and default behind it."""
    default = f"; default {row.default}" if row.default else ""
    return f"{row.text} ({row.kind}{default})"
