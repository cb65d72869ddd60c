"""Lets the tests of this folder import its helper modules, and the data planes of tests/fast, by name."""

import sys
from pathlib import Path

import pytest

from rhp.lab.lab import Lab
from rhp.lab.pair import PairOptions, start_pair
from rhp.lab.relay import relayed

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "fast")]


@pytest.fixture
def lab():
    with Lab() as made:
        yield made


@pytest.fixture
def bad_network(lab):
    """Makes two nodes with the fault relay between them, their tunnel up, and the network still a good one."""

    def make(version=4, encapsulation="udp", *, gro=False, mtu=1500):
        net = relayed(lab, gro=gro, mtu=mtu)
        options = PairOptions(version=version, connection={"encapsulation": encapsulation})
        nodes = start_pair(lab, (net.a, net.b), options)
        nodes.wait_established()
        made.append(nodes)
        return net.relay, nodes

    made = []
    yield make
    for nodes in made:
        for node in (nodes.a, nodes.b):
            assert "Traceback" not in node.process.text()
            assert node.process.status is None
