"""Every command that looks at a node or steers it, against two real nodes with a tunnel between them."""

import json
import subprocess

import pytest

from rhp.lab.pair import CHILD, CONNECTION, IDENTITIES, INNER, TAP, start_pair
from rhp.lab.ping import reaches
from rhp.lab.process import wait_until
from rhp.lab.rhpnode import rhp_command
from rhp.lab.topology import cable

pytestmark = pytest.mark.netns


def rhp(node, *arguments, code=0):
    """Run a command beside the node; what it wrote to standard output."""
    command = node.namespace.command(rhp_command(*arguments, "-c", str(node.file)))
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == code, (arguments, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stdout


def fails(node, *arguments, code):
    """What a command that ends with that code wrote to standard error."""
    command = node.namespace.command(rhp_command(*arguments, "-c", str(node.file)))
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == code, (arguments, done.stdout, done.stderr)
    return done.stderr


def told(node, *arguments, code=0):
    """The JSON objects that a command prints."""
    objects = [json.loads(line) for line in rhp(node, *arguments, "-o", "json", code=code).splitlines()]
    assert all(next(iter(one)) == "schema_version" for one in objects)
    return objects


def test_peers_sas_and_hub_show_the_tunnel(pair):
    assert reaches(pair.a.namespace, INNER[1], tries=20)
    (shown,) = told(pair.a, "peers")
    (peer,) = shown["peers"]
    assert (peer["peer"], peer["connection"], peer["state"]) == (IDENTITIES[1], CONNECTION, "established")
    assert peer["bytes_out"] > 0
    (tunnel,) = peer["tunnels"]
    assert (tunnel["child"], tunnel["mode"]) == (CHILD, "ethernet")
    assert IDENTITIES[1] in rhp(pair.a, "peers")
    assert told(pair.a, "peers", "--peer", "*.nobody.example")[0]["peers"] == []

    (ours,), (theirs,) = told(pair.a, "sas"), told(pair.b, "sas")
    (child,), (mirror,) = ours["ike_sas"][0]["children"], theirs["ike_sas"][0]["children"]
    assert (child["spi_in"], child["spi_out"]) == (mirror["spi_out"], mirror["spi_in"])
    assert child["spi_in"] in rhp(pair.a, "sas")

    far = pair.b.namespace.run(["cat", f"/sys/class/net/{TAP}/address"]).strip()
    (table,) = told(pair.a, "hub")
    (station,) = [one for one in table["stations"] if one["mac"] == far]
    assert (station["where"], station["peer"], station["connection"]) == ("peer", IDENTITIES[1], CONNECTION)
    assert [one["mac"] for one in told(pair.a, "hub", "--peer", "B.EXAMPLE.*")[0]["stations"]].count(far) == 1
    assert {one["mac"] for one in told(pair.a, "hub", "--mac", far[:8])[0]["stations"]} >= {far}
    assert far in rhp(pair.a, "hub")


def test_watch_tells_rates(pair):
    background = pair.a.namespace.start(
        ["ping", "-q", "-i", "0.05", "-s", "1000", "-w", "60", INNER[1]], pair.a.folder / "ping"
    )
    try:
        before = told(pair.a, "peers")[0]["peers"][0]["packets_in"]
        wait_until(
            lambda: pair.a.connection(CONNECTION)["children"][0]["packets_in"] > before + 5, 60, "the pings under way"
        )
        looks = told(pair.a, "watch", "--count", "3", "--interval", "0.5")
    finally:
        background.stop()
    assert len(looks) == 3
    assert all(0.4 < one["interval_s"] < 30 for one in looks)
    assert max(one["peers"][0]["bits_in_s"] for one in looks) > 0
    assert max(one["peers"][0]["packets_out_s"] for one in looks) > 0
    assert IDENTITIES[1] in rhp(pair.a, "watch", "--count", "1", "--interval", "0.1")


def test_log_and_events_tell_what_happens(pair):
    lines = told(pair.a, "log")
    assert "node started" in {one["event"] for one in lines}
    (established,) = [one for one in lines if one["event"] == "ike established"]
    assert established["fields"]["peer"] == IDENTITIES[1]
    assert {one["fields"]["connection"] for one in told(pair.a, "log", "--connection", CONNECTION)} == {CONNECTION}
    follower = pair.a.namespace.start(
        rhp_command("log", "-f", "-n", "0", "--connection", CONNECTION, "-c", str(pair.a.file)),
        pair.a.folder / "followed",
    )
    try:
        # What is written before the follower listens is not told to it, so the key is renewed until it heard of one.
        def heard():
            pair.a.rekey_child(CONNECTION, CHILD)
            return "child rekeyed" in follower.text()

        wait_until(heard, 60, "the follower hearing of a rekey")
    finally:
        follower.stop()
    assert "node started" not in follower.text()


def test_initiate_waits_for_the_tunnel(pair):
    assert "is up" in rhp(pair.a, "initiate", CONNECTION, "--wait")
    pair.a.terminate(CONNECTION)
    for node in (pair.a, pair.b):
        node.wait_connection(CONNECTION, lambda entry: entry["state"] != "established")
    assert f"{CONNECTION}: is up" in rhp(pair.a, "initiate", CONNECTION, "--wait")
    assert reaches(pair.a.namespace, INNER[1], tries=20)
    assert "there is no connection" in fails(pair.a, "initiate", "nobody", "--wait", code=1)


def test_status_check_and_doctor_say_whether_all_is_well(pair):
    pair.wait_established()
    assert json.loads(rhp(pair.a, "status", "-o", "json"))["schema_version"] == 1
    assert "established" in rhp(pair.a, "status")
    (checked,) = told(pair.a, "check")
    assert checked["ok"] is True
    (seen,) = told(pair.a, "doctor")
    assert seen["ok"] is True, [one for one in seen["findings"] if one["level"] == "problem"]
    assert {"ports", "tap", "clock", "firewall", "nat", "drops"} <= {one["subject"] for one in seen["findings"]}


def test_doctor_finds_a_firewall_and_what_is_left_over(lab):
    nodes = start_pair(lab, cable(lab))
    nodes.wait_established()
    nodes.b.stop()
    namespace = nodes.b.namespace
    rules = ["add table inet own", "add chain inet own in { type filter hook input priority 0; policy drop; }"]
    rules += ['add rule inet own in iifname "lo" accept', "add rule inet own in ct state established accept"]
    for rule in rules:
        namespace.run(["nft", rule])
    namespace.ip(f"link add {TAP} type veth peer name beside")
    with namespace.socket(2, 2) as taken:
        taken.bind(("0.0.0.0", 500))  # noqa: S104
        (seen,) = told(nodes.b, "doctor", code=4)
    problems = {one["subject"]: one for one in seen["findings"] if one["level"] == "problem"}
    assert "inet own in" in problems["firewall"]["advice"]
    assert f"ip link delete {TAP}" in problems["interface"]["advice"]
    assert "UDP port 500 is taken by" in problems["ports"]["says"]
    assert "PROBLEM" in rhp(nodes.b, "doctor", code=4)
    rhp(nodes.b, "check", code=4)
    namespace.run(["nft", "insert rule inet own in udp dport { 500, 4500 } accept"])
    namespace.ip(f"link delete {TAP}")
    (after,) = told(nodes.b, "doctor")
    assert after["ok"] is True, after
    assert "no node is running" in fails(nodes.b, "status", code=3)
    nodes.b.file.write_text("[node]\nport = 99999\n")
    rhp(nodes.b, "check", code=2)
    rhp(nodes.b, "up", code=2)
