"""What the doctor says of [firewall]: the kernel is asked whether it takes the table, and keeps nothing of it."""

import os
import subprocess

import pytest

from rhp.diagnosis import firewall
from rhp.guard import nftables

ALL = """
[firewall]
forward = true
masquerade = ["10.88.0.0/24"]
isolate = true
"""
TABLE = ALL.replace("forward = true\n", "")
FORWARD = "[firewall]\nforward = true\n"


def levels(findings):
    return [one.level for one in findings]


def only(findings):
    (found,) = findings
    return found


@pytest.mark.netns
def test_the_kernel_is_asked_and_nothing_stays(loaded, own_network, monkeypatch):
    asked, original = [], nftables.run

    def run(commands, *, dry=False):
        asked.append((commands, dry))
        return original(commands, dry=dry)

    monkeypatch.setattr(nftables, "run", run)
    found = only(firewall.ours(loaded(connection=ALL)))
    assert (found.level, found.says) == ("ok", "the kernel takes what [firewall] says")
    ((commands, dry),) = asked
    assert "masquerade" in commands
    assert dry
    assert subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout == ""


@pytest.mark.netns
def test_a_table_that_a_running_node_has_no_more_is_a_problem(loaded, own_network):
    one = loaded(connection=TABLE)
    name = f"inet rhp-{one.policy.interfaces[0]}"
    assert levels(firewall.ours(one)) == ["ok"]
    gone = only(firewall.ours(one, running=True))
    assert gone.level == "problem"
    assert name in gone.says
    assert "rhp reload" in gone.advice
    nftables.run(f"add table {name}")
    assert levels(firewall.ours(one, running=True)) == ["ok"]
    subprocess.run(["nft", "delete", "table", *name.split()], check=True)
    # Without a table there is none to miss.
    assert levels(firewall.ours(loaded(connection=FORWARD), running=True)) == ["ok"]


@pytest.mark.netns
def test_what_the_kernel_refuses_is_refused_dry_as_well(own_network):
    with pytest.raises(nftables.NftError, match="No such file or directory"):
        nftables.run("add rule inet nobody forward accept", dry=True)


def test_without_a_firewall_of_ours_nothing_is_asked(loaded, monkeypatch):
    monkeypatch.setattr(nftables, "run", None)
    assert list(firewall.ours(loaded())) == []


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [
        ("libnftables.so.1 is not installed; install the package libnftables1", "install the package libnftables1"),
        ("Could not process rule: No such file or directory", "run modprobe -a nf_tables nft_chain_nat nft_masq"),
    ],
)
def test_what_keeps_the_table_from_being_made_is_told(loaded, monkeypatch, refusal, advice):
    def run(commands, *, dry=False):
        raise nftables.NftError(refusal)

    monkeypatch.setattr(nftables, "run", run)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    found = only(firewall.ours(loaded(connection=TABLE)))
    assert (found.level, found.advice) == ("problem", advice)
    assert found.says.startswith("the firewall of [firewall] cannot be set: ")
    # Who may not ask learns nothing of what root may.
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert only(firewall.ours(loaded(connection=TABLE))).level == "note"


@pytest.mark.parametrize(("value", "level"), [("0", "problem"), ("1", "ok")])
def test_forwarding_has_to_be_on_or_to_be_switched_on(loaded, monkeypatch, tmp_path, value, level):
    proc = tmp_path / "proc"
    (proc / "sys/net/ipv4").mkdir(parents=True)
    (proc / "sys/net/ipv4/ip_forward").write_text(f"{value}\n")
    one = loaded(connection=FORWARD)
    assert levels(firewall.ours(one, proc)) == ["ok"]
    # As in a container, where not even root may.
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert levels(firewall.ours(one, proc)) == [level]


@pytest.fixture
def legacy(tmp_path, monkeypatch):
    """The doctor's word, where the kernel has legacy tables of IPv4, and iptables-legacy-save prints this or is not."""

    def ask(printed):
        (tmp_path / "net").mkdir(exist_ok=True)
        (tmp_path / "net" / "ip_tables_names").write_text("filter\nnat\n")
        (tmp_path / "net" / "ip6_tables_names").write_text("")
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        program = tmp_path / "iptables-legacy-save"
        if printed is not None:
            program.write_text(f"#!/bin/sh\ncat <<'END'\n{printed}\nEND\n")
            program.chmod(0o755)
        return list(firewall.legacy(tmp_path))

    return ask


EMPTY = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\nCOMMIT"


@pytest.mark.parametrize(
    ("printed", "count"),
    [
        (None, 1),
        (EMPTY, 0),
        (EMPTY.replace("FORWARD ACCEPT", "FORWARD DROP"), 1),
        (EMPTY.replace("COMMIT", "-A INPUT -p udp -j DROP\nCOMMIT"), 1),
    ],
)
def test_rules_of_iptables_legacy_are_told(legacy, printed, count):
    found = legacy(printed)
    assert levels(found) == ["note"] * count
    for one in found:
        assert "iptables-legacy has rules beside nftables (filter and nat)" in one.says
        assert "run iptables-legacy -S" in one.advice


def test_no_table_no_word(tmp_path):
    assert list(firewall.legacy(tmp_path)) == []


def test_forwarding_is_no_problem_where_the_node_will_switch_it_on(loaded, tmp_path):
    from rhp.diagnosis import interfaces

    (tmp_path / "ipv4").mkdir()
    (tmp_path / "ipv4" / "ip_forward").write_text("0\n")
    tunnel = '[connections.office.children.net]\nmode = "tunnel"\nlocal_ts = ["10.1.0.0/16"]\n'
    one = loaded(connection=f'{tunnel}remote_ts = ["10.2.0.0/16"]\n{FORWARD}')
    assert levels(interfaces.forwarding(one, tmp_path)) == ["ok"]
    # A node that runs has done so; somebody else has switched it off since.
    assert levels(interfaces.forwarding(one, tmp_path, running=True)) == ["problem"]
