"""Proofs of every kind against strongSwan: one end by key and the other by certificate, a PPK beside them, and anew.

strongSwan has no NULL authentication (RFC 7619), so that is shown between two engines only.
"""

import threading

import pytest

from rhp.lab.errors import CommandFailed
from rhp.lab.interop import SUITES, Matrix, Row
from rhp.lab.lab import Lab
from rhp.lab.meeting import OURS, SECRET, THEIRS, Meeting, meet
from rhp.lab.ping import ping
from rhp.lab.process import wait_until
from rhp.lab.topology import cable

pytestmark = pytest.mark.interop

PPK, OTHER_PPK = "0x" + bytes(range(32)).hex(), "0x" + bytes(range(32, 64)).hex()
ROLES = {"rhp": "initiator", "strongSwan": "responder"}


def shared(number):
    """The pre-shared key among strongSwan's secrets."""
    return {"secrets": {f"ike-row{number}": {"id-1": THEIRS, "id-2": OURS, "secret": f'"{SECRET}"'}}}


def ppk_of(number, key=PPK, name="one"):
    return {"secrets": {f"ppk-{number}": {"id": name, "secret": key}}}


def mixed_rows():
    """(what it is, the row): each end proves itself in its own way."""
    number = 0
    for who in ROLES:
        for what, ours, theirs in (
            (
                "rhp by key, strongSwan by certificate",
                {"psk": SECRET, "local": {"id": OURS}},
                {"remote": {"auth": "psk", "cacerts": ""}},
            ),
            (
                "rhp by certificate, strongSwan by key",
                {"psk": SECRET, "remote": {"id": THEIRS, "auth": "psk"}},
                {"local": {"auth": "psk", "certs": ""}},
            ),
        ):
            number += 1
            yield what, Row(number, who, "ECDSA", SUITES[0], ours=ours, theirs=theirs, more=shared(number))


NEEDS, MAY = {"ppk_id": "one", "ppk": PPK}, {"ppk_id": "one", "ppk": PPK, "ppk_required": False}
# (what it is, rhp's settings, strongSwan's, strongSwan's key and its name, how it ends)
PPKS = (
    ("a PPK that both need", NEEDS, {"ppk_id": "one", "ppk_required": True}, (PPK, "one"), "used"),
    ("a PPK that both may use", MAY, {"ppk_id": "one"}, (PPK, "one"), "used"),
    ("no PPK at strongSwan, where rhp may do without", MAY, {}, None, "left out"),
    ("no PPK at rhp, where strongSwan may do without", {}, {"ppk_id": "one"}, (PPK, "one"), "left out"),
    # strongSwan takes no other name than its own, although RFC 8784 section 3 would have it fall back to NO_PPK_AUTH.
    ("another PPK name, where both may do without", MAY, {"ppk_id": "two"}, (PPK, "two"), "left out by rhp"),
    ("no PPK at strongSwan, where rhp needs one", NEEDS, {}, None, "refused"),
    ("no PPK at rhp, where strongSwan needs one", {}, {"ppk_id": "one", "ppk_required": True}, (PPK, "one"), "refused"),
    ("another PPK under the same name", MAY, {"ppk_id": "one"}, (OTHER_PPK, "one"), "refused"),
)


def ppk_rows():
    number = 0
    for who in ROLES:
        for what, ours, theirs, secret, ends in PPKS:
            number += 1
            end = ends if ends != "left out by rhp" else {"rhp": "refused", "strongSwan": "left out"}[who]
            more = ppk_of(number, *secret) if secret is not None else {}
            yield what, end, Row(number, who, "PSK", SUITES[0], ours=ours, theirs=theirs, more=more)


MIXED, WITH_PPK = tuple(mixed_rows()), tuple(ppk_rows())


@pytest.fixture(scope="module")
def mixed(programs):
    with Lab() as lab:
        yield Matrix(lab, tuple(row for _, row in MIXED), programs)


@pytest.mark.parametrize(("what", "row"), MIXED, ids=[f"{row.initiator} calls, {what}" for what, row in MIXED])
def test_each_end_in_its_own_way(mixed, feature, what, row):
    with feature(what, role=ROLES[row.initiator], peer=mixed.swan):
        mixed.establish(row)
        met = mixed.meeting(row)
        for act, ike in met.rekeys():
            met.rekey(act, ike=ike)
        met.delete(lambda: mixed.node.terminate(row.name))


@pytest.mark.parametrize(
    ("what", "end", "row"), WITH_PPK, ids=[f"{row.initiator} calls, {what}" for what, _, row in WITH_PPK]
)
def test_ppk(programs, feature, what, end, row):
    """A charon gives any connection any of its PPKs, so each row has a charon of its own."""
    with Lab() as lab:
        world = Matrix(lab, (row,), programs)
        with feature(what, role=ROLES[row.initiator], peer=world.swan):
            if end == "refused":
                refused(world, row)
                return
            world.establish(row)
            assert world.node.connection(row.name)["ppk"] is (end == "used")
            met = world.meeting(row)
            for act, ike in met.rekeys():
                met.rekey(act, ike=ike)
            assert world.node.connection(row.name)["ppk"] is (end == "used")
            assert PPK not in world.node.process.text()


def refused(world, row):
    """Nobody gets in, and rhp says why."""
    if row.initiator == "rhp":
        world.node.initiate(row.name)
    else:
        with pytest.raises(CommandFailed):
            world.swan.initiate(row.name)
    if "ppk" not in row.ours and row.initiator == "strongSwan":
        # It sees in the answer to IKE_SA_INIT that rhp has none, and never says who it is.
        entry = world.node.connection(row.name)
    else:
        entry = world.node.wait_connection(row.name, lambda entry: entry["last_error"])
        assert "authentication failed" in entry["last_error"].lower()
    assert entry["children"] == []
    wait_until(lambda: not any(sa.established for sa in world.swan.sas(row.name)), 30, "strongSwan having nothing")


LENT = "10.93.0.1"


def test_renewed_because_strongswan_asks_for_it(programs, feature):
    """strongSwan says AUTH_LIFETIME (RFC 4478), as it does where it has lent an address and so cannot call itself.

    rhp renews the IKE SA in time, keeps the address, and no ping is lost.
    """
    with Lab() as lab:
        near = {"lan": {"mode": "tunnel", "remote_ts": ["10.92.1.1/32"], "esp_proposals": ["aes128gcm16"]}}
        theirs = {"reauth_time": "16s", "over_time": "60s", "rand_time": "0s", "pools": ["lent"]}
        far, more = {"remote_ts": "dynamic"}, {"pools": {"lent": {"addrs": f"{LENT}/32"}}}
        row = Row(1, "rhp", "PSK", SUITES[0], {"request_addresses": True, "children": near}, theirs, far, more)
        world = Matrix(lab, (row,), programs)
        met = Meeting(world.node, world.swan, row.name, (LENT, row.inner(2)))
        with feature("reauthentication asked for by AUTH_LIFETIME", role="initiator", peer=met.swan):
            world.node.initiate(row.name)
            world.node.wait_established(row.name)
            renewed(met, 17)
            assert met.entry()["assigned"]["addresses"] == [f"{LENT}/32"]


def test_renewed_by_rhp(programs, feature):
    """rhp has both ends prove themselves anew, make before break; strongSwan sees a second IKE SA, and the first go."""
    with Lab() as lab:
        met = meet(lab, cable(lab), programs)
        with feature("reauthentication, make before break", role="initiator", peer=met.swan):
            met.establish("rhp")
            renewed(met, 2, lambda: met.node.reauthenticate(met.name))


def test_renewed_by_strongswan(programs, feature):
    """strongSwan calls and renews by itself, make before break: rhp knows it for the same peer."""
    with Lab() as lab:
        theirs = {"reauth_time": "4s", "over_time": "60s", "rand_time": "0s"}
        met = meet(lab, cable(lab), programs, theirs=theirs, settings={"make_before_break": True})
        with feature("reauthentication, make before break", role="responder", peer=met.swan):
            met.establish("strongSwan")
            renewed(met, 8)


def renewed(met, seconds, act=None):
    """Within that time another IKE SA takes over, by `act` after a second or by itself, and all pings come back."""
    before, (ours, theirs) = met.entry()["ike_spi_i"], met.inner
    timer = threading.Timer(1.0, act or (lambda: None))
    timer.start()
    result = ping(met.node.namespace, theirs, count=seconds * 10, interval=0.1, source=ours)
    timer.join()
    assert result.received == result.sent
    wait_until(lambda: met.entry()["ike_spi_i"] != before, 30, "another IKE SA")
    assert "ike reauthenticated" in met.node.process.text()
    assert "ike closed" not in met.node.process.text()
    met.agree()
