"""From two looks at the peers to what they send and get in a second."""

from __future__ import annotations

from typing import Any

COUNTED = ("bytes_in", "bytes_out", "packets_in", "packets_out")


class Rates:
    """Remembers the look before. A peer is known by the ports of its tunnels, which outlive its IKE SAs."""

    def __init__(self) -> None:
        self._clock: float | None = None
        self._ports: dict[int, tuple[int, ...]] = {}

    def take(self, look: dict[str, Any]) -> dict[str, Any]:
        """The look with rates, the busiest peer first. What was not there before has carried nothing yet."""
        clock, before = look["clock_s"], self._ports
        passed = clock - self._clock if self._clock is not None else 0.0
        self._clock = clock
        self._ports = {
            tunnel["port"]: tuple(tunnel[name] for name in COUNTED)
            for one in look["peers"]
            for tunnel in one["tunnels"]
        }
        peers = [_with_rates(one, before, passed) for one in look["peers"]]
        peers.sort(key=lambda one: -(one["bits_in_s"] + one["bits_out_s"]))
        return {**look, "interval_s": round(passed, 3), "peers": peers}


def _with_rates(one: dict[str, Any], before: dict[int, tuple[int, ...]], passed: float) -> dict[str, Any]:
    grown = [0, 0, 0, 0]
    for tunnel in one["tunnels"]:
        now = [tunnel[name] for name in COUNTED]
        then = before.get(tunnel["port"], now)
        # A number that shrank is another tunnel's, which took the port over.
        grown = [total + max(0, new - old) for total, new, old in zip(grown, now, then, strict=True)]
    octets_in, octets_out, packets_in, packets_out = (round(each / passed, 1) if passed > 0 else 0.0 for each in grown)
    return {
        **one,
        "bits_in_s": round(octets_in * 8),
        "bits_out_s": round(octets_out * 8),
        "packets_in_s": packets_in,
        "packets_out_s": packets_out,
    }
