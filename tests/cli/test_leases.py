"""`rhp leases` and `rhp status --totals` as a person meets them."""

import json
from datetime import UTC, datetime, timedelta

from rhp.cli.leases import lines
from rhp.cli.totals import total_lines

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def lease(address, identity, state, hours):
    date = (NOW - timedelta(hours=hours)).isoformat()
    return {
        "address": address,
        "pool": "staff",
        "identity": identity,
        "state": state,
        "since": date,
        "changed": date,
    }


def test_leases_are_a_table():
    found = [
        lease("10.88.0.2", "anna@example.org", "in use", 3),
        {**lease("10.88.0.3", "bert\x1b[31m@example.org", "kept", 50), "since": ""},
    ]
    assert list(lines(found, NOW)) == [
        "ADDRESS    PEER                   STATE   SINCE      CHANGED    POOL",
        "10.88.0.2  anna@example.org       in use  3h00m ago  3h00m ago  staff",
        "10.88.0.3  bert?[31m@example.org  kept    -          2d02h ago  staff",
    ]
    assert list(lines([], NOW)) == ["no address is lent"]


def test_leases_are_asked_of_the_node(rhp, folder, answering):
    asked = answering
    assert rhp("leases", "-c", folder / "rhp.toml").output == "no address is lent\n"
    shown = rhp("leases", "-o", "json", "-c", folder / "rhp.toml")
    assert json.loads(shown.output) == {"schema_version": 1, "leases": []}
    for arguments in (("release", "10.88.0.2", "-c", folder / "rhp.toml"),):
        result = rhp("leases", *arguments)
        assert (result.exit_code, result.output) == (0, "10.88.0.2 is free; anna@example.org had it\n")
    result = rhp("leases", "-c", folder / "rhp.toml", "release", "10.88.0.2")
    assert result.exit_code == 0
    assert asked[2:] == [("release-lease", {"address": "10.88.0.2"})] * 2


def test_totals_are_a_table():
    one = {
        "connection": "office",
        "since": (NOW - timedelta(days=3)).isoformat(),
        "bytes_in": 1_500_000,
        "bytes_out": 12,
        "packets_in": 1000,
        "packets_out": 1,
        "handshakes": 4,
        "resumed": 1,
        "rekeys": 9,
        "failures": 0,
        "up_seconds": 7200,
    }
    assert list(total_lines([one], NOW)) == [
        "CONNECTION  SINCE      UP     RECEIVED  SENT  PACKETS IN  PACKETS OUT  HANDSHAKES  REKEYS  FAILED",
        "office      3d00h ago  2h00m  1.5 MB    12 B  1000        1            4           9       0",
    ]
    assert list(total_lines([], NOW)) == ["no connection has been up yet"]


def test_totals_are_asked_of_the_node(rhp, folder, answering):
    assert rhp("status", "--totals", "-c", folder / "rhp.toml").output == "no connection has been up yet\n"
    shown = rhp("status", "--totals", "-o", "json", "-c", folder / "rhp.toml")
    assert json.loads(shown.output) == {"schema_version": 1, "totals": []}
    assert answering == [("totals", {})] * 2
