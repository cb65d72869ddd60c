"""Whether this machine's own firewall lets IKE and ESP in and out."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from rhp.config.loading import Loaded
from rhp.diagnosis.finding import Finding, fine, note, problem
from rhp.diagnosis.nftables import Packet, Ruleset

SUBJECT = "firewall"
PATIENCE = 10.0
_LEGACY = (Path("/proc/net/ip_tables_names"), Path("/proc/net/ip6_tables_names"))
_DIRECTIONS = (("input", "in"), ("output", "out"))


def look(loaded: Loaded) -> Iterator[Finding]:
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
    if any(_holds_tables(file) for file in _LEGACY):
        yield note(SUBJECT, "iptables-legacy has rules too, which were not looked at", "run iptables-legacy -S")


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


def _holds_tables(file: Path) -> bool:
    try:
        return bool(file.read_text().strip())
    except OSError:
        return False
