"""What happens to a node while it runs: restarts, deaths, a vanished interface, rekeys under load, farewells."""

import json
import signal
import threading
import time

import pytest

from rhp.lab.errors import LabError
from rhp.lab.pair import CHILD, CONNECTION, TAP, PairOptions, start_pair
from rhp.lab.ping import ping, reaches
from rhp.lab.process import wait_until
from rhp.lab.topology import cable
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.netns


@pytest.fixture
def nodes(lab):
    made = start_pair(lab, cable(lab), PairOptions(both_initiate=True))
    made.wait_established()
    return made


class Load:
    """A flood of pings beside the test, from node a to node b."""

    def __init__(self, nodes):
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(nodes,))

    def __enter__(self):
        self._thread.start()
        time.sleep(0.2)
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self, nodes):
        while not self._stop.is_set():
            ping(nodes.a.namespace, nodes.inner[1], count=50, interval=0.005, wait=0.2, size=1200)


def spi(node):
    return node.connection(CONNECTION)["children"][0]["spi_in"]


def talks(nodes):
    """Pings come back both ways; else the evidence of both ends."""
    ends = (nodes.a, nodes.inner[1]), (nodes.b, nodes.inner[0])
    if not all(reaches(node.namespace, address, tries=20) for node, address in ends):
        evidence = (f"{json.dumps(node.status())}\n{node.process.tail(40)}" for node, _ in ends)
        pytest.fail("no ping comes back\n" + "\n".join(evidence))
    return True


def test_orderly_restart_under_load_recovers(nodes):
    with Load(nodes):
        nodes.b.stop()
        nodes.b.start()
        nodes.wait_established(60)
    assert talks(nodes)
    assert "Traceback" not in nodes.a.process.text() + nodes.b.process.text()


def test_restart_after_sigkill_under_load_recovers(nodes):
    with Load(nodes):
        nodes.b.kill()
        assert nodes.b.process.status == -signal.SIGKILL
        nodes.b.start()
        nodes.b.wait_established(CONNECTION, 60)
    assert talks(nodes)
    assert Transfer(nodes.a.namespace, nodes.b.namespace, nodes.inner[1]).run(2_000_000)


def test_peer_that_went_is_called_again(lab):
    """Only node a initiates: when b says farewell and comes back later, a has to be the one who calls."""
    nodes = start_pair(lab, cable(lab))
    nodes.wait_established()
    nodes.b.stop()
    nodes.a.wait_connection(CONNECTION, lambda entry: entry["state"] != "established")
    nodes.b.start()
    nodes.a.wait_established(CONNECTION, 60)
    assert talks(nodes)


def test_killed_peer_is_noticed(lab):
    """Retransmission gives a silent peer up after 31.5 s, beyond the two seconds until DPD asks."""
    nodes = start_pair(lab, cable(lab), PairOptions(connection={"dpd_delay": 2}))
    nodes.wait_established()
    nodes.b.kill()
    nodes.a.wait_connection(CONNECTION, lambda entry: entry["state"] != "established", timeout=90)
    assert "ike closed" in nodes.a.process.text()
    nodes.b.start()
    nodes.a.wait_established(CONNECTION, 90)
    assert talks(nodes)


def test_down_says_farewell_and_takes_the_interface_away(nodes):
    nodes.a.down()
    assert nodes.a.process.status == 0
    assert TAP not in nodes.a.namespace.interfaces()
    assert "node stopped" in nodes.a.process.text()
    wait_until(lambda: "ike closed" in nodes.b.process.text(), 30, "b hearing the farewell")
    with pytest.raises(LabError, match="no node is running"):
        nodes.a.status()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_in_order(nodes, number):
    nodes.a.process.send(number)
    assert nodes.a.process.wait(30) == 0
    assert TAP not in nodes.a.namespace.interfaces()
    assert "Traceback" not in nodes.a.process.text()


def test_rekeys_lose_nothing_under_load(nodes):
    """Both sides rekey both kinds of SA in the middle of a transfer; every octet arrives all the same."""

    def rekeys():
        for node in (nodes.a, nodes.b):
            for rekey in (lambda each: each.rekey_child(CONNECTION, CHILD), lambda each: each.rekey_ike(CONNECTION)):
                before = spi(node), node.connection(CONNECTION)["ike_spi_i"]
                rekey(node)
                changed(node, before)
                time.sleep(0.1)

    def changed(node, before):
        def other(entry):
            return entry["children"] and (entry["children"][0]["spi_in"], entry["ike_spi_i"]) != before

        node.wait_connection(CONNECTION, other, 30)

    first = spi(nodes.a)
    assert Transfer(nodes.a.namespace, nodes.b.namespace, nodes.inner[1]).run(60_000_000, during=rekeys)
    assert spi(nodes.a) != first
    result = ping(nodes.a.namespace, nodes.inner[1], count=5)
    assert result.received == 5


def test_terminate_and_initiate(lab):
    """Only node a initiates: a b that did so as well would be back before anybody could see the connection down."""
    nodes = start_pair(lab, cable(lab))
    nodes.wait_established()
    nodes.a.terminate(CONNECTION)
    for node in (nodes.a, nodes.b):
        node.wait_connection(CONNECTION, lambda entry: entry["state"] != "established")
    nodes.a.initiate(CONNECTION)
    nodes.wait_established()
    assert talks(nodes)


def test_vanished_tap_is_noticed_and_the_node_goes_on(nodes):
    a = nodes.a.namespace
    a.ip(f"link delete {TAP}")
    wait_until(lambda: "tap lost" in nodes.a.process.text(), 30, "the node noticing")
    assert nodes.a.process.status is None
    assert nodes.a.connection(CONNECTION)["state"] == "established"
    wait_until(lambda: TAP in a.interfaces(), 30, "the node making its interface again")
    assert talks(nodes)
    assert "Traceback" not in nodes.a.process.text()


def test_tap_set_down_and_up_again(nodes):
    a = nodes.a.namespace
    a.ip(f"link set {TAP} down")
    ping(nodes.b.namespace, nodes.inner[0], count=3, wait=0.2)
    a.ip(f"link set {TAP} up")
    assert talks(nodes)
    assert nodes.a.process.status is None


def test_outer_link_down_for_a_moment(nodes):
    a = nodes.a.namespace
    a.ip("link set eth0 down")
    ping(a, nodes.inner[1], count=5, wait=0.2)
    a.ip("link set eth0 up")
    assert talks(nodes)
    assert "Traceback" not in nodes.a.process.text()
