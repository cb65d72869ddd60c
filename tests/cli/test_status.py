"""`rhp status`: its tables and its JSON."""

import json
from datetime import UTC, datetime

import pytest
from picture import IKE, OF_LANE_1, PICTURE

from rhp.cli.status import lines
from rhp.cli.table import render


def test_status_as_a_table(rhp, folder, answering):
    result = rhp("status", "-c", folder / "rhp.toml")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == "node running for 2h02m, process 42, rhp 0.1.0 with OpenSSL 3.5.7"
    assert lines[1] == "interface rhp0: 10.77.0.1/24, mtu 1422, 02:00:00:00:00:01"
    assert lines[3].split() == ["CONNECTION", "STATE", "PEER", "ADDRESS", "AGE", "REKEY", "IN", "SUITE"]
    assert "1d01h" in lines[4]
    assert "\x1b" not in result.output
    assert (
        "office/ethernet  ethernet  UDP   1422  1.2 MB    12 B  1m01s  50m00s    aes128gcm16-esn  0000a001  0000b001"
        in result.output
    )
    assert "branch: authentication failed: c.example.org: " in result.output
    assert "next try in 4s" in result.output
    # The half-open SA that belongs to no connection yet has a line as well.
    assert [line.split()[:2] for line in lines[4:7]] == [
        ["office", "established"],
        ["branch", "failed"],
        ["-", "connecting"],
    ]
    assert all(line == line.rstrip() for line in lines)


def test_a_failure_is_told_by_its_age_and_its_reason_comes_last(rhp, folder, answering):
    line = next(line for line in rhp("status", "-c", folder / "rhp.toml").output.splitlines() if " ago " in line)
    assert line.split()[1:5] == ["ago", "3", "authentication", "failed"]
    assert line.endswith("the pre-shared key of c.example.org is not ours")


def test_on_a_narrow_terminal_rows_go_over_several_lines():
    words = ("the pre-shared key of c.example.org is not ours", "branch: authentication failed")
    now = datetime(2026, 3, 1, 12, 1, tzinfo=UTC)
    shown = list(lines(PICTURE, now, 80))
    assert max(len(line) for line in shown if not any(word in line for word in words)) <= 80
    told = " ".join(" ".join(shown).split())
    for line in lines(PICTURE, now):
        assert all(word in told for word in line.split())
    (at,) = [at for at, line in enumerate(shown) if line.startswith("office/ethernet")]
    assert shown[at - 2].startswith("CHILD")
    assert shown[at - 1].startswith("  ")
    assert shown[at + 1].startswith("  ")


def test_a_column_of_its_own_is_never_folded_away():
    assert render(("A", "B"), [("x" * 20, "y" * 20)], 10) == ["A", "  B", "x" * 20, "  " + "y" * 20]
    assert render(("A", "B"), [(1, 2)], 4) == ["A  B", "1  2"]
    assert render(("A", "B"), [(1, 2)], 3) == ["A", "  B", "1", "  2"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"up": False}, "interface rhp0: 10.77.0.1/24, it is down, mtu 1422"),
        ({"addresses": [], "bridge": "br0"}, "interface rhp0: in bridge br0, mtu 1422"),
        ({"addresses": []}, "interface rhp0: no address, mtu 1422"),
    ],
)
def test_the_state_of_the_interface_is_told(rhp, folder, answering, monkeypatch, change, words):
    monkeypatch.setitem(PICTURE, "interface", {**PICTURE["interface"], **change})
    assert words in rhp("status", "-c", folder / "rhp.toml").output


@pytest.mark.parametrize(
    ("isolate", "words"),
    [
        (False, "hub guests: interface guests0, in bridge br1, mtu 1422, 02:00:00:00:00:02, 3 tunnels"),
        (True, "02:00:00:00:00:02, 3 tunnels, peers kept apart"),
    ],
)
def test_further_hubs_are_told(rhp, folder, answering, monkeypatch, isolate, words):
    interface = {**PICTURE["interface"], "name": "guests0", "bridge": "br1", "mac": "02:00:00:00:00:02"}
    guests = {"name": "guests", "interface": interface, "ports": 3, "isolate": isolate}
    monkeypatch.setitem(PICTURE, "hubs", [*PICTURE["hubs"], guests])
    lines = rhp("status", "-c", folder / "rhp.toml").output.splitlines()
    assert lines[2].endswith(words)


def test_status_as_json(rhp, folder, answering):
    result = rhp("status", "-o", "json", "-c", folder / "rhp.toml")
    assert json.loads(result.output) == PICTURE
    assert answering == [("status", {})]


def test_a_pair_for_one_lane_is_shown_with_the_lanes_alone(rhp, folder, answering, monkeypatch):
    assert OF_LANE_1["spi_in"] not in rhp("status", "-c", folder / "rhp.toml").output
    # Unless it is all that is left of the child.
    alone = {**IKE, "children": [OF_LANE_1]}
    monkeypatch.setitem(PICTURE, "ike_sas", [alone])
    assert OF_LANE_1["spi_in"] in rhp("status", "-c", folder / "rhp.toml").output


def test_the_lanes_as_a_table(rhp, folder, answering):
    result = rhp("status", "--lanes", "-c", folder / "rhp.toml")
    assert result.exit_code == 0, result.output
    shown = result.output.splitlines()
    assert shown[0] == "2 lanes, chosen by flow"
    assert shown[2].startswith("LANE  CPU  CPU TIME  FRAMES IN  FRAMES OUT  SUPER IN  SUPER OUT  OCTETS IN")
    assert shown[3].split()[:9] == ["0", "3", "1m01s", "70", "71", "60", "61", "3.0", "MB"]
    assert shown[3].split()[-6:] == ["42.0", "-", "55", "40", "33", "7"]
    assert shown[4].split()[:3] == ["1", "any", "1m01s"]
    # The most frequent reason first, and none that never was.
    at = shown.index("LANE  DROPPED  WHY")
    assert [line.split() for line in shown[at + 1 : at + 4]] == [
        ["0", "5", "auth-failed"],
        ["0", "2", "hub-isolated"],
        [],
    ]
    assert [line.split() for line in shown if line.startswith("office/ethernet")] == [
        ["office/ethernet", "0", "1.2", "MB", "12", "B", "900", "1"],
        ["office/ethernet", "1", "567", "B", "0", "B", "7", "0"],
    ]
    assert "tap-udp-super-frames  no      kernels before 6.2 have no USO" in result.output
    assert "udp4-send-trains      yes     up to 64 datagrams" in result.output


def test_the_lanes_as_json(rhp, folder, answering):
    result = rhp("status", "--lanes", "-o", "json", "-c", folder / "rhp.toml")
    keys = ("schema_version", "lanes", "steering", "lane_details", "offloads")
    assert json.loads(result.output) == {key: PICTURE[key] for key in keys}


def test_one_lane_has_no_shares(rhp, folder, answering, monkeypatch):
    monkeypatch.setitem(PICTURE, "lane_details", PICTURE["lane_details"][:1])
    shown = rhp("status", "--lanes", "-c", folder / "rhp.toml").output
    assert shown.startswith("1 lane, ")
    assert "CHILD" not in shown


def test_a_vanished_interface_is_told(rhp, folder, answering, monkeypatch):
    monkeypatch.setitem(PICTURE, "interface", {**PICTURE["interface"], "present": False})
    assert "it has vanished" in rhp("status", "-c", folder / "rhp.toml").output


def test_inner_addresses_and_pools_have_their_lines():
    given = {"addresses": ["10.88.0.2/32", "fd88::2/128"], "dns": ["10.1.0.53"], "domains": ["corp.example"]}
    sas = [{**IKE, "assigned": given}, {**IKE, "connection": "road", "peer": "c@x", "leased": ["10.99.0.7"]}]
    pools = [{"name": "staff", "size": 254, "online": 1, "resting": 12}]
    shown = list(lines({**PICTURE, "ike_sas": sas, "pools": pools}, datetime(2026, 3, 1, 12, 1, tzinfo=UTC)))
    assert "office: we were assigned 10.88.0.2/32 fd88::2/128; name servers 10.1.0.53 for corp.example" in shown
    at = shown.index("LENT TO  ADDRESSES  CONNECTION")
    assert shown[at + 1].split() == ["c@x", "10.99.0.7", "road"]
    at = next(number for number, line in enumerate(shown) if line.startswith("POOL"))
    assert shown[at + 1].split() == ["staff", "254", "1", "12"]


def test_without_any_there_is_no_line_of_them():
    shown = list(lines(PICTURE, datetime(2026, 3, 1, 12, 1, tzinfo=UTC)))
    assert not [line for line in shown if "assigned" in line or line.startswith(("POOL", "LENT"))]


def test_a_standing_redirection_is_told():
    picture = {**PICTURE, "connections": [{**PICTURE["connections"][0], "redirects_to": "gate.example.org"}]}
    shown = list(lines(picture, datetime(2026, 3, 1, 12, 1, tzinfo=UTC)))
    assert "office: who calls is sent to gate.example.org, until rhp redirect office --off" in shown
