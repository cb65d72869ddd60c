"""A packet's way, both ways, one packet at a time; what the RFCs say of each step and nothing to make it fast.

Out: frame from the TAP -> hub -> EtherIP (RFC 3378), or IP by the child's selectors -> ESP -> UDP (RFC 3948) or
protocol 50. In: ESP by its SPI -> replay window -> the frame, or the packet with a header in front -> hub -> the TAP,
or another peer. Nothing here raises for what a packet holds: it ends in a counter.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

from rhp.spi.reference import proxy, selectors
from rhp.spi.reference.bell import Bell
from rhp.spi.reference.esp import Dropped
from rhp.spi.reference.hub import TAP_PORT, Hub, Port
from rhp.spi.reference.links import Place, Socket, TapQueue
from rhp.spi.reference.pairs import Pair

NON_ESP_MARKER = bytes(4)
ETHERIP_HEADER = b"\x30\x00"
ETHERIP, IP4, IP6, DUMMY = 97, 4, 41, 59
ETHERNET_HEADER = 14
_ETHERTYPES = {IP4: b"\x08\x00", IP6: b"\x86\xdd"}
_HEADERS = {ethertype: number for number, ethertype in _ETHERTYPES.items()}
_SECOND = 1_000_000_000
_UNKNOWN_EACH_NS = _SECOND // 20
_NO_SA_EACH_NS = _SECOND
_MOVED_EACH_NS = 5 * _SECOND


class Traffic:
    """What there is to carry, and the carrying. Whoever calls from outside holds `lock`, but for the packets' verbs."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.events = Bell()
        self.hub = Hub()
        self.pairs: dict[int, Pair] = {}
        self.counts: dict[int, Counter[str]] = defaultdict(Counter)
        self._taps: dict[int, TapQueue] = {}
        self._sockets: dict[tuple[int, bool], Socket] = {}
        self._unknown_ns = 0

    def give(self, lane: int, tap: TapQueue | None, sockets: Sequence[Socket]) -> None:
        """A lane's way out."""
        if tap is not None:
            self._taps[lane] = tap
        for one in sockets:
            self._sockets.setdefault((one.family, one.raw), one)
            self._sockets[one.family, one.raw] = min(self._sockets[one.family, one.raw], one, key=_liveliness)

    def seconds(self) -> float:
        """The hub's clock."""
        return time.monotonic()

    def close(self) -> None:
        """Forget the keys."""
        self.pairs.clear()
        self.hub.ports.clear()
        self.events.close()

    def count(self, lane: int, name: str, number: int = 1) -> None:
        """Count something of a lane."""
        with self.lock:
            self.counts[lane][name] += number

    def lost_tap(self, lane: int, errno: int) -> None:
        """The interface is gone."""
        with self.lock:
            self._taps.pop(lane, None)
            self.events.ring(("tap-lost", lane, errno))

    def from_tap(self, lane: int, frame: bytes) -> None:
        """The host sends a frame."""
        with self.lock:
            counts = self.counts[lane]
            counts["tap-frames-in"] += 1
            counts["tap-octets-in"] += len(frame)
            if len(frame) < ETHERNET_HEADER:
                counts["drop-frame-runt"] += 1
                return
            self._switch(lane, frame, TAP_PORT)

    def from_peer(self, lane: int, data: bytes, local: Place, remote: Place, *, raw: bool) -> None:
        """A datagram came to the NAT-T port, or with `raw` a packet of protocol 50."""
        with self.lock:
            counts = self.counts[lane]
            counts["receive-calls"] += 1
            if not raw and data == b"\xff":
                counts["keepalives-in"] += 1
            elif not raw and data[:4] == NON_ESP_MARKER and len(data) > 4:
                counts["ike-datagrams-in"] += 1
                self.events.ring(("ike", *remote, *local, data[4:]))
            elif len(data) < 8:
                counts["drop-esp-too-short"] += 1
            else:
                counts["esp-packets-in"] += 1
                self._esp(lane, data, local, remote, raw=raw)

    def _esp(self, lane: int, packet: bytes, local: Place, remote: Place, *, raw: bool) -> None:
        spi = int.from_bytes(packet[:4])
        pair = self.pairs.get(spi)
        if pair is None:
            self.counts[lane]["drop-esp-unknown-spi"] += 1
            now = time.monotonic_ns()
            if spi >= 256 and now - self._unknown_ns >= _UNKNOWN_EACH_NS:
                self._unknown_ns = now
                self.events.ring(("unknown-spi", spi, *remote, *local))
            return
        port = self.hub.ports[pair.port]
        try:
            next_header, payload = pair.open(packet)
            self._authentic(pair, remote, raw=raw)
            frame = self._unpacked(port, next_header, payload)
        except Dropped as drop:
            self._drop(lane, port, drop.reason)
            return
        port.count(lane, "packets_in")
        port.count(lane, "bytes_in", len(payload))
        self._switch(lane, frame, port.number)

    def _authentic(self, pair: Pair, remote: Place, *, raw: bool) -> None:
        """What the control plane has to know of a packet that was opened."""
        if pair.counts["packets_in"] == 1:
            self.events.ring(("first-inbound", pair.spi_in))
        if stage := pair.news():
            self.events.ring(("sa-limit", pair.spi_in, stage))
        if not raw and pair.encapsulation == "udp" and remote != pair.remote:
            now = time.monotonic_ns()
            if not pair.moved_ns or now - pair.moved_ns >= _MOVED_EACH_NS:
                pair.moved_ns = now
                self.events.ring(("nat-moved", pair.spi_in, *remote))

    def _unpacked(self, port: Port, next_header: int, payload: bytes) -> bytes:
        """The frame that a payload stands for. Raises `Dropped`, also for a dummy packet."""
        if next_header == DUMMY:
            raise Dropped("esp-dummy")
        if port.kind == "ethernet":
            if next_header != ETHERIP:
                raise Dropped("inner-protocol")
            if payload[:2] != ETHERIP_HEADER or len(payload) < 2 + ETHERNET_HEADER:
                raise Dropped("etherip-malformed")
            frame = payload[2:]
            if not self.hub.learn(frame[6:12], port.number, self.seconds()):
                raise Dropped("mac-forbidden")
            return frame
        if next_header not in _ETHERTYPES:
            raise Dropped("inner-protocol")
        found = selectors.read(payload)
        if found is None or (payload[0] >> 4 == 4) != (next_header == IP4):
            raise Dropped("inner-malformed")
        packet, length = found
        if not selectors.allow(packet, port.remote_ts, port.local_ts):
            raise Dropped("selector-inbound")
        # What is behind the packet's own length pads it (RFC 4303 section 2.7).
        return self.hub.own + (port.pseudo_mac or bytes(6)) + _ETHERTYPES[next_header] + payload[:length]

    def _switch(self, lane: int, frame: bytes, source: int) -> None:
        now = self.seconds()
        if source == TAP_PORT:
            self.hub.learn(frame[6:12], TAP_PORT, now)
        address = proxy.asked(frame)
        mac = self.hub.mac_for(address, source) if address is not None else None
        if mac is not None:
            self.counts[lane]["nd-answered" if len(address or b"") == 16 else "arp-answered"] += 1
            self._deliver(lane, proxy.answer(frame, mac), self.hub.ports.get(source))
            return
        ways = self.hub.ways(frame, source, now)
        if not ways:
            self.counts[lane]["drop-no-way"] += 1
        self.counts[lane]["frames-flooded"] += len(ways) > 1
        carried = False
        for way in ways:
            # Of several IP ports of one peer, the newest whose selectors allow the packet has it.
            if not (carried and way is not None and way.kind == "ip"):
                carried = self._deliver(lane, frame, way)

    def _deliver(self, lane: int, frame: bytes, way: Port | None) -> bool:
        if way is None:
            self._to_tap(lane, frame)
            return True
        try:
            self._to_peer(lane, frame, way)
        except Dropped as drop:
            self._drop(lane, way, drop.reason)
            return drop.reason != "selector-outbound"
        return True

    def _to_tap(self, lane: int, frame: bytes) -> None:
        tap = self._taps.get(lane) or next(iter(self._taps.values()), None)
        if tap is None:
            self.counts[lane]["drop-tap-missing"] += 1
            return
        try:
            tap.write(frame)
        except OSError:
            self.counts[lane]["drop-tap-full"] += 1
            return
        self.counts[lane]["tap-frames-out"] += 1
        self.counts[lane]["tap-octets-out"] += len(frame)

    def _to_peer(self, lane: int, frame: bytes, port: Port) -> None:
        next_header, payload = _packed(frame, port)
        pair = next((one for one in map(self.pairs.__getitem__, reversed(port.spis)) if one.active), None)
        if pair is None:
            now = time.monotonic_ns()
            if not port.told_ns or now - port.told_ns >= _NO_SA_EACH_NS:
                port.told_ns = now
                self.events.ring(("no-sa", port.number))
            raise Dropped("no-sa")
        try:
            packet = pair.seal(next_header, payload)
        finally:
            if stage := pair.news():
                self.events.ring(("sa-limit", pair.spi_in, stage))
        self._send(lane, packet, pair)
        port.count(lane, "packets_out")
        port.count(lane, "bytes_out", len(payload))

    def _send(self, lane: int, packet: bytes, pair: Pair) -> None:
        family = 10 if ":" in pair.remote[0] else 2
        link = self._sockets.get((family, pair.encapsulation == "esp"))
        if link is None:
            raise Dropped("no-socket")
        self.counts[lane]["send-calls"] += 1
        try:
            link.send(packet, pair.local[0], pair.remote)
        except OSError:
            raise Dropped("send-failed") from None
        self.counts[lane]["esp-packets-out"] += 1

    def _drop(self, lane: int, port: Port, reason: str) -> None:
        self.counts[lane][f"drop-{reason}"] += 1
        port.count(lane, "drops")


def _packed(frame: bytes, port: Port) -> tuple[int, bytes]:
    """Next header and payload for a frame. Raises `Dropped` for what an IP port does not take."""
    if port.kind == "ethernet":
        return ETHERIP, ETHERIP_HEADER + frame
    next_header = _HEADERS.get(frame[12:14])
    found = selectors.read(frame[ETHERNET_HEADER:])
    if next_header is None or found is None:
        raise Dropped("not-ip")
    packet, length = found
    if not selectors.allow(packet, port.local_ts, port.remote_ts):
        raise Dropped("selector-outbound")
    return next_header, frame[ETHERNET_HEADER : ETHERNET_HEADER + length]


def _liveliness(link: Socket) -> bool:
    """Open sockets come first: those of a lane may have been replaced."""
    return link.sock.fileno() < 0
