"""What routers say of packets that were too long: ICMP "fragmentation needed" (RFC 1191) and ICMPv6 "packet too big"
(RFC 8201).

Anybody can forge such a message. It quotes the packet it speaks of, though, and of ours that is ESP: whoever has not
seen our packets does not know their SPI (RFC 4301 section 8.2.1 leaves open what to do with the message; here it counts
for nothing without a right SPI). So the quote is read up to there, and a message that quotes less is of no use.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

IpAddress = IPv4Address | IPv6Address

READS_PER_WAKEUP = 32
REST_SECONDS = 0.1
"""How long the socket is left alone after a wake-up that found it full: a flood costs that many messages a second."""

_LARGEST = 1500
_UDP = 17
_FRAGMENT = 44
_ESP = 50
_UDP_HEADER = 8
_PLATEAUS = (32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68)
"""Likely MTUs, for routers older than RFC 1191 that name none (section 7 there)."""


@dataclass(frozen=True, slots=True)
class TooBig:
    """A packet of ours to `remote` under `spi` had `length` octets, and a link on its way carries only `mtu`."""

    remote: IpAddress
    spi: int
    length: int
    mtu: int


Deliver = Callable[[TooBig], None]


def read_icmp(packet: bytes, natt_port: int) -> TooBig | None:
    """Read what a raw IPv4 socket gives, the IP header included; `natt_port` is ours, where ESP in UDP comes from."""
    message = packet[_header4(packet) :] if packet else b""
    if len(message) < 8 or message[:2] != b"\x03\x04":
        return None
    quote = message[8:]
    header = _header4(quote)
    if len(quote) < 20 or header < 20 or int.from_bytes(quote[6:8], "big") & 0x1FFF:
        return None
    spi = _spi(quote[9], quote[header:], natt_port)
    length = int.from_bytes(quote[2:4], "big")
    mtu = int.from_bytes(message[6:8], "big") or next((one for one in _PLATEAUS if one < length), 0)
    if spi is None or not 0 < mtu < length:
        return None
    return TooBig(IPv4Address(quote[16:20]), spi, length, mtu)


def read_icmp6(message: bytes, natt_port: int) -> TooBig | None:
    """Read what a raw ICMPv6 socket gives, which has no IP header."""
    quote = message[8:]
    if len(quote) < 40 or message[0] != 2:
        return None
    kind, rest = quote[6], quote[40:]
    if kind == _FRAGMENT and len(rest) >= 8 and not int.from_bytes(rest[2:4], "big") & 0xFFF8:
        kind, rest = rest[0], rest[8:]
    spi = _spi(kind, rest, natt_port)
    length = 40 + int.from_bytes(quote[4:6], "big")
    mtu = int.from_bytes(message[4:8], "big")
    if spi is None or not 0 < mtu < length:
        return None
    return TooBig(IPv6Address(quote[24:40]), spi, length, mtu)


def _header4(packet: bytes) -> int:
    return (packet[0] & 0x0F) * 4 if packet else 0


def _spi(protocol: int, octets: bytes, natt_port: int) -> int | None:
    """The SPI of ESP, in UDP from our port or by itself; None for anything else, IKE included."""
    if protocol == _UDP and octets[:2] == natt_port.to_bytes(2, "big"):
        octets = octets[_UDP_HEADER:]
    elif protocol != _ESP:
        return None
    return int.from_bytes(octets[:4], "big") or None if len(octets) >= 4 else None


class IcmpSocket:
    """A raw ICMP socket, whose descriptor now belongs to this object. What it cannot read it counts."""

    def __init__(self, fd: int, natt_port: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)
        self._read_message = read_icmp6 if self._socket.family == socket.AF_INET6 else read_icmp
        self._natt_port = natt_port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deliver: Deliver | None = None
        self._rest: asyncio.TimerHandle | None = None
        self.counters: Counter[str] = Counter()

    def listen(self, loop: asyncio.AbstractEventLoop, deliver: Deliver) -> None:
        """Hand every message about ESP of ours to `deliver` from now on."""
        self._loop, self._deliver = loop, deliver
        loop.add_reader(self._socket.fileno(), self._read)

    def close(self) -> None:
        """Stop listening and close the socket. Safe twice."""
        if self._rest is not None:
            self._rest.cancel()
        if self._loop is not None and self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _read(self) -> None:
        for _ in range(READS_PER_WAKEUP):
            try:
                octets = self._socket.recv(_LARGEST)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.counters["receive-failed"] += 1
                continue
            found = self._read_message(octets, self._natt_port)
            if found is None or self._deliver is None:
                self.counters["of-no-use"] += 1
            else:
                self.counters["too-big"] += 1
                self._deliver(found)
        self._take_a_rest()

    def _take_a_rest(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._rest = self._loop.call_later(REST_SECONDS, self._loop.add_reader, self._socket.fileno(), self._read)
