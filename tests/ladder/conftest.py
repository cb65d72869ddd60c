"""The ladder tests' fixture; the helper modules beside this file are imported by name."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ladder_net import LadderNet


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
