"""A transfer that lasts: it outlives a cut cable, goes on where it was, and a wrong octet is found."""

import socket
import time
from contextlib import suppress

import pytest

from rhp.lab.errors import LabError
from rhp.lab.lasting import LastingTransfer
from rhp.lab.process import wait_until
from rhp.lab.topology import PORT, cable, outer

pytestmark = pytest.mark.netns

SOME = 1 << 17


@pytest.fixture
def hosts(lab):
    return cable(lab)


@pytest.fixture
def patience(monkeypatch):
    """A sender that keeps to its connection for longer than a cut is likely to last, however busy the machine is."""
    monkeypatch.setattr("rhp.lab.lasting.PATIENCE", 10.0)


@pytest.fixture
def transfer(lab, hosts):
    made = lab.keep(LastingTransfer(*hosts, outer(2)))
    made.progress(SOME, 30)
    return made


@pytest.mark.usefixtures("patience")
def test_it_goes_on_over_the_same_connection_after_a_moment(transfer, hosts):
    hosts[0].ip(f"link set {PORT} down", f"link set {PORT} up")
    transfer.progress(SOME, 30)
    assert transfer.connections == 1
    assert transfer.verify() >= 2 * SOME


def test_on_another_connection_it_begins_where_it_was(transfer, hosts):
    hosts[0].ip(f"link set {PORT} down")
    wait_until(lambda: transfer.tries > 1, 60, "the first connection being given up")
    hosts[0].ip(f"link set {PORT} up")
    wait_until(lambda: transfer.connections > 1, 60, "another connection")
    transfer.progress(SOME, 30)
    before = transfer.verify()
    assert before >= 2 * SOME
    # It flows on meanwhile, and what was compared already is not compared again.
    assert transfer.verify() >= before


def test_what_does_not_belong_to_it_is_found(transfer, hosts):
    assert transfer.verify()

    def damaged():
        """A stranger says something; the transfer's own next connection may come before it is read."""
        with suppress(ConnectionError), hosts[0].socket(socket.AF_INET, socket.SOCK_STREAM) as stranger:
            stranger.connect((outer(2), transfer.port))
            stranger.sendall(b"not of this stream")
            time.sleep(0.05)
        try:
            transfer.verify()
        except LabError as error:
            return str(error)
        return None

    said = wait_until(damaged, 30, "the damage being found")
    assert said.startswith(f"the transfer to {outer(2)} is damaged within its first")
