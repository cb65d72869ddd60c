"""Lets the tests of this folder import its helper modules, however pytest was started, and gives them a plane."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def rig():
    """A running plane of one lane."""
    from planes import Rig

    with Rig() as made:
        yield made
