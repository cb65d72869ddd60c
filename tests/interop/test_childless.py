"""Childless initiation (RFC 6023) with strongSwan, in both roles: the IKE SA first, its child by CREATE_CHILD_SA."""

import re
from dataclasses import replace

import pytest

from rhp.lab.interop import SUITES, Matrix, Row
from rhp.lab.lab import Lab
from rhp.lab.meeting import CHILD
from rhp.lab.process import wait_until

pytestmark = pytest.mark.interop

SUITE = replace(SUITES[0], esp="aes128gcm16-x25519")
ALONE = "childless IKE SA, then a child with its own key exchange"

ROWS = (
    Row(1, "rhp", "PSK", SUITE, ours={"childless": "prefer"}),
    Row(2, "rhp", "PSK", SUITE, ours={"childless": "force"}, theirs={"childless": "force"}),
    Row(3, "strongSwan", "PSK", SUITE, theirs={"childless": "force"}),
    Row(4, "strongSwan", "PSK", SUITE, ours={"childless": "force"}, theirs={"childless": "force"}),
    Row(5, "rhp", "PSK", SUITE, ours={"childless": "prefer"}, theirs={"childless": "never"}),
    Row(6, "rhp", "PSK", SUITE, ours={"childless": "force"}, theirs={"childless": "never"}),
    Row(7, "strongSwan", "PSK", SUITE, theirs={"childless": "allow"}),
)


@pytest.fixture(scope="module")
def world(programs):
    with Lab() as lab:
        made = Matrix(lab, ROWS, programs)
        yield made
        assert "Traceback" not in made.node.process.text()


def role(row):
    return "initiator" if row.initiator == "rhp" else "responder"


def written(world):
    """How long charon's log is."""
    return len(world.swan.log.read_text(errors="replace"))


def exchanges(world, since):
    """What charon says that it read or wrote since then: exchange and payloads, in order."""
    text = world.swan.log.read_text(errors="replace")[since:]
    return re.findall(r"> (?:parsed|generating) (\S+) (?:request|response) \d+ \[ (.*?) \]", text)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_first_child_has_a_key_exchange_of_its_own(feature, world, number):
    row = ROWS[number - 1]
    with feature(ALONE, role=role(row), peer=world.swan):
        before = written(world)
        world.establish(row)
        seen = exchanges(world, before)
        auth = [payloads.split() for exchange, payloads in seen if exchange == "IKE_AUTH"]
        made = [payloads.split() for exchange, payloads in seen if exchange == "CREATE_CHILD_SA"]
        assert len(auth) == len(made) == 2, seen
        assert not any("SA" in payloads for payloads in auth)
        assert all({"SA", "KE"} <= set(payloads) for payloads in made)
        assert "x25519" in world.node.connection(row.name)["children"][0]["suite"]
    world.node.terminate(row.name)


@pytest.mark.parametrize("number", [5, 7])
def test_child_rides_on_ike_auth_where_one_side_does_not_want_it(world, number):
    row, before = ROWS[number - 1], written(world)
    world.establish(row)
    assert "CREATE_CHILD_SA" not in [exchange for exchange, _ in exchanges(world, before)]
    world.node.terminate(row.name)


def test_forced_where_strongswan_never_does(world):
    row = ROWS[5]
    world.node.initiate(row.name)
    entry = world.node.wait_connection(row.name, lambda entry: entry["last_error"])
    assert "without a child" in entry["last_error"]
    wait_until(lambda: not world.swan.sas(row.name), 30, "strongSwan having nothing")


def test_children_come_and_go_on_a_childless_ike_sa(world):
    row = ROWS[0]
    world.establish(row)
    ike = world.node.connection(row.name)["ike_spi_i"]
    world.node.terminate_child(row.name, CHILD)
    world.node.wait_connection(row.name, lambda entry: not entry["children"])
    wait_until(world.meeting(row).same_children, 30, "strongSwan having no child either")
    world.swan.initiate(row.name)
    world.meeting(row).agree()
    assert world.node.connection(row.name)["ike_spi_i"] == ike
    world.node.terminate(row.name)
