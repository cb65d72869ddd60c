"""The ladder tests' fixture; the helper modules beside this file are imported by name."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ladder_net import LadderNet
from ladder_reload import NAMES, begin, both_of
from ladder_tickets import sides
from ladder_world import config, psk_policy


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


@pytest.fixture
def two(ladder):
    """Two connections between a and b, both established by a."""

    def make(**more):
        pairs = [both_of(name, **more) for name in NAMES]
        policy = psk_policy(*(b"a key that both know",), *NAMES)
        link = ladder(config(*(a for a, _ in pairs)), config(*(b for _, b in pairs)), policy, policy)
        for name in NAMES:
            begin(link, name)
            link.settle()
        assert link.a.states() == link.b.states() == ["established"] * 2
        return link

    return make
