"""What the tests of this folder share: the rig of the data plane's own tests, the ladder, and the example installed."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "fast"))
sys.path.insert(0, str(Path(__file__).parent.parent / "ladder"))

from contract_packets import MAKERS
from ladder_net import LadderNet
from planes import Rig
from spi_install import install, installed_again, kept_tables


@pytest.fixture(scope="session")
def spare_parts(tmp_path_factory):
    """The folder into which pip has installed docs/examples/spare-parts, as it would into an environment."""
    return install("spare-parts", tmp_path_factory)


@pytest.fixture
def extended(spare_parts, monkeypatch):
    """It can be found, for one test; the tables of algorithms are afterwards what they were before."""
    monkeypatch.syspath_prepend(str(spare_parts))
    with installed_again("rhp_spare_parts"), kept_tables():
        yield spare_parts


@pytest.fixture
def ladder():
    """Make networks of two engines; no engine may ever have a fault."""
    made = []

    def make(*args, **kwargs):
        made.append(LadderNet(*args, **kwargs))
        return made[-1]

    yield make
    for net in made:
        print(net.diagram())
        net.check_no_faults()


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


@pytest.fixture
def rig(make):
    with Rig(make=make) as made:
        yield made
