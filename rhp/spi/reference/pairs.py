"""A pair of SAs as the plane keeps it: both directions, the path, the limits and the counters."""

from __future__ import annotations

import time
from collections import Counter

from rhp._fast.params import SaParams
from rhp.spi.esp import SA_COUNTERS
from rhp.spi.reference.esp import Dropped, Inbound, Outbound
from rhp.spi.reference.suites import Suite


class Pair:
    """One pair. `active` says whether it may send; ValueError for keys or a window that do not fit."""

    def __init__(self, sa: SaParams) -> None:
        into = Suite(sa.encryption, sa.encryption_key_in, sa.integrity, sa.integrity_key_in)
        out = Suite(sa.encryption, sa.encryption_key_out, sa.integrity, sa.integrity_key_out)
        if sa.spi_in < 256:
            raise ValueError(f"SPI {sa.spi_in} is reserved")
        self.spi_in, self.spi_out, self.port, self.mode = sa.spi_in, sa.spi_out, sa.port, sa.mode
        self.local, self.remote = (sa.local_ip, sa.local_port), (sa.remote_ip, sa.remote_port)
        self.encapsulation = sa.encapsulation
        self.active = sa.outbound_active
        self.inbound = Inbound(into, sa.esn, sa.replay_window)
        self.outbound = Outbound(out, sa.spi_out, sa.esn)
        self.counts = Counter(dict.fromkeys(SA_COUNTERS, 0))
        self.moved_ns = 0
        self._packets, self._octets = sa.packet_limit, sa.octet_limit
        self._warn_packets = sa.packet_warn or self.outbound.last // 8 * 7
        self._warn_octets = sa.octet_warn
        self._told: set[str] = set()

    def seal(self, next_header: int, payload: bytes) -> bytes:
        """A packet to the peer. Raises `Dropped`."""
        if self._is_over("out"):
            raise Dropped("lifetime-over")
        packet = self.outbound.seal(next_header, payload)
        self._carried("out", len(payload))
        self.counts["sequence"] = self.outbound.sequence
        return packet

    def open(self, packet: bytes) -> tuple[int, bytes]:
        """A packet from the peer. Raises `Dropped`."""
        if self._is_over("in"):
            raise Dropped("lifetime-over")
        try:
            next_header, payload = self.inbound.open(packet)
        except Dropped as drop:
            kind = "replay_drops" if drop.reason in ("esp-replayed", "esp-too-old") else "auth_drops"
            self.counts[kind] += drop.reason in ("esp-replayed", "esp-too-old", "esp-bad-icv")
            raise
        self._carried("in", len(payload))
        return next_header, payload

    def news(self) -> str | None:
        """ "near" or "over", once each, when a limit is reached in one direction."""
        for stage, packets, octets in (
            ("over", self._packets or self.outbound.last, self._octets),
            ("near", self._warn_packets, self._warn_octets),
        ):
            if stage not in self._told and self._reached(packets, octets):
                self._told |= {stage, "near"}
                return stage
        return None

    def _reached(self, packets: int, octets: int) -> bool:
        counts = self.counts
        most = max(counts["packets_in"], counts["packets_out"], self.inbound.window.top, self.outbound.sequence)
        return most >= packets or bool(octets and max(counts["bytes_in"], counts["bytes_out"]) >= octets)

    def _is_over(self, way: str) -> bool:
        packets, octets = self.counts[f"packets_{way}"], self.counts[f"bytes_{way}"]
        return bool((self._packets and packets >= self._packets) or (self._octets and octets >= self._octets))

    def _carried(self, way: str, octets: int) -> None:
        self.counts[f"packets_{way}"] += 1
        self.counts[f"bytes_{way}"] += octets
        self.counts[f"last_{way}_ns"] = time.monotonic_ns()
