"""The guard's table and sysctls, in a namespace of its own: made and taken back as a whole, also after a kill."""

import asyncio
import json
import re
import subprocess
from pathlib import Path

import pytest

from rhp.guard import nftables
from rhp.guard.firewall import KEPT, Firewall, FirewallError
from rhp.guard.policy import FirewallPolicy
from rhp.guard.undo import UndoLog

FORWARD = [Path("/proc/sys/net/ipv4/ip_forward"), Path("/proc/sys/net/ipv6/conf/all/forwarding")]
BOTH = ("rhpt0", "rhpt1")
ALL = FirewallPolicy(forward=True, masquerade=("10.88.0.0/24", "fd88::/64"), isolate=True)


@pytest.fixture(autouse=True)
def _network(own_network):
    """Whatever is changed here belongs to no one."""
    for sysctl in FORWARD:
        sysctl.write_text("0")


def ruleset():
    return subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout


def forwarding():
    return [sysctl.read_text().strip() for sysctl in FORWARD]


def made(folder, policy=ALL, interface="rhpt0"):
    undo = UndoLog()
    return Firewall(undo, policy, interface, folder), undo


def test_all_of_it_stands_and_goes_again(tmp_path):
    firewall, undo = made(tmp_path)
    firewall.apply(BOTH)
    assert forwarding() == ["1", "1"]
    rules = re.sub(r"\s+", " ", ruleset())
    assert "table inet rhp-rhpt0" in rules
    assert 'oifname != { "rhpt0", "rhpt1" } ip saddr 10.88.0.0/24 masquerade' in rules
    assert 'oifname != { "rhpt0", "rhpt1" } ip6 saddr fd88::/64 masquerade' in rules
    assert 'iifname { "rhpt0", "rhpt1" } oifname { "rhpt0", "rhpt1" } drop' in rules
    assert asyncio.run(undo.run()) == []
    assert forwarding() == ["0", "0"]
    assert ruleset() == ""
    assert not (tmp_path / KEPT).exists()


def test_the_next_start_takes_back_what_a_killed_guard_left_whatever_its_configuration_is(tmp_path):
    made(tmp_path)[0].apply(BOTH)
    following, undo = made(tmp_path, FirewallPolicy(), "other0")
    following.recover()
    following.apply(BOTH)
    assert forwarding() == ["0", "0"]
    assert ruleset() == ""
    assert len(undo) == 0


def test_it_is_the_same_when_it_is_done_again(tmp_path):
    firewall, undo = made(tmp_path)
    firewall.again()
    assert ruleset() == ""
    firewall.apply(BOTH)
    before = ruleset()
    firewall.apply(BOTH)
    firewall.again()
    assert ruleset() == before
    assert forwarding() == ["1", "1"]
    assert len(undo) == 1
    assert asyncio.run(undo.run()) == []
    assert forwarding() == ["0", "0"]


def flush():
    subprocess.run(["nft", "flush", "ruleset"], check=True)


@pytest.mark.parametrize("again", [lambda one: one.apply(BOTH), lambda one: one.again(), lambda one: one.mend()])
def test_what_somebody_flushed_stands_again(tmp_path, again):
    firewall, undo = made(tmp_path)
    firewall.apply(BOTH)
    before = ruleset()
    assert firewall.stands()
    flush()
    assert not firewall.stands()
    again(firewall)
    assert ruleset() == before
    assert asyncio.run(undo.run()) == []
    assert ruleset() == ""


def test_what_stands_or_is_not_wanted_is_not_mended(tmp_path):
    firewall, undo = made(tmp_path)
    assert not firewall.mend()
    firewall.apply(BOTH)
    before = ruleset()
    assert not firewall.mend()
    # To look leaves everything as it is.
    assert ruleset() == before
    assert asyncio.run(undo.run()) == []
    assert not firewall.mend()
    assert ruleset() == ""
    forwards, _ = made(tmp_path, FirewallPolicy(forward=True))
    forwards.apply(BOTH)
    assert not forwards.mend()


def test_one_more_interface_is_in_the_table_too(tmp_path):
    firewall, undo = made(tmp_path)
    firewall.apply(BOTH[:1])
    assert 'iifname "rhpt0" oifname "rhpt0" drop' in ruleset()
    firewall.apply(BOTH)
    assert 'iifname { "rhpt0", "rhpt1" } oifname { "rhpt0", "rhpt1" } drop' in re.sub(r"\s+", " ", ruleset())
    assert asyncio.run(undo.run()) == []
    assert ruleset() == ""
    assert forwarding() == ["0", "0"]


def test_what_could_not_be_done_is_done_by_the_next_try(tmp_path, monkeypatch):
    firewall, undo = made(tmp_path)

    def refuse(commands, dry=False):
        raise nftables.NftError("no")

    with monkeypatch.context() as patched:
        patched.setattr(nftables, "run", refuse)
        with pytest.raises(FirewallError, match="no"):
            firewall.apply(BOTH)
    firewall.apply(BOTH)
    assert "table inet rhp-rhpt0" in ruleset()
    # What the sysctls were before the first try is what they are again.
    assert asyncio.run(undo.run()) == []
    assert forwarding() == ["0", "0"]


def test_what_was_on_before_stays_on(tmp_path):
    FORWARD[0].write_text("1")
    firewall, undo = made(tmp_path, FirewallPolicy(forward=True))
    firewall.apply(BOTH)
    assert ruleset() == ""
    assert asyncio.run(undo.run()) == []
    assert forwarding() == ["1", "0"]


def test_what_is_on_already_need_not_be_written(tmp_path, monkeypatch):
    """In a container /proc/sys can often be read only, and forwarding was switched on from outside."""

    def write(name, value):
        raise FirewallError("read-only")

    for sysctl in FORWARD:
        sysctl.write_text("1")
    monkeypatch.setattr("rhp.guard.firewall._write", write)
    firewall, undo = made(tmp_path, FirewallPolicy(forward=True))
    firewall.apply(BOTH)
    assert asyncio.run(undo.run()) == []
    FORWARD[1].write_text("0")
    with pytest.raises(FirewallError, match="read-only"):
        made(tmp_path, FirewallPolicy(forward=True))[0].apply(BOTH)


def test_what_cannot_be_switched_on_holds_up_no_later_start(tmp_path, monkeypatch):
    """/proc/sys is read only, and of the two only IPv4's was switched on from outside."""

    def write(name, value):
        raise FirewallError("read-only")

    FORWARD[0].write_text("1")
    monkeypatch.setattr("rhp.guard.firewall._write", write)
    failed, undo = made(tmp_path)
    with pytest.raises(FirewallError, match="read-only"):
        failed.apply(BOTH)
    # As after a kill, and as at the end.
    made(tmp_path, FirewallPolicy(), "other0")[0].recover()
    assert not (tmp_path / KEPT).exists()
    with pytest.raises(FirewallError, match="read-only"):
        failed.apply(BOTH)
    assert asyncio.run(undo.run()) == []
    assert forwarding() == ["1", "0"]


def test_what_was_switched_on_and_cannot_be_switched_off_is_not_forgotten(tmp_path, monkeypatch):
    def write(name, value):
        raise FirewallError("read-only")

    made(tmp_path)[0].apply(BOTH)
    with monkeypatch.context() as patched:
        patched.setattr("rhp.guard.firewall._write", write)
        with pytest.raises(FirewallError, match="read-only"):
            made(tmp_path)[0].recover()
    made(tmp_path)[0].recover()
    assert forwarding() == ["0", "0"]
    assert ruleset() == ""


def test_a_table_that_nobody_can_make_holds_up_no_later_start(tmp_path, monkeypatch):
    """There is no libnftables, or the kernel has no tables."""

    def refuse(commands, dry=False):
        raise nftables.NftError("no")

    monkeypatch.setattr(nftables, "run", refuse)
    failed, undo = made(tmp_path)
    with pytest.raises(FirewallError, match="no"):
        failed.apply(BOTH)
    made(tmp_path, FirewallPolicy(), "other0")[0].recover()
    assert forwarding() == ["0", "0"]
    assert not (tmp_path / KEPT).exists()
    assert asyncio.run(undo.run()) == []


def test_rules_of_others_are_not_touched(tmp_path):
    nftables.run("table inet theirs {\nchain forward {\ntype filter hook forward priority 0; policy drop;\n}\n}")
    before = ruleset()
    firewall, undo = made(tmp_path)
    firewall.apply(BOTH)
    assert asyncio.run(undo.run()) == []
    assert ruleset() == before


def test_a_strange_name_of_an_interface_is_only_a_name(tmp_path):
    firewall, undo = made(tmp_path, interface="a;b{c}")
    firewall.apply(("a;b{c}",))
    assert "table inet rhp-a_b_c_" in ruleset()
    assert 'iifname "a;b{c}"' in ruleset()
    assert asyncio.run(undo.run()) == []


def test_a_damaged_file_does_not_hold_up_a_start(tmp_path):
    (tmp_path / KEPT).write_text("[")
    firewall, _ = made(tmp_path)
    firewall.recover()
    firewall.apply(BOTH)
    assert json.loads((tmp_path / KEPT).read_text())["table"] == "inet rhp-rhpt0"


def test_a_refusal_of_the_kernel_is_one_sentence_and_leaves_nothing(open_folder, as_nobody):
    def attempt():
        firewall, _ = made(open_folder / "kept", FirewallPolicy(isolate=True))
        try:
            firewall.apply(BOTH)
        except FirewallError as error:
            return str(error)
        return "done"

    (open_folder / "kept").mkdir()
    (open_folder / "kept").chmod(0o777)
    said = as_nobody(attempt)
    assert "the firewall of [firewall] cannot be set" in said
    assert "\n" not in said
    assert ruleset() == ""
