"""The one tool that prints figures: every bench/out/*.json as a table, each number beside its ratio to rhp's.

    python -m bench.compare [NAME ...]

A file holds one object per measure: `{"tcp_1_stream_gbps": {"rhp": 3.1, "openvpn-tap": 1.4, "veth": 20.0}, ...}`.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

OUT = Path(__file__).parent / "out"
SUBJECT = "rhp"

Figures = Mapping[str, Mapping[str, float]]


def write(name: str, figures: Figures) -> Path:
    """Write bench/out/NAME.json and return its path."""
    OUT.mkdir(exist_ok=True)
    path = OUT / f"{name}.json"
    path.write_text(json.dumps(figures, indent=2) + "\n")
    return path


def read(name: str) -> dict[str, Mapping[str, float]]:
    """What is in bench/out/NAME.json; nothing when it is not there."""
    path = OUT / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def show(path: Path) -> None:
    """Print one file as a table: a row per measure, a column per program, and rhp's ratio to each of them."""
    figures: Figures = json.loads(path.read_text())
    programs = list(dict.fromkeys(program for row in figures.values() for program in row))
    programs.sort(key=lambda program: program != SUBJECT)
    table = Table(title=path.stem, title_justify="left", title_style="bold", pad_edge=False)
    table.add_column("measure")
    for program in programs:
        table.add_column(program, justify="right")
    for measure, row in figures.items():
        table.add_row(measure, *(cell(row, program) for program in programs))
    Console(width=None if sys.stdout.isatty() else 240).print(table)


def cell(row: Mapping[str, float], program: str) -> str:
    """A program's figure, and how many times as large rhp's is where both are there."""
    value = row.get(program)
    if value is None:
        return "-"
    text = f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    subject = row.get(SUBJECT)
    if program == SUBJECT or subject is None or value == 0:
        return text
    return f"{text}  [dim](rhp {subject / value:.2f} x)[/dim]"


def main(names: list[str]) -> int:
    """Show the named files, or all; the exit status is 1 when there is none."""
    paths = [OUT / f"{name}.json" for name in names] or sorted(OUT.glob("*.json"))
    if not paths:
        print("Nothing has been measured yet: run make bench.", file=sys.stderr)
        return 1
    for path in paths:
        show(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
