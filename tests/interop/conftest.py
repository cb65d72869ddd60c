import os
from datetime import date
from pathlib import Path

import pytest

from rhp.lab.interop import ROWS, STEPS, Matrix
from rhp.lab.lab import Lab

RESULTS = pytest.StashKey[dict]()
VERSION = pytest.StashKey[str]()


def pytest_configure(config):
    config.stash[RESULTS] = {}


@pytest.fixture(scope="session")
def matrix(request):
    with Lab() as lab:
        made = Matrix(lab)
        request.config.stash[VERSION] = made.swan.version()
        yield made
        assert "Traceback" not in made.node.process.text()


@pytest.fixture
def record(request):
    """Note the outcome of one step of one row, for the table."""

    def note(row, step, outcome):
        request.config.stash[RESULTS].setdefault(row.number, {})[step] = outcome

    return note


def table(results):
    """The matrix as lines of Markdown."""
    heads = ["initiator", "authentication", "suite", *STEPS]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in ROWS:
        if row.number in results:
            outcomes = (results[row.number].get(step, "not reached") for step in STEPS)
            lines.append("| " + " | ".join([row.initiator, row.auth, row.suite.name, *outcomes]) + " |")
    return lines


def pytest_terminal_summary(terminalreporter, config):
    results = config.stash[RESULTS]
    if not results:
        return
    terminalreporter.section("rhp and strongSwan")
    lines = table(results)
    for line in lines:
        terminalreporter.line(line)
    target = os.environ.get("RHP_INTEROP_TABLE")
    if target:
        Path(target).write_text(page(lines, config.stash[VERSION]), encoding="utf-8")
        terminalreporter.line(f"written to {target}")


def page(lines, version):
    """The whole of docs/interop.md."""
    suites = sorted({f"- {row.suite.name}: IKE `{row.suite.ike}`, ESP `{row.suite.esp}`" for row in ROWS})
    intro = [
        "# Interoperability",
        "",
        f"Written by `make interop` on {date.today():%Y-%m-%d}, against {version} with ESP in user space, IP in tunnel",
        "mode in UDP. Every step ends with pings both ways and both programs naming the same SPIs; after a DELETE",
        "neither has any and nothing passes.",
        "",
    ]
    return "\n".join([*intro, *lines, "", "The suites, in swanctl's notation:", "", *suites, ""])
