"""The tables of docs/configuration.md, each between two comments that Markdown does not show."""

from __future__ import annotations

import re

from rhp.manual.reference import Incomplete, rows
from rhp.manual.texts import TEXTS

BEGIN = "<!-- keys of [{}]: made by `make docs` from rhp/config/model.py and rhp/manual/texts.py -->"
END = "<!-- end of keys -->"
_NAME = r"([A-Za-z.]+(?:\[\])?)"
_BEGINNING = re.escape(BEGIN).replace(re.escape("{}"), _NAME)
_PLACE = re.compile(rf"{_BEGINNING}\n.*?{re.escape(END)}", re.DOTALL)


def filled(page: str) -> str:
    """The page with its tables made anew; raises `Incomplete` where a section has no place in it."""
    places = _PLACE.findall(page)
    if sorted(places) != sorted(TEXTS):
        raise Incomplete(f"docs/configuration.md has places for {', '.join(places)}, and should for {', '.join(TEXTS)}")
    return _PLACE.sub(lambda place: f"{BEGIN.format(place[1])}\n\n{table(place[1])}\n\n{END}", page)


def table(section: str) -> str:
    """A section's keys as a Markdown table."""
    lines = ["| key | type | default | |", "|---|---|---|---|"]
    for row in rows(section):
        cells = (", ".join(f"`{key}`" for key in row.keys), row.kind, row.default, row.text)
        lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    return "\n".join(lines)
