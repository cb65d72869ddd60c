"""A writer on a file of its own, whose callbacks are kept."""

import sqlite3
from datetime import UTC, datetime

import pytest

from rhp.node.state.database import NAME
from rhp.node.state.writer import Writer

BEGAN = datetime(2026, 6, 1, tzinfo=UTC)


class Kept:
    """What a writer told."""

    def __init__(self):
        self.failed, self.recovered, self.aside = [], [], []


@pytest.fixture
def told():
    return Kept()


@pytest.fixture
def file(tmp_path):
    return tmp_path / NAME


@pytest.fixture
def writer(file, told):
    """Make writers on one file, one after the other; the test starts them."""
    made = []

    def make(retry_seconds=0.01):
        one = Writer(
            file,
            lambda: BEGAN,
            failed=told.failed.append,
            recovered=lambda: told.recovered.append(True),
            renewed=told.aside.append,
            retry_seconds=retry_seconds,
        )
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


@pytest.fixture
def rows(file):
    """Read the closed file as another program would."""

    def read(question):
        connection = sqlite3.connect(file)
        try:
            return connection.execute(question).fetchall()
        finally:
            connection.close()

    return read
