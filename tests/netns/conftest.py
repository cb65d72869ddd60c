import sys
from pathlib import Path

import pytest

from rhp.lab.lab import Lab
from rhp.lab.pair import start_pair
from rhp.lab.topology import cable

sys.path.insert(0, str(Path(__file__).parent.parent / "ladder"))


@pytest.fixture
def lab():
    with Lab() as made:
        yield made


@pytest.fixture(scope="module")
def pair():
    """Two nodes with their tunnel up, shared by the tests of one file that only send traffic."""
    with Lab() as made:
        nodes = start_pair(made, cable(made))
        nodes.wait_established()
        yield nodes
        for node in (nodes.a, nodes.b):
            assert "Traceback" not in node.process.text()
            assert node.process.status is None
