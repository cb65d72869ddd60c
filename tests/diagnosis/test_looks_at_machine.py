"""What the doctor finds on a machine: real ports and files, or folders that look like the kernel's."""

import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rhp.diagnosis import certificates, clock, firewall, interfaces, kernel, paths, ports, start, visit
from rhp.diagnosis.nftables import Ruleset
from rhp.pki import ca


def levels(findings):
    return [one.level for one in findings]


def only(findings):
    (found,) = findings
    return found


@pytest.fixture
def taken():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_a_port_that_is_taken_is_told_with_its_holder(taken):
    found = only(ports.look((taken,), running=False))
    assert found.level == "problem"
    assert f"process {os.getpid()}" in found.says
    assert "node.port" in found.advice
    assert only(ports.look((taken,), running=True)).level == "ok"


def taken_by_somebody(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104
        except OSError:
            return True
    return False


def test_a_free_port_is_fine_but_not_for_a_node_that_runs(taken):
    # None that the kernel gives to whoever asks for any.
    free = next(port for port in range(20000, 32000) if not taken_by_somebody(port))
    assert only(ports.look((free,), running=False)).level != "problem"
    assert only(ports.look((free,), running=True)).level == "problem"


def test_the_kernel_is_looked_at(tmp_path):
    assert "problem" not in levels(kernel.trains())
    assert only(kernel.tap(tmp_path / "none")).advice.startswith("run modprobe tun")
    (tmp_path / "cpuinfo").write_text("flags : fpu sse2\n")
    assert only(kernel.processor(tmp_path / "cpuinfo")).level == "note"
    (tmp_path / "cpuinfo").write_text("Features : fp asimd aes pmull\n")
    assert only(kernel.processor(tmp_path / "cpuinfo")).level == "ok"
    assert list(kernel.processor(tmp_path / "none")) == []


def test_a_clock_that_stands_in_the_past_is_a_problem():
    found = only(clock.look(datetime(1970, 1, 1, tzinfo=UTC)))
    assert found.level == "problem"
    assert "1970-01-01" in found.says
    assert only(clock.look()).level in ("ok", "note")
    assert clock.synchronised() in (True, False, None)


@pytest.mark.parametrize(
    ("there", "running", "level"),
    [(True, False, "problem"), (False, False, "ok"), (True, True, "ok"), (False, True, "problem")],
)
def test_an_interface_is_there_exactly_when_the_node_runs(tmp_path, there, running, level):
    if there:
        (tmp_path / "rhp0").mkdir()
    assert only(interfaces.leftovers("rhp0", running=running, sys=tmp_path)).level == level


def test_a_bridge_has_to_be_one(tmp_path):
    assert list(interfaces.bridge(None, sys=tmp_path)) == []
    assert only(interfaces.bridge("br0", sys=tmp_path)).advice == "run ip link add br0 type bridge"
    (tmp_path / "br0").mkdir()
    assert only(interfaces.bridge("br0", sys=tmp_path)).level == "problem"
    (tmp_path / "br0" / "bridge").mkdir()
    assert only(interfaces.bridge("br0", sys=tmp_path)).level == "ok"
    (tmp_path / "br0" / "flags").write_text("0x1002\n")
    assert only(interfaces.bridge("br0", sys=tmp_path)).advice == "run ip link set br0 up"
    (tmp_path / "br0" / "flags").write_text("0x1003\n")
    assert only(interfaces.bridge("br0", sys=tmp_path)).level == "ok"


HUBS = """
[hubs.shop.interface]
name = "rhp-shop"
bridge = "br1"

[hubs.lab]
"""


def test_every_hub_has_its_interface_and_its_bridge_looked_at(loaded, tmp_path):
    sys = tmp_path / "sys"
    (sys / "rhp-shop").mkdir(parents=True)
    one = loaded(connection=HUBS)
    found = list(interfaces.look(one, None, sys))
    assert [(each.subject, each.level) for each in found] == [
        ("interface", "ok"),
        ("interface", "problem"),
        ("bridge", "problem"),
        ("interface", "ok"),
    ]
    assert found[1].advice == "run ip link delete rhp-shop, or write another hubs.shop.interface.name"
    assert found[2].advice == "run ip link add br1 type bridge"
    # A node runs, from an earlier file that had no hub lab yet.
    names = [device.name for _, device in interfaces.devices(one)]
    found = [each for each in interfaces.look(one, names[:2], sys) if each.subject == "interface"]
    assert levels(found) == ["problem", "ok", "note"]
    assert "has vanished" in found[0].says
    assert f"{names[2]} (hubs.lab.interface)" in found[2].says
    assert "rhp reload" in found[2].advice


def test_each_interface_has_its_own_reverse_path_filter(loaded, tmp_path):
    conf = tmp_path / "ipv4" / "conf"
    for name, value in (("all", "0"), ("rhp-test0", "0"), ("rhp-shop", "1")):
        (conf / name).mkdir(parents=True)
        (conf / name / "rp_filter").write_text(f"{value}\n")
    found = only(interfaces.reverse_path(loaded(connection=TUNNEL + HUBS), tmp_path))
    assert found.level == "note"
    assert "net.ipv4.conf.rhp-shop.rp_filter=2" in found.advice


TUNNEL = """
[connections.office.children.net]
mode = "tunnel"
local_ts = ["10.1.0.0/16"]
remote_ts = ["10.2.0.0/16"]
"""


def test_forwarding_is_needed_for_a_network_behind_us(loaded, tmp_path):
    net = tmp_path / "net"
    (net / "ipv4" / "conf" / "all").mkdir(parents=True)
    (net / "ipv4" / "ip_forward").write_text("0\n")
    (net / "ipv4" / "conf" / "all" / "rp_filter").write_text("1\n")
    one = loaded(connection=TUNNEL)
    found = only(interfaces.forwarding(one, net))
    assert found.level == "problem"
    assert "sysctl -w net.ipv4.ip_forward=1" in found.advice
    assert only(interfaces.reverse_path(one, net)).level == "note"
    (net / "ipv4" / "ip_forward").write_text("1\n")
    (net / "ipv4" / "conf" / "all" / "rp_filter").write_text("2\n")
    assert only(interfaces.forwarding(one, net)).level == "ok"
    assert only(interfaces.reverse_path(one, net)).level == "ok"
    assert [*interfaces.forwarding(loaded(), net), *interfaces.reverse_path(loaded(), net)] == []


def test_the_network_of_our_own_interface_needs_no_forwarding(loaded, tmp_path):
    net = tmp_path / "net"
    (net / "ipv4").mkdir(parents=True)
    (net / "ipv4" / "ip_forward").write_text("0\n")
    near = loaded(interface='addresses = ["10.1.0.1/16"]', connection=TUNNEL)
    assert list(interfaces.forwarding(near, net)) == []
    beyond = loaded(interface='addresses = ["10.1.0.1/24"]', connection=TUNNEL)
    assert only(interfaces.forwarding(beyond, net)).level == "problem"


def test_files_that_everyone_can_change_are_a_problem(loaded, tmp_path):
    one = loaded()
    assert levels(start.file_modes(one.file)) == ["ok"]
    one.file.chmod(0o666)
    assert only(start.file_modes(one.file)).advice == f"run chmod o-w {one.file}"
    one.file.chmod(0o600)
    tmp_path.chmod(0o777)
    assert only(start.file_modes(one.file)).level == "problem"


def test_folders_are_made_or_told(loaded, tmp_path):
    assert levels(start.folders(loaded())) == ["ok", "ok"]
    (tmp_path / "run").write_text("")
    found = list(start.folders(loaded()))
    assert levels(found) == ["problem", "ok"]
    assert found[0].advice == "write another node.run_dir"


def test_the_users_of_both_processes_have_to_exist(loaded):
    usual = only(start.users(loaded('user = "daemon"\ngroup = "daemon"\nguard_user = "bin"')))
    assert (usual.level, usual.subject) == ("ok", "users")
    found = list(start.users(loaded('user = "no-such"\ngroup = "none-either"\nguard_user = "bin"')))
    # All of them at once.
    assert [(one.says, one.advice) for one in found] == [
        ('there is no user "no-such"', "make it, or write another node.user"),
        ('there is no group "none-either"', "make it, or write another node.group"),
    ]
    one = only(start.users(loaded('user = "bin"\ngroup = "bin"\nguard_user = "bin"')))
    assert one.level == "problem"
    assert one.advice == "write another node.guard_user"


def test_missing_usual_users_come_with_the_command_that_makes_them(loaded, monkeypatch):
    monkeypatch.setattr("pwd.getpwnam", lambda name: {}[name])
    found = [one for one in visit.check(loaded(), None) if one.subject == "users"]
    assert [one.says for one in found] == ['there is no user "rhp"', 'there is no user "rhp-guard"']
    assert all(one.advice.startswith("make it with systemd-sysusers /") for one in found)


CERTIFIED = """\
[connections.office]
remote_addrs = ["127.0.0.1"]
local = { auth = "pubkey", id = "a.example.org", certs = ["a.pem"], key = "a.key" }
remote = { auth = "pubkey", id = "b.example.org", cas = ["ca.pem"] }
"""


def test_certificates_are_judged_by_their_dates(tmp_path):
    begin = datetime.now(UTC) - timedelta(days=10)
    authority = ca.create_ca("a CA", begin, days=400)
    made = ca.issue(authority, ["a.example.org"], begin, days=100)
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    made.write(tmp_path / "a.pem", tmp_path / "a.key")
    file = tmp_path / "rhp.toml"
    file.write_text(CERTIFIED)
    one, found = visit.configuration(file)
    assert one is not None, found

    def after(days):
        return levels(certificates.look(one, datetime.now(UTC) + timedelta(days=days)))

    assert sorted(after(0)) == ["ok", "ok", "ok"]
    assert after(70)[0] == "problem"
    assert after(95)[0] == "problem"
    assert after(-20)[0] == "problem"


def test_the_first_hop_is_looked_at(loaded):
    found = only(paths.look(loaded()))
    assert (found.level, found.subject) == ("ok", "mtu")


def test_the_firewall_is_judged_for_who_calls_and_for_who_waits(loaded):
    listed = [
        {"chain": {"family": "ip", "table": "t", "name": "in", "type": "filter", "hook": "input", "policy": "drop"}},
        {
            "rule": {
                "family": "ip",
                "table": "t",
                "chain": "in",
                "expr": [
                    {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}},
                    {"accept": None},
                ],
            }
        },
    ]
    rules = Ruleset({"nftables": listed})
    assert levels(firewall.judge(rules, loaded())) == ["ok"]
    found = list(firewall.judge(rules, loaded(connection='start = "wait"\nencapsulation = "auto"')))
    assert levels(found) == ["problem"] * 3
    assert found[0].advice.startswith("run nft insert rule ip t in udp dport 500 accept")
    assert "meta l4proto esp accept" in found[2].advice


def test_the_firewall_is_judged_for_what_is_forwarded(loaded):
    chain = {"family": "ip", "table": "t", "name": "fwd", "type": "filter", "hook": "forward", "policy": "drop"}
    rules = Ruleset({"nftables": [{"chain": chain}]})
    # Nobody is to get further than this machine.
    assert levels(firewall.judge(rules, loaded())) == ["ok"]
    found = list(firewall.judge(rules, loaded(connection=TUNNEL)))
    assert levels(found) == ["ok", "problem"]
    assert found[1].advice.startswith('run nft insert rule ip t fwd iifname "rhp-test0" accept')
    # A bridge is what the packets come from, as far as IP goes.
    (_, told) = firewall.judge(rules, loaded(interface='bridge = "br7"', connection=TUNNEL))
    assert 'iifname "br7" accept' in told.advice
    assert levels(firewall.judge(Ruleset({}), loaded(connection=TUNNEL))) == ["ok", "ok"]


def test_mistakes_and_warnings_become_findings(loaded, tmp_path):
    loaded()
    (tmp_path / "office.psk").write_text("short-key-9\n")
    one, found = visit.configuration(tmp_path / "rhp.toml")
    assert one is not None
    assert levels(found) == ["note", "ok"]
    assert found[0].advice == "make a longer one with rhp keygen psk"
    (tmp_path / "office.psk").chmod(0o644)
    one, found = visit.configuration(tmp_path / "rhp.toml")
    assert one is None
    assert levels(found) == ["problem"]
    assert "chmod" in found[0].advice
    assert "short-key-9" not in repr(found)


def test_a_visit_takes_all_of_it(loaded):
    subjects = {one.subject for one in visit.doctor(loaded(), None)}
    assert {"clock", "ports", "folders", "files", "interface", "mtu", "node", "trains"} <= subjects
    assert Path("/sys/class/net/rhp-doctor").exists() is False
