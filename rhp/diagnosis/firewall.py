"""Whether this machine's own firewall lets IKE and ESP in and out, and whether [firewall] can do what it says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rhp.config.loading import Loaded
from rhp.diagnosis.finding import Finding, fine, note, problem
from rhp.diagnosis.interfaces import networks_behind_us
from rhp.diagnosis.nftables import Packet, Ruleset

if TYPE_CHECKING:
    from rhp.guard.firewall import Firewall

SUBJECT = "firewall"
PATIENCE = 10.0
_PROC = Path("/proc")
_LEGACY = (("iptables-legacy", "net/ip_tables_names"), ("ip6tables-legacy", "net/ip6_tables_names"))
_SYSCTLS = ("sys/net/ipv4/ip_forward", "sys/net/ipv6/conf/all/forwarding")
_DIRECTIONS = (("input", "in"), ("output", "out"))


def look(loaded: Loaded, *, running: bool = False) -> Iterator[Finding]:
    """Everybody's rules, and ours of [firewall], which stand while a node is `running`."""
    yield from _rules(loaded)
    yield from legacy()
    yield from ours(loaded, running=running)


def legacy(proc: Path = _PROC) -> Iterator[Finding]:
    """Whether iptables-legacy has rules beside nftables: a packet has to pass both, and nft shows only its own."""
    for program, names in _LEGACY:
        tables = " and ".join((_read(proc / names) or "").split())
        if tables and not _holds_nothing(f"{program}-save"):
            said = (
                f"{program} has rules beside nftables ({tables}), which were not looked at; packets have to pass both"
            )
            yield note(SUBJECT, said, f"run {program} -S, and move those rules to nftables")


def ours(loaded: Loaded, proc: Path = _PROC, *, running: bool = False) -> Iterator[Finding]:
    """Whether the kernel takes what [firewall] wants, and with a node `running` has it; nothing is changed."""
    policy = loaded.policy.firewall
    if not policy.wanted:
        return
    found = [*(_switchable(proc) if policy.forward else ()), *(_table(loaded) if policy.tabled else ())]
    if not found and running and policy.tabled:
        found = list(_gone(loaded))
    yield from found
    if not found:
        yield fine(SUBJECT, "the kernel takes what [firewall] says")


def _switchable(proc: Path) -> Iterator[Finding]:
    for name in _SYSCTLS:
        if _read(proc / name) != "0" or os.access(proc / name, os.W_OK):
            continue
        said = f"[firewall] is to switch forwarding on, and this user may not write {proc / name}"
        if os.geteuid():
            yield note(SUBJECT, said, "ask as root")
        else:
            yield problem(SUBJECT, said, "switch it on outside of this container, or let it write its /proc/sys")


def _table(loaded: Loaded) -> Iterator[Finding]:
    from rhp.guard.firewall import FirewallError

    policy = loaded.policy
    try:
        _firewall(loaded).try_out((*policy.interfaces, *policy.bridges))
    except FirewallError as error:
        said, _, advice = str(error).partition("; ")
        if os.geteuid():
            yield note(SUBJECT, said, advice or "ask as root")
        else:
            yield problem(SUBJECT, said, advice or "run modprobe -a nf_tables nft_chain_nat nft_masq")


def _gone(loaded: Loaded) -> Iterator[Finding]:
    firewall = _firewall(loaded)
    if not firewall.stands():
        said = f"the table {firewall.table} of [firewall] has gone, as by nft flush ruleset, though the node runs"
        yield problem(SUBJECT, said, "run rhp reload, or wait a minute: the node makes it again")


def _firewall(loaded: Loaded) -> Firewall:
    from rhp.guard.firewall import Firewall
    from rhp.guard.undo import UndoLog

    policy = loaded.policy
    return Firewall(UndoLog(), policy.firewall, policy.interfaces[0], loaded.settings.state_dir)


def _rules(loaded: Loaded) -> Iterator[Finding]:
    """Ask nft for the rules, and judge what they do with the packets of a node."""
    if shutil.which("nft") is None:
        yield note(
            SUBJECT, "there is no nft here, so the firewall was not looked at", "install nftables to have it judged"
        )
        return
    done = subprocess.run(
        ["nft", "-j", "list", "ruleset"], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    try:
        ruleset = Ruleset(json.loads(done.stdout or "{}"))
    except (ValueError, KeyError, TypeError, AttributeError):
        ruleset = None
    if done.returncode != 0 or ruleset is None:
        said = done.stderr.strip().partition("\n")[0] or "its answer is not understood"
        yield note(SUBJECT, f"nft does not show its rules: {said}", "ask as root")
        return
    yield from judge(ruleset, loaded)


def judge(ruleset: Ruleset, loaded: Loaded) -> Iterator[Finding]:
    """What the rules do with each kind of packet; one line when all of them pass."""
    waits = any(one.start == "wait" for one in loaded.engine.connections)
    found = []
    for words, protocol, port in _kinds(loaded):
        for hook, way in _DIRECTIONS:
            # Who only calls gets answers, which most firewalls let in.
            state = "new" if hook == "output" or waits else "established"
            found += list(_one(ruleset, words, Packet(4, protocol, port, state), hook, way))
    yield from found
    if not found:
        yield fine(SUBJECT, "nftables lets IKE and ESP in and out")
    for version, interface in dict.fromkeys(_forwarded(loaded)):
        yield from _through(ruleset, version, interface)


def _forwarded(loaded: Loaded) -> Iterator[tuple[int, str]]:
    """The IP version and the interface of what peers send to networks behind us."""
    devices = {hub.name: hub.interface for hub in loaded.settings.hubs} | {"": loaded.settings.interface}
    hubs = {one.name: one.policy.hub for one in loaded.engine.connections}
    for connection, version in networks_behind_us(loaded):
        device = devices[hubs[connection]]
        yield version, device.bridge or device.name


def _through(ruleset: Ruleset, version: int, interface: str) -> Iterator[Finding]:
    """Of TCP, which stands for all: what is to be forwarded meets chains that have nothing to do with our ports."""
    fate, place = ruleset.fate(Packet(version, "tcp", None, "new", interface), "forward")
    what = f"IPv{version} from {interface} to the networks behind this machine"
    advice = f'run nft insert rule {place} iifname "{interface}" accept, and write it where your rules come from'
    if fate == "blocked":
        yield problem(SUBJECT, f"{what} is not forwarded: chain {place} drops it", advice)
    elif fate == "depends":
        yield note(SUBJECT, f"whether {what} is forwarded depends on more than that, in chain {place}", advice)
    else:
        yield fine(SUBJECT, f"nftables lets {what} through")


def _one(ruleset: Ruleset, words: str, packet: Packet, hook: str, way: str) -> Iterator[Finding]:
    fate, place = ruleset.fate(packet, hook)
    matched = "meta l4proto esp" if packet.port is None else f"udp dport {packet.port}"
    advice = f"run nft insert rule {place} {matched} accept, and write it where your rules come from"
    if fate == "blocked":
        yield problem(SUBJECT, f"{words} does not get {way}: chain {place} drops it", advice)
    elif fate == "depends":
        yield note(SUBJECT, f"whether {words} gets {way} depends on more than its port, in chain {place}", advice)


def _kinds(loaded: Loaded) -> Iterator[tuple[str, str, int | None]]:
    settings = loaded.settings
    yield f"IKE on UDP port {settings.port}", "udp", settings.port
    yield f"IKE and ESP on UDP port {settings.natt_port}", "udp", settings.natt_port
    if any(one.encapsulation == "auto" for one in loaded.engine.connections):
        yield "ESP (IP protocol 50)", "esp", None


def _holds_nothing(program: str) -> bool:
    """Whether there are tables, and neither a rule nor a policy that drops; as far as the program says so."""
    if shutil.which(program) is None:
        return False
    done = subprocess.run([program], capture_output=True, text=True, timeout=PATIENCE, check=False)
    lines = done.stdout.splitlines()
    return done.returncode == 0 and not any(line.startswith("-A") or " DROP " in line for line in lines)


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return None
