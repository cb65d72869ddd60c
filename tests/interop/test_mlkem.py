"""X25519 and ML-KEM together (RFC 9370) with a strongSwan that can do it: both roles, rekeys of both kinds."""

import pytest

from rhp.lab.lab import Lab
from rhp.lab.meeting import CHILD, INNER, meet
from rhp.lab.nodeconf import tunnel
from rhp.lab.topology import cable

pytestmark = pytest.mark.interop

HYBRID = "aes128gcm16-prfsha256-x25519-ke1_mlkem768"
STRONGER = "aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke2_mlkem1024"
CLASSICAL = "aes128gcm16-prfsha256-x25519"
INITIATORS = pytest.mark.parametrize("initiator", ["rhp", "strongSwan"])


def met(lab, programs, ike, esp, ours=None):
    """A meeting where both sides have these proposals, or rhp the defaults."""
    near, far = (f"{address}/32" for address in INNER)
    child = tunnel([near], [far], **({"esp_proposals": [esp]} if esp else {}))
    known = {"proposals": [ike], "children": {CHILD: child}} if ours is None else ours
    their_child = {"esp_proposals": esp} if esp else {}
    return meet(lab, cable(lab), programs, ours=known, theirs={"proposals": ike}, their_child=their_child)


def check_suite(world, ike):
    """Both ends have made the additional key exchanges."""
    assert world.entry()["suite"] == ike
    theirs = world.theirs().suite
    for number, size in (("1", "768"), ("2", "1024")):
        assert (f"KE{number}_ML_KEM_{size}" in theirs) == (f"ke{number}_mlkem{size}" in ike), theirs


@INITIATORS
@pytest.mark.parametrize("ike", [HYBRID, STRONGER], ids=["ML-KEM-768", "ML-KEM-768 and 1024"])
def test_a_life_with_ml_kem(feature, newest, ike, initiator):
    """Rekeys make all key exchanges again: IKE_FOLLOWUP_KE (RFC 9370 section 2.2.4)."""
    esp = "aes128gcm16-x25519-ke1_mlkem768"
    name = "X25519 and " + ("ML-KEM-768" if ike == HYBRID else "ML-KEM-768 and ML-KEM-1024")
    with Lab() as lab:
        world = met(lab, newest, ike, esp)
        role = "initiator" if initiator == "rhp" else "responder"
        with feature(f"{name}, handshake", role=role, peer=world.swan):
            world.establish(initiator)
            check_suite(world, ike)
        with feature(f"{name}, rekeys of both kinds", role="both", peer=world.swan):
            for act, is_ike in world.rekeys():
                world.rekey(act, ike=is_ike)
                check_suite(world, ike)
                if not is_ike:
                    assert "ke1_mlkem768" in world.entry()["children"][0]["suite"]
        world.delete(lambda: world.node.terminate(world.name))


@INITIATORS
def test_the_default_falls_back(feature, programs, initiator):
    """rhp offers and prefers ML-KEM; a strongSwan that is not to use it gets X25519 alone."""
    near, far = (f"{address}/32" for address in INNER)
    with Lab() as lab:
        ours = {"proposals": [HYBRID, CLASSICAL], "children": {CHILD: tunnel([near], [far])}}
        world = met(lab, programs, CLASSICAL, "aes128gcm16-x25519", ours)
        role = "initiator" if initiator == "rhp" else "responder"
        with feature("ML-KEM offered, X25519 alone taken", role=role, peer=world.swan):
            world.establish(initiator)
            check_suite(world, CLASSICAL)
            for act, is_ike in world.rekeys():
                world.rekey(act, ike=is_ike)
        world.delete(lambda: world.swan.terminate(world.name))
