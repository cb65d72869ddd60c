import pytest

from rhp.lab.lab import Lab
from rhp.lab.pair import start_pair
from rhp.lab.topology import switch


@pytest.fixture(scope="module")
def scene():
    """Two nodes with their tunnel up, and a third host on the same switch that is nobody's friend."""
    with Lab() as lab:
        a, b, stranger = switch(lab, ("a", "b", "x"))
        nodes = start_pair(lab, (a, b))
        nodes.wait_established()
        yield nodes, stranger
