"""Both ends prove themselves anew while traffic flows; a PPK is in the keys all the time."""

import pytest

from rhp.lab.pair import CONNECTION, PairOptions, start_pair
from rhp.lab.ping import ping
from rhp.lab.process import wait_until
from rhp.lab.topology import cable
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.netns

PPK = {"ppk_id": "cable", "ppk": "0x" + "5a0f" * 16}


def test_nobody_notices(lab):
    nodes = start_pair(lab, cable(lab), PairOptions(connection=PPK))
    nodes.wait_established()
    a, b = nodes.a, nodes.b
    assert a.connection(CONNECTION)["ppk"] is b.connection(CONNECTION)["ppk"] is True
    spis = [a.connection(CONNECTION)["ike_spi_i"]]

    def renew():
        a.reauthenticate(CONNECTION)
        wait_until(lambda: a.connection(CONNECTION)["ike_spi_i"] not in (None, *spis), 30, "a new IKE SA")
        spis.append(a.connection(CONNECTION)["ike_spi_i"])

    for number in range(3):
        assert Transfer(a.namespace, b.namespace, nodes.inner[1]).run(4_000_000, bytes((number,)), renew)
        assert Transfer(b.namespace, a.namespace, nodes.inner[0]).run(4_000_000, bytes((number,)), renew)
    assert len(spis) == 7
    lost = ping(a.namespace, nodes.inner[1], count=20, at_once=True)
    assert lost.received == lost.sent
    wait_until(lambda: b.connection(CONNECTION)["ike_spi_i"] == spis[-1], 30, "b having the same")
    for node in (a, b):
        entry = node.wait_connection(CONNECTION, lambda entry: len(entry["children"]) == 1, 30)
        assert entry["ppk"] is True
        text = node.process.text()
        assert text.count("ike reauthenticated") == 6
        assert text.count("ike established") == text.count("child established") == 1
        assert "ike closed" not in text and "child closed" not in text and "Traceback" not in text
