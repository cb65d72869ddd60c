"""What the interop tests share: the two strongSwans, and the tables that `make interop` writes.

A test of a feature takes `programs`, runs against each strongSwan in turn, and notes what held:

    def test_cookies(feature, programs):
        with Lab() as lab:
            met = meet(lab, cable(lab), programs, settings={"cookie_threshold": 1})
            with feature("cookies, asked for by strongSwan", role="initiator", peer=met.swan):
                met.establish("rhp")

`meet` (rhp.lab.meeting) starts a node and a charon with one connection, `Matrix` (rhp.lab.interop) with many.
What only the newer strongSwan can do takes `newest` in the place of `programs`.
"""

import os
import sys
from pathlib import Path

import pytest

from rhp.lab.interop import Matrix
from rhp.lab.lab import Lab
from rhp.lab.strongswan import SwanPrograms

sys.path.insert(0, str(Path(__file__).parent))

from interop_table import FeatureTable, matrix_lines, page

NEWEST = Path(__file__).parents[2] / "build" / "strongswan"

RESULTS = pytest.StashKey[dict]()
FEATURES = pytest.StashKey[FeatureTable]()
VERSIONS = pytest.StashKey[dict]()


def pytest_configure(config):
    config.stash[RESULTS] = {}
    config.stash[FEATURES] = FeatureTable()
    config.stash[VERSIONS] = {}


@pytest.fixture(scope="session")
def newest():
    """The strongSwan of Debian's testing suite; without it the tests fail and say how to get it."""
    return SwanPrograms.unpacked(NEWEST)


@pytest.fixture(scope="session", params=["installed", "newest"])
def programs(request):
    """Each strongSwan in turn."""
    return SwanPrograms.installed() if request.param == "installed" else request.getfixturevalue("newest")


@pytest.fixture(scope="session")
def feature(request):
    """`with feature(NAME, role=..., peer=SWAN):` notes in the table whether the block held; see `FeatureTable`."""
    versions = request.config.stash[VERSIONS]

    def record(name, *, role, peer):
        versions[peer.version()] = None
        return request.config.stash[FEATURES].record(name, role=role, peer=peer)

    return record


@pytest.fixture(scope="session")
def matrix(request):
    with Lab() as lab:
        made = Matrix(lab)
        request.config.stash[VERSIONS][made.swan.version()] = None
        yield made
        assert "Traceback" not in made.node.process.text()


@pytest.fixture
def record(request):
    """Note the outcome of one step of one row, for the table."""

    def note(row, step, outcome):
        request.config.stash[RESULTS].setdefault(row.number, {})[step] = outcome

    return note


def pytest_terminal_summary(terminalreporter, config):
    features, matrix = config.stash[FEATURES].lines(), matrix_lines(config.stash[RESULTS])
    if not features and not matrix:
        return
    terminalreporter.section("rhp and strongSwan")
    for line in [*features, *matrix]:
        terminalreporter.line(line)
    target = os.environ.get("RHP_INTEROP_TABLE")
    if target:
        Path(target).write_text(page(features, matrix, sorted(config.stash[VERSIONS])), encoding="utf-8")
        terminalreporter.line(f"written to {target}")
