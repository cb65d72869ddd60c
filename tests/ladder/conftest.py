"""The ladder tests' fixture; the helper modules beside this file are imported by name."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ladder_net import LadderNet
from ladder_tickets import sides


@pytest.fixture
def ladder():
    """Make networks; a test that fails shows their flow as a sequence diagram. No engine may ever have a fault."""
    made = []

    def make(*args, **kwargs):
        made.append(LadderNet(*args, **kwargs))
        return made[-1]

    yield make
    for net in made:
        print(net.diagram())
    for net in made:
        net.check_no_faults()


@pytest.fixture
def resuming(ladder):
    """Two nodes that give and hold tickets, with secrets that outlive them."""

    def make(**kwargs):
        link = ladder(**{**sides(), **kwargs})
        for side in link.sides:
            side.keep_vault()
        return link

    return make
