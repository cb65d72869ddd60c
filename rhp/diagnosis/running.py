"""What the running node says of itself, turned into findings: it saw the NAT, the failures and the drops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rhp.diagnosis.finding import Finding, fine, note, problem

MANY = 100
SHARE = 0.01
"""Drops beyond so many packets, and beyond this share of all, are a problem."""

_REPORT = "look at rhp status --lanes, and at rhp log"
_ADVICE = {
    "drop-socket-full": "raise net.core.rmem_max, or use more lanes (node.lanes)",
    "drop-send-full": "raise net.core.wmem_max; this machine sends more than its link takes",
    "drop-send-too-big": "write a smaller node.path_mtu",
    "drop-send-unreachable": "look at the routes to the peers",
    "drop-tap-full": "raise interface.queue_length; this machine does not read its interface fast enough",
    "drop-tap-down": "run ip link set up on the node's interface",
    "drop-no-outbound-sa": "look at rhp status: traffic is sent to a peer whose tunnel is down",
    "drop-unknown-spi": "wait: a peer uses an SA that this node has not; rhp terminate and rhp initiate end it sooner",
    "drop-esp-bad-icv": "look at the path: packets arrive altered, or somebody sends forged ones",
    "drop-esp-replayed": "look at the path: packets arrive twice, or somebody replays them",
    "drop-esp-too-old": "write a greater replay_window: packets overtake one another on the way",
    "drop-hub-spoofed-mac": "look who uses an address of hub.static: it came from another port",
    "drop-selector-mismatch-out": "compare local_ts and remote_ts with what is routed into the tunnel",
    "drop-selector-mismatch-in": "compare local_ts and remote_ts with what the peer sends",
    "drop-too-big": "write a smaller interface.mtu",
}
_HARMLESS = frozenset({"drop-none", "drop-dummy-packet", "drop-hub-same-port", "drop-hub-isolated"})


def look(status: Mapping[str, Any], places: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Judge a status as `rhp status -o json` shows it. `places` says of connections which hub their peers are in."""
    yield fine("node", f"a node runs here, process {status['pid']}, version {status['version']}")
    yield from _connections(status)
    yield from _nat(status)
    yield from _interfaces(status, places or {})
    yield from _drops(status)
    yield from _misses(status)


def _connections(status: Mapping[str, Any]) -> Iterator[Finding]:
    for one in status["connections"]:
        name = one["name"]
        if one["state"] == "established":
            continue
        if one["last_error"]:
            yield problem("connection", f"{name}: {one['last_error']}", f"mend that, then run rhp initiate {name}")
        elif one["start"] == "initiate" and one["state"] == "connecting":
            yield problem(
                "connection",
                f"{name} is being called, and does not stand",
                f"look at rhp log --connection {name}; ask whether the peer runs and its UDP ports are open",
            )
    standing = [one for one in status["connections"] if one["state"] == "established"]
    if standing:
        yield fine("connection", f"{len(standing)} of {len(status['connections'])} connections stand")


def _nat(status: Mapping[str, Any]) -> Iterator[Finding]:
    sas = [sa for sa in status["ike_sas"] if sa["age_s"] is not None]
    ours = [sa for sa in sas if sa["nat"]["local"]]
    if not sas:
        return
    if not ours:
        yield fine("nat", "no NAT stands in front of this node, as its peers see it")
        return
    said = f"a NAT stands in front of this node, as {len(ours)} of {len(sas)} peers see it"
    waiting = [one["name"] for one in status["connections"] if one["start"] == "wait"]
    if waiting:
        ports = f"UDP ports {status['ports']['ike']} and {status['ports']['natt']}"
        yield note(
            "nat", said, f"have the NAT forward {ports} to this machine, for {', '.join(waiting)} waits to be called"
        )
    else:
        yield note("nat", said)


def _interfaces(status: Mapping[str, Any], places: Mapping[str, str]) -> Iterator[Finding]:
    found = {one["name"] or "": one["interface"] for one in status["hubs"]} | {"": status["interface"]}
    for interface in found.values():
        name = interface["name"]
        if interface["present"] and not interface["up"]:
            yield problem("interface", f"{name} is down", f"run ip link set {name} up")
    for sa in status["ike_sas"]:
        hub = places.get(sa["connection"] or "", "")
        if hub not in found:
            continue  # The file is newer than the node.
        for child in sa["children"]:
            yield from _fits(f"{sa['connection']}/{child['name']}", child["mtu"], hub, found[hub]["mtu"])


def _fits(what: str, carried: int | None, hub: str, mtu: int | None) -> Iterator[Finding]:
    """Whether the interface lets in no more than the tunnel carries in one piece."""
    if carried is None or mtu is None or mtu <= carried:
        return
    table = f"hubs.{hub}.interface" if hub else "interface"
    yield note(
        "mtu",
        f"{what} carries {carried} octets in one piece, and the interface lets {mtu} in, so long packets travel in "
        "fragments",
        f"write {carried} into {table}.mtu, or leave it out so that it follows the paths",
    )


def _drops(status: Mapping[str, Any]) -> Iterator[Finding]:
    counters = status["counters"]["dataplane"]
    carried = sum(counters.get(name, 0) for name in ("esp-packets-in", "esp-packets-out", "tap-frames-in"))
    drops = {name: count for name, count in counters.items() if name.startswith("drop-") and name not in _HARMLESS}
    lost = {name: count for name, count in drops.items() if count}
    for name, count in sorted(lost.items(), key=lambda entry: -entry[1]):
        said = f"{count} packets dropped as {name.removeprefix('drop-')}, of {carried}"
        advice = _ADVICE.get(name, _REPORT)
        if count >= MANY and count > carried * SHARE:
            yield problem("drops", said, advice)
        else:
            yield note("drops", said, advice)
    if not lost:
        yield fine("drops", f"none of {carried} packets was dropped")


def _misses(status: Mapping[str, Any]) -> Iterator[Finding]:
    """What the node meant to do, and could not."""
    counters = status["counters"].get("node", {})
    if failed := counters.get("state-write-failed"):
        said = f"state.db, with leases and totals, could not be written {failed} time{'' if failed == 1 else 's'}"
        yield note("state", said, "look at rhp log, and make room in node.state_dir")
    if skipped := counters.get("hooks-skipped"):
        said = f"{skipped} hook{' was' if skipped == 1 else 's were'} not run, for too many waited to be"
        yield note("hooks", said, "write hooks for fewer events, or programs that end sooner")
