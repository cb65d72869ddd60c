"""Single points of the protocol, each seen against strongSwan from the side that shows it."""

import time

import pytest

from rhp.lab.errors import CommandFailed
from rhp.lab.interop import SUITES, Matrix, Row
from rhp.lab.lab import Lab
from rhp.lab.meeting import CHILD, SECRET
from rhp.lab.nodeconf import tunnel
from rhp.lab.ping import ping
from rhp.lab.process import wait_until

pytestmark = pytest.mark.interop

GCM = SUITES[0]
TWO_GROUPS = "aes128gcm16-prfsha256-x25519-ecp256"
ONE_GROUP = "aes128gcm16-prfsha256-ecp256"
ESP_TWO_GROUPS = "aes128gcm16-x25519-ecp256"
ESP_ONE_GROUP = "aes128gcm16-ecp256"


def child(number, local=None, remote=None, esp="aes128gcm16"):
    local, remote = local or f"10.91.{number}.1/32", remote or f"10.92.{number}.1/32"
    return {CHILD: tunnel([local], [remote], esp_proposals=[esp])}


def wide(number):
    return child(number, f"10.91.{number}.0/24", "10.92.0.0/16")


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
    Row(11, "strongSwan", "PSK", GCM, theirs={"proposals": "aes256-sha512-modp2048"}),
    Row(12, "rhp", "PSK", GCM, their_child={"esp_proposals": "aes256-sha512"}),
    Row(13, "strongSwan", "PSK", GCM, their_child={"esp_proposals": "aes256-sha512"}),
    Row(14, "rhp", "PSK", GCM, their_child={"remote_ts": "10.99.0.0/24"}),
    Row(15, "strongSwan", "PSK", GCM, their_child={"remote_ts": "10.99.0.0/24"}),
    Row(
        16,
        "rhp",
        "PSK",
        GCM,
        ours={"children": child(16, esp=ESP_TWO_GROUPS)},
        their_child={"esp_proposals": ESP_ONE_GROUP},
    ),
    Row(
        17,
        "rhp",
        "PSK",
        GCM,
        ours={"children": child(17, esp=ESP_ONE_GROUP)},
        their_child={"esp_proposals": ESP_TWO_GROUPS},
    ),
    Row(18, "rhp", "PSK", GCM, version=6),
    Row(19, "strongSwan", "ECDSA", GCM, version=6),
    Row(20, "strongSwan", "PSK", GCM, theirs={"local": {"auth": "eap"}}),
)
BY_NUMBER = {row.number: row for row in ROWS}


class Details(Matrix):
    """The matrix with one more verb: what a test is about goes into the table."""

    def noted(self, feature, number, text):
        role = "initiator" if BY_NUMBER[number].initiator == "rhp" else "responder"
        return feature(text, role=role, peer=self.swan)

    def refused(self, number):
        """Have the row fail from its initiator's side; what rhp says of it."""
        row = BY_NUMBER[number]
        if row.initiator == "rhp":
            self.node.initiate(row.name)
        else:
            with pytest.raises(CommandFailed):
                self.swan.initiate(row.name)
        return self.node.wait_connection(row.name, lambda entry: entry["last_error"])["last_error"].lower()


@pytest.fixture(scope="module")
def world(programs):
    with Lab() as lab:
        made = Details(lab, ROWS, programs)
        yield made
        assert "Traceback" not in made.node.process.text()
        assert SECRET not in made.node.process.text()


@pytest.mark.parametrize("number", [1, 2])
def test_another_key_exchange_is_asked_for(feature, world, number):
    """INVALID_KE_PAYLOAD: the initiator guesses x25519 and is told to use ecp256."""
    row = BY_NUMBER[number]
    with world.noted(feature, number, "INVALID_KE_PAYLOAD in IKE_SA_INIT"):
        world.establish(row)
        assert world.node.connection(row.name)["suite"] == ONE_GROUP
        world.node.terminate(row.name)


@pytest.mark.parametrize(("number", "role"), [(16, "initiator"), (17, "responder")])
def test_another_key_exchange_is_asked_for_in_a_rekey(feature, world, number, role):
    """The first Child SA has no key exchange of its own, so it is the rekey that guesses."""
    met = world.meeting(BY_NUMBER[number])
    with feature("INVALID_KE_PAYLOAD in a rekey of the Child SA", role=role, peer=world.swan):
        met.establish("rhp")
        ours, theirs = met.rekeys()[:2]
        met.rekey(ours[0] if role == "initiator" else theirs[0], ike=False)
        assert met.entry()["children"][0]["suite"].startswith(ESP_ONE_GROUP)
        world.node.terminate(met.name)


@pytest.mark.parametrize("number", [3, 4])
def test_selectors_are_narrowed_to_what_both_want(feature, world, number):
    row = BY_NUMBER[number]
    with world.noted(feature, number, "traffic selectors narrowed"):
        world.establish(row)
        seen = world.swan.sas(row.name)[0]
        assert seen.established
        world.node.terminate(row.name)


def test_liveness_checks_are_answered(feature, world):
    row = BY_NUMBER[5]
    with world.noted(feature, 5, "liveness checks answered"):
        world.establish(row)
        before = world.swan.sas(row.name)[0].spi_i
        time.sleep(3)
        assert world.swan.sas(row.name)[0].spi_i == before
        world.agree(row)
        world.node.terminate(row.name)


@pytest.mark.parametrize("number", [6, 7])
def test_wrong_psk(feature, world, number):
    with world.noted(feature, number, "AUTHENTICATION_FAILED told and understood"):
        said = world.refused(number)
        assert "authentication failed" in said
        assert "swan.example.org" in said
        wait_until(lambda: not world.swan.sas(BY_NUMBER[number].name), 30, "strongSwan having nothing")


def test_eap_is_refused(feature, world):
    """A first IKE_AUTH without AUTH asks for EAP (RFC 7296 section 2.16), which is not here."""
    with world.noted(feature, 20, "EAP asked for and refused"):
        assert "authentication failed" in world.refused(20)
        wait_until(lambda: not world.swan.sas(BY_NUMBER[20].name), 30, "strongSwan having nothing")


@pytest.mark.parametrize("number", [8, 11])
def test_no_common_proposal(feature, world, number):
    row = BY_NUMBER[number]
    with world.noted(feature, number, "NO_PROPOSAL_CHOSEN told and understood"):
        if row.initiator == "rhp":
            assert "no-proposal-chosen" in world.refused(number)
        else:
            # Before it has said who it is, a stranger belongs to no connection.
            with pytest.raises(CommandFailed, match="NO_PROPOSAL_CHOSEN"):
                world.swan.initiate(row.name)
            assert world.node.connection(row.name)["last_error"] is None
            assert "the peer offers aes256-sha512-prfsha512-modp2048; configured is" in world.node.process.text()
        wait_until(lambda: not world.swan.sas(row.name), 30, "strongSwan having nothing")


@pytest.mark.parametrize(("number", "said"), [(12, "no-proposal-chosen"), (13, "the peer offers aes256-sha512-noesn")])
def test_no_common_proposal_for_the_child(feature, world, number, said):
    with world.noted(feature, number, "NO_PROPOSAL_CHOSEN for the first Child SA"):
        assert said in world.refused(number)
        assert world.node.connection(BY_NUMBER[number].name)["children"] == []


@pytest.mark.parametrize(("number", "said"), [(14, "ts-unacceptable"), (15, "no child carries what the peer asks for")])
def test_no_common_selectors(feature, world, number, said):
    with world.noted(feature, number, "TS_UNACCEPTABLE for the first Child SA"):
        assert said in world.refused(number)
        assert world.node.connection(BY_NUMBER[number].name)["children"] == []


def test_a_child_is_deleted_alone_and_made_anew_by_either_side(feature, world):
    met = world.meeting(BY_NUMBER[9])
    with feature("Child SA deleted alone and made anew", role="both", peer=world.swan):
        met.establish("rhp")
        ike = met.entry()["ike_spi_i"]
        for delete in (
            lambda: world.node.terminate_child(met.name, CHILD),
            lambda: world.swan.terminate_child(met.name),
        ):
            delete()
            wait_until(lambda: not met.entry()["children"], 30, "rhp having no child")
            wait_until(lambda: not world.swan.sas(met.name)[0].children, 30, "strongSwan having no child")
            assert ping(world.node.namespace, met.inner[1], count=1, wait=0.1, source=met.inner[0]).received == 0
            world.swan.initiate(met.name)
            met.agree()
            assert met.entry()["ike_spi_i"] == ike
        world.node.terminate(met.name)


def test_certificates_are_sent_without_being_asked_for(feature, world):
    with world.noted(feature, 10, "certificates sent and taken without CERTREQ"):
        world.establish(BY_NUMBER[10])
        world.node.terminate(BY_NUMBER[10].name)


@pytest.mark.parametrize("number", [18, 19])
def test_ipv6_outside(feature, world, number):
    row = BY_NUMBER[number]
    with world.noted(feature, number, "IPv6 outer addresses: a whole life"):
        for act in world.steps(row).values():
            act()
