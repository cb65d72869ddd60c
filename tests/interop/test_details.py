"""Single points of the protocol, each seen against strongSwan from the side that shows it."""

import time

import pytest

from rhp.lab.errors import CommandFailed
from rhp.lab.interop import CHILD, SECRET, SUITES, Matrix, Row
from rhp.lab.lab import Lab
from rhp.lab.nodeconf import tunnel
from rhp.lab.ping import ping
from rhp.lab.process import wait_until

pytestmark = pytest.mark.interop

GCM = SUITES[0]
TWO_GROUPS = "aes128gcm16-prfsha256-x25519-ecp256"
ONE_GROUP = "aes128gcm16-prfsha256-ecp256"


def wide(number):
    return {CHILD: tunnel([f"10.91.{number}.0/24"], ["10.92.0.0/16"], esp_proposals=["aes128gcm16"])}


ROWS = (
    Row(1, "rhp", "PSK", GCM, ours={"proposals": [TWO_GROUPS]}, theirs={"proposals": ONE_GROUP}),
    Row(2, "strongSwan", "PSK", GCM, ours={"proposals": [ONE_GROUP]}, theirs={"proposals": TWO_GROUPS}),
    Row(3, "rhp", "PSK", GCM, ours={"children": wide(3)}),
    Row(4, "strongSwan", "PSK", GCM, ours={"children": wide(4)}),
    Row(5, "strongSwan", "PSK", GCM, theirs={"dpd_delay": "1s", "mobike": True, "encap": True}),
    Row(6, "rhp", "PSK", GCM, ours={"psk": "quite another secret"}),
    Row(7, "strongSwan", "PSK", GCM, ours={"psk": "quite another secret"}),
    Row(8, "rhp", "PSK", GCM, theirs={"proposals": "aes256-sha512-modp2048"}),
    Row(9, "rhp", "PSK", GCM),
    Row(10, "rhp", "ECDSA", GCM, theirs={"send_cert": "always", "send_certreq": False}),
)


@pytest.fixture(scope="module")
def world():
    with Lab() as lab:
        yield Matrix(lab, ROWS)


def row(number):
    return ROWS[number - 1]


@pytest.mark.parametrize("number", [1, 2])
def test_another_key_exchange_is_asked_for(world, number):
    """INVALID_KE_PAYLOAD: the initiator guesses x25519 and is told to use ecp256."""
    world.establish(row(number))
    assert world.node.connection(row(number).name)["suite"] == ONE_GROUP
    world.node.terminate(row(number).name)


@pytest.mark.parametrize("number", [3, 4])
def test_selectors_are_narrowed_to_what_both_want(world, number):
    world.establish(row(number))
    seen = world.swan.sas(row(number).name)[0]
    assert seen.established
    world.node.terminate(row(number).name)


def test_liveness_checks_are_answered(world):
    world.establish(row(5))
    before = world.swan.sas(row(5).name)[0].spi_i
    time.sleep(3)
    assert world.swan.sas(row(5).name)[0].spi_i == before
    world.agree(row(5))
    world.node.terminate(row(5).name)


def test_wrong_psk_when_rhp_initiates(world):
    world.node.initiate(row(6).name)
    entry = world.node.wait_connection(row(6).name, lambda entry: entry["last_error"])
    assert "authentication failed" in entry["last_error"].lower()
    assert "swan.example.org" in entry["last_error"]
    assert world.swan.sas(row(6).name) == []


def test_wrong_psk_when_strongswan_initiates(world):
    with pytest.raises(CommandFailed, match="AUTHENTICATION_FAILED"):
        world.swan.initiate(row(7).name)
    entry = world.node.wait_connection(row(7).name, lambda entry: entry["last_error"])
    assert "authentication failed" in entry["last_error"].lower()
    assert "swan.example.org" in entry["last_error"]
    assert SECRET not in world.node.process.text()


def test_no_common_proposal_is_told(world):
    world.node.initiate(row(8).name)
    entry = world.node.wait_connection(row(8).name, lambda entry: entry["last_error"])
    assert "proposal" in entry["last_error"].lower()


def test_a_child_is_deleted_alone_and_made_anew_by_either_side(world):
    one = row(9)
    world.establish(one)
    ike = world.node.connection(one.name)["ike_spi_i"]
    for delete, create in (
        (lambda: world.node.terminate_child(one.name, CHILD), lambda: world.swan.initiate(one.name)),
        (lambda: world.swan.terminate_child(one.name), lambda: world.swan.initiate(one.name)),
    ):
        delete()
        wait_until(lambda: not world.node.connection(one.name)["children"], 5, "rhp having no child")
        wait_until(lambda: not world.swan.sas(one.name)[0].children, 8, "strongSwan having no child")
        assert ping(world.node.namespace, one.inner(2), count=1, wait=0.1, source=one.inner(1)).received == 0
        create()
        world.agree(one)
        assert world.node.connection(one.name)["ike_spi_i"] == ike
    world.node.terminate(one.name)


def test_certificates_are_sent_without_being_asked_for(world):
    world.establish(row(10))
    world.node.terminate(row(10).name)
