"""Cookies (RFC 7296 section 2.6), forced on each side by strangers who begin and never go on."""

import pytest
from interop_strangers import crowd, knock

from rhp.lab.lab import Lab
from rhp.lab.meeting import meet
from rhp.lab.process import wait_until
from rhp.lab.topology import outer, switch

pytestmark = pytest.mark.interop

THRESHOLD, RATE = 300, 80
"""Half-open IKE SAs that rhp has without cookies, and less than the first messages a second that it hears so."""
NET = "192.0.2.0/24"


@pytest.fixture(scope="module")
def world(programs):
    with Lab() as lab:
        a, b, stranger = switch(lab, ("a", "b", "x"))
        settings = {"cookie_threshold": 1, "cookie_threshold_ip": 0, "block_threshold": 0}
        # Who has no connection is refused at once and is never half-open.
        met = meet(
            lab,
            (a, b),
            programs,
            ours={"remote_addrs": [outer(2), NET]},
            theirs={"remote_addrs": [outer(1), NET]},
            settings=settings,
        )
        yield met, stranger


def counted(met):
    return met.node.status()["counters"]["engine"]


def test_strongswan_asks_for_a_cookie(feature, world):
    met, stranger = world
    with feature("cookies, asked for by strongSwan", role="initiator", peer=met.swan):
        knock(stranger, outer(2), 2)
        wait_until(lambda: "CONNECTING" in met.swan.listing(), 30, "strongSwan having a half-open IKE SA")
        met.establish("rhp")
        assert counted(met)["init-restarted"] == 1
        met.delete(lambda: met.node.terminate(met.name))


def test_rhp_asks_for_a_cookie(feature, world):
    """Slowly enough that all of them are heard, strangers make as many half-open IKE SAs as rhp has without cookies."""
    met, stranger = world
    with feature("cookies, asked for by rhp", role="responder", peer=met.swan):
        with crowd(stranger, outer(1), RATE):
            wait_until(lambda: len(met.node.status()["ike_sas"]) >= THRESHOLD, 30, "rhp having many half-open IKE SAs")
        met.establish("strongSwan")
        assert "parsed IKE_SA_INIT response 0 [ N(COOKIE) ]" in met.swan.log.read_text()
        met.delete(lambda: met.swan.terminate(met.name))
