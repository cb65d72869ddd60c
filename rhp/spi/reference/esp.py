"""One direction of an SA (RFC 4303): packets sealed with numbers that rise, or opened once each."""

from __future__ import annotations

import struct

from rhp.spi.reference.replay import Window
from rhp.spi.reference.suites import HEADER, BadIcv, Suite

TRAILER = 2
LONGEST = 65535


class Dropped(Exception):
    """A packet goes no further; `reason` is a kebab-case word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Outbound:
    """What we send under the peer's `spi`. `last` is the highest number that there is."""

    def __init__(self, suite: Suite, spi: int, esn: bool) -> None:
        if spi < 256:
            raise ValueError(f"SPI {spi} is reserved")
        self._suite, self._spi, self._esn = suite, spi, esn
        self.sequence = 0
        self.last = (1 << 64) - 1 if esn else (1 << 32) - 1

    def seal(self, next_header: int, payload: bytes) -> bytes:
        """The next packet, from SPI to ICV. Raises `Dropped`."""
        if self.sequence >= self.last:
            raise Dropped("sequence-exhausted")
        padding = -(len(payload) + TRAILER) % self._suite.align
        fixed = HEADER + self._suite.iv_bytes + TRAILER + self._suite.icv_bytes
        if fixed + len(payload) + padding > LONGEST:
            raise Dropped("esp-oversized")
        self.sequence += 1
        plain = payload + bytes(range(1, padding + 1)) + bytes((padding, next_header))
        header = struct.pack("!II", self._spi, self.sequence & 0xFFFFFFFF)
        return self._suite.seal(header, self.sequence, self._esn, plain)


class Inbound:
    """What comes under our own SPI."""

    def __init__(self, suite: Suite, esn: bool, window: int, top: int = 0) -> None:
        self._suite, self._esn = suite, esn
        self.window = Window(window, top)

    def open(self, packet: bytes) -> tuple[int, bytes]:
        """Next header and payload, what pads it for traffic flow confidentiality included. Raises `Dropped`."""
        if len(packet) < HEADER + self._suite.iv_bytes + TRAILER + self._suite.icv_bytes:
            raise Dropped("esp-truncated")
        number = self.window.whole(int.from_bytes(packet[4:8]), self._esn)
        if reason := self.window.check(number):
            raise Dropped(reason)
        try:
            plain = self._suite.open(packet, number, self._esn)
        except BadIcv:
            raise Dropped("esp-bad-icv") from None
        self.window.commit(number)
        padding, next_header = plain[-2], plain[-1]
        if padding + TRAILER > len(plain):
            raise Dropped("esp-bad-padding")
        return next_header, plain[: len(plain) - TRAILER - padding]
