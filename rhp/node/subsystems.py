"""The parts of a node that have a level of their own in the log: `node.log_levels`. `docs/logging.md` lists them."""

from __future__ import annotations

from functools import cache

NODE, AUDIT = "node", "audit"

SUBSYSTEMS: dict[str, str] = {
    NODE: "the node itself, and all that is not named below",
    "ike": "calls, handshakes, proofs and rekeys of IKE SAs",
    "child": "Child SAs",
    "path": "where peers are reached, and how long packets to them may be",
    "address": "inner addresses that are lent or assigned, and name servers",
    "link": "the network interface and routes",
    AUDIT: "who did what to the node; also written to node.audit_file",
}
"""Every subsystem with its meaning."""

LISTED: dict[str, tuple[str, ...]] = {
    "ike": (
        "connecting",
        "connecting ended",
        "connecting failed",
        "authentication failed",
        "handshake refused",
        "ike established",
        "ike rekeyed",
        "ike reauthenticated",
        "ike closed",
        "ike state",
        "redirected",
        "engine fault",
    ),
    "child": ("child established", "child rekeyed", "child closed", "child failed", "install failed"),
    "path": (
        "path changed",
        "path refused",
        "path mtu changed",
        "icmp unheard",
        "addresses changed",
        "addresses unwatched",
        "machine woke",
        "address doubled",
    ),
    "address": (
        "address leased",
        "lease ended",
        "addresses assigned",
        "address added",
        "address removed",
        "address skipped",
        "dns set",
        "dns removed",
        "dns skipped",
    ),
    "link": (
        "route added",
        "route removed",
        "route skipped",
        "mtu changed",
        "tap lost",
        "tap restored",
        "tap restore failed",
        "lane added",
    ),
    AUDIT: (
        "command",
        "question refused",
        "node started",
        "node stopping",
        "node stopped",
        "configuration reloaded",
        "configuration refused",
        "connection added",
        "connection changed",
        "connection dropped",
        "hub removed",
        "settings changed",
    ),
}
"""The events of each but "node", which has all others."""


@cache
def subsystem_of(event: str) -> str:
    """The subsystem of an event of `rhp.node.vocabulary`."""
    return next((name for name, words in LISTED.items() if event in words), NODE)
