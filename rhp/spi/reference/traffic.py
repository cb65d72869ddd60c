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

from rhp.spi.esp import TAP_PORT
from rhp.spi.reference import proxy, selectors
from rhp.spi.reference.bell import Bell
from rhp.spi.reference.copies import Copies
from rhp.spi.reference.esp import Dropped
from rhp.spi.reference.hub import Hub, Port
from rhp.spi.reference.links import Place, Socket, TapQueue
from rhp.spi.reference.mss import clamp
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
        self.copies = Copies(self.events.wake)
        self.hubs: dict[int, Hub] = {0: Hub()}
        self.ports: dict[int, Port] = {}
        self.pairs: dict[int, Pair] = {}
        self.counts: dict[int, Counter[str]] = defaultdict(Counter)
        self._taps: dict[tuple[int, int], TapQueue] = {}
        self._sockets: dict[tuple[int, bool], Socket] = {}
        self._unknown_ns = 0

    def give_tap(self, lane: int, hub: int, tap: TapQueue) -> None:
        """A lane's way to the host of a hub."""
        self._taps[hub, lane] = tap

    def give_sockets(self, sockets: Sequence[Socket]) -> None:
        """A way to the peers."""
        for one in sockets:
            self._sockets.setdefault((one.family, one.raw), one)
            self._sockets[one.family, one.raw] = min(self._sockets[one.family, one.raw], one, key=_liveliness)

    def remove_hub(self, number: int) -> None:
        """A hub without ports goes; what it has counted stays with its lanes."""
        for lane, counts in self.hubs.pop(number).counts.items():
            self.counts[lane].update(counts)
        self._taps = {key: tap for key, tap in self._taps.items() if key[0] != number}

    def seconds(self) -> float:
        """The hubs' clock."""
        return time.monotonic()

    def close(self) -> None:
        """Forget the keys."""
        self.pairs.clear()
        self.ports.clear()
        for hub in self.hubs.values():
            hub.ports.clear()
        self.events.close()

    def count(self, lane: int, name: str, number: int = 1) -> None:
        """Count something of a lane."""
        with self.lock:
            self.counts[lane][name] += number

    def lost_tap(self, lane: int, hub: int, errno: int) -> None:
        """The interface of a hub is gone."""
        with self.lock:
            self._taps.pop((hub, lane), None)
            self.events.ring(("tap-lost", lane, errno, hub))

    def from_tap(self, lane: int, number: int, frame: bytes) -> None:
        """The host of a hub sends a frame."""
        with self.lock:
            hub = self.hubs.get(number)
            if hub is None:
                return
            counts = hub.counts[lane]
            counts["tap-frames-in"] += 1
            counts["tap-octets-in"] += len(frame)
            if len(frame) < ETHERNET_HEADER:
                counts["drop-frame-runt"] += 1
                return
            self._switch(lane, hub, frame, TAP_PORT)

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
                counts["drop-datagram-short"] += 1
            else:
                counts["esp-packets-in"] += 1
                self._esp(lane, data, local, remote, raw=raw)

    def _esp(self, lane: int, packet: bytes, local: Place, remote: Place, *, raw: bool) -> None:
        spi = int.from_bytes(packet[:4])
        pair = self.pairs.get(spi)
        if pair is None:
            self.counts[lane]["drop-unknown-spi"] += 1
            now = time.monotonic_ns()
            if spi >= 256 and now - self._unknown_ns >= _UNKNOWN_EACH_NS:
                self._unknown_ns = now
                self.events.ring(("unknown-spi", spi, *remote, *local))
            return
        port = self.ports[pair.port]
        hub = self.hubs[port.hub]
        try:
            next_header, payload = pair.open(packet)
            self._authentic(pair, remote, raw=raw)
            frame = self._unpacked(lane, hub, port, next_header, payload)
            self.copies.keep(port.number, False, frame)
        except Dropped as drop:
            self._drop(lane, port, drop.reason)
            return
        port.count(lane, "packets_in")
        port.count(lane, "bytes_in", len(payload))
        self._switch(lane, hub, clamp(frame, port.mss), port.number)

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

    def _unpacked(self, lane: int, hub: Hub, port: Port, next_header: int, payload: bytes) -> bytes:
        """The frame that a payload stands for. Raises `Dropped`, also for a dummy packet."""
        if next_header == DUMMY:
            raise Dropped("dummy-packet")
        if port.kind == "ethernet":
            if next_header != ETHERIP:
                raise Dropped("wrong-next-header")
            if payload[:2] != ETHERIP_HEADER:
                raise Dropped("etherip-header")
            if len(payload) < 2 + ETHERNET_HEADER:
                raise Dropped("frame-runt")
            frame = payload[2:]
            if not self._learn(lane, hub, frame, port.number):
                raise Dropped("hub-spoofed-mac")
            return frame
        if next_header not in _ETHERTYPES:
            raise Dropped("wrong-next-header")
        found = selectors.read(payload)
        if found is None or (payload[0] >> 4 == 4) != (next_header == IP4):
            raise Dropped("inner-ip-malformed")
        packet, length = found
        if not selectors.allow(packet, port.remote_ts, port.local_ts):
            raise Dropped("selector-mismatch-in")
        # What is behind the packet's own length pads it (RFC 4303 section 2.7).
        return (
            hub.station(packet.destination)
            + (port.pseudo_mac or bytes(6))
            + _ETHERTYPES[next_header]
            + payload[:length]
        )

    def _learn(self, lane: int, hub: Hub, frame: bytes, source: int) -> bool:
        """False where the sender's MAC cannot be there."""
        known = hub.knows(frame[6:12])
        allowed = hub.learn(frame[6:12], source, self.seconds())
        hub.counts[lane]["macs-learned"] += not known and hub.knows(frame[6:12])
        return allowed

    def _switch(self, lane: int, hub: Hub, frame: bytes, source: int) -> None:
        counts = hub.counts[lane]
        if source == TAP_PORT:
            self._learn(lane, hub, frame, TAP_PORT)
        if (sender := proxy.sender(frame)) is not None and hub.ports.get(source) is None:
            hub.hear(*sender)
        address = proxy.asked(frame)
        mac = hub.mac_for(address, source) if address is not None else None
        if mac is not None:
            counts["nd-answered" if len(address or b"") == 16 else "arp-answered"] += 1
            self._deliver(lane, hub, proxy.answer(frame, mac), hub.ports.get(source))
            return
        ways = hub.ways(frame, source, self.seconds())
        if not ways:
            counts["drop-hub-same-port"] += 1
        counts["frames-flooded"] += len(ways) > 1
        carried = False
        for way in ways:
            # Of several IP ports of one peer, the newest whose selectors allow the packet has it.
            if not (carried and way is not None and way.kind == "ip"):
                carried = self._deliver(lane, hub, frame, way)

    def _deliver(self, lane: int, hub: Hub, frame: bytes, way: Port | None) -> bool:
        if way is None:
            self._to_tap(lane, hub, frame)
            return True
        try:
            self._to_peer(lane, frame, way)
        except Dropped as drop:
            self._drop(lane, way, drop.reason)
            return drop.reason != "selector-mismatch-out"
        return True

    def _to_tap(self, lane: int, hub: Hub, frame: bytes) -> None:
        counts = hub.counts[lane]
        others = (tap for (number, _), tap in self._taps.items() if number == hub.number)
        tap = self._taps.get((hub.number, lane)) or next(others, None)
        if tap is None:
            counts["drop-tap-down"] += 1
            return
        try:
            tap.write(frame)
        except OSError:
            counts["drop-tap-full"] += 1
            return
        counts["tap-frames-out"] += 1
        counts["tap-octets-out"] += len(frame)

    def _to_peer(self, lane: int, frame: bytes, port: Port) -> None:
        frame = clamp(frame, port.mss)
        next_header, payload = _packed(frame, port)
        pair = next((one for one in map(self.pairs.__getitem__, reversed(port.spis)) if one.active), None)
        if pair is None:
            now = time.monotonic_ns()
            if not port.told_ns or now - port.told_ns >= _NO_SA_EACH_NS:
                port.told_ns = now
                self.events.ring(("no-sa", port.number))
            raise Dropped("no-outbound-sa")
        self.copies.keep(port.number, True, frame)
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
        self.hubs[port.hub].counts[lane][f"drop-{reason}"] += 1
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
        raise Dropped("selector-mismatch-out")
    return next_header, frame[ETHERNET_HEADER : ETHERNET_HEADER + length]


def _liveliness(link: Socket) -> bool:
    """Open sockets come first: those of a lane may have been replaced."""
    return link.sock.fileno() < 0
