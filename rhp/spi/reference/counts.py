"""The names of what is counted, on a lane and in a hub."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rhp.spi.esp import HUB_COUNTERS, LANE_COUNTERS

DROPS = (
    "datagram-short",
    "dummy-packet",
    "esp-bad-icv",
    "esp-bad-padding",
    "esp-oversized",
    "esp-replayed",
    "esp-too-old",
    "esp-truncated",
    "esp-zero-sequence",
    "etherip-header",
    "frame-runt",
    "hub-same-port",
    "hub-spoofed-mac",
    "inner-ip-malformed",
    "lifetime-over",
    "no-outbound-sa",
    "no-socket",
    "not-ip",
    "selector-mismatch-in",
    "selector-mismatch-out",
    "send-failed",
    "sequence-exhausted",
    "tap-down",
    "tap-full",
    "unknown-spi",
    "wrong-next-header",
)
COUNTERS = (
    *dict.fromkeys((*LANE_COUNTERS, *HUB_COUNTERS)),
    "arp-answered",
    "nd-answered",
    "ike-datagrams-in",
    "keepalives-in",
    "receive-errors",
    "steps-failed",
    *(f"drop-{reason}" for reason in DROPS),
)
"""Every counter of a lane, and of a hub on a lane."""


def added_up(several: Iterable[Counter[str]]) -> dict[str, int]:
    """The sum, with a number for every name."""
    total: Counter[str] = Counter(dict.fromkeys(COUNTERS, 0))
    for one in several:
        total.update(one)
    return dict(total)
