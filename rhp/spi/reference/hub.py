"""The virtual hub: which port a MAC address is behind (IEEE 802.1D section 7.8), and which ports a frame goes to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from rhp._fast.params import PortKind
from rhp.spi.esp import TAP_PORT
from rhp.spi.reference.selectors import Range

STATIONS = 4096
FEWEST_STATIONS, MOST_STATIONS = 256, 32768
MOST_PORTS = 65535
MAC_BYTES = 6


@dataclass(slots=True)
class Port:
    """A child of a peer. `spis` are its inbound SPIs, the newest last; `counts` by lane; `mss` 0 clamps nothing."""

    number: int
    kind: PortKind
    pseudo_mac: bytes | None
    isolate_group: int
    local_ts: tuple[Range, ...]
    remote_ts: tuple[Range, ...]
    mss: int = 0
    spis: list[int] = field(default_factory=list)
    counts: dict[int, Counter[str]] = field(default_factory=dict)
    told_ns: int = 0
    hub: int = 0

    def count(self, lane: int, name: str, number: int = 1) -> None:
        """Count something of it."""
        self.counts.setdefault(lane, Counter())[name] += number

    def is_asked_for(self, address: bytes) -> bool:
        """Whether somebody behind it may have this address; a range of all addresses says nothing."""
        return any(one.holds(address) and not one.everything for one in self.remote_ts)


class Hub:
    """Ports, MAC addresses and neighbours; no frame leaves it for another hub. `counts` by lane.

    `stations` bounds its tables. `now` is in seconds on any clock that never goes back.
    """

    def __init__(self, number: int = 0, stations: int = STATIONS) -> None:
        if not FEWEST_STATIONS <= stations <= MOST_STATIONS:
            raise ValueError(f"a hub has room for {FEWEST_STATIONS} to {MOST_STATIONS} stations, not for {stations}")
        self.number = number
        self.counts: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self._most = stations
        self.ports: dict[int, Port] = {}
        self.isolate = False
        self.proxies = True
        self._ageing = 600.0
        self._learned: dict[bytes, tuple[int, float]] = {}
        self._static: dict[bytes, int] = {}
        self._own: bytes | None = None
        self._neighbours: dict[bytes, tuple[bytes, int]] = {}
        self._heard: dict[bytes, bytes] = {}

    def hear(self, address: bytes, mac: bytes) -> None:
        """A station behind the TAP said which MAC it has; the oldest such word gives way to a new one."""
        self._heard.pop(address, None)
        if len(self._heard) >= self._most:
            del self._heard[next(iter(self._heard))]
        self._heard[address] = mac

    def station(self, address: bytes) -> bytes:
        """The MAC to which a packet for an IP address goes: that of who said so, else the TAP's own."""
        if address in self._neighbours:
            return self._neighbours[address][0]
        return self._heard.get(address, self.own)

    def set_own(self, mac: bytes) -> None:
        """The TAP's own MAC, which nobody else can claim."""
        self._own = checked_mac(mac)
        self._learned.pop(mac, None)

    @property
    def own(self) -> bytes:
        """The TAP's own MAC; a broadcast as long as it is not known."""
        return self._own or b"\xff" * MAC_BYTES

    def configure(self, *, ageing: float, isolate: bool, proxies: bool, static: Sequence[tuple[bytes, int]]) -> None:
        """Take over how it behaves; KeyError for a port that is not there."""
        fixed = {checked_mac(mac): port for mac, port in static}
        for port in fixed.values():
            if port != TAP_PORT:
                self.ports[port]
        self._ageing, self.isolate, self.proxies, self._static = ageing, isolate, proxies, fixed
        for mac in fixed:
            self._learned.pop(mac, None)

    def add(self, port: Port) -> None:
        """One more port; its number must be free."""
        if port.kind == "ip" and (port.pseudo_mac == self._own or port.pseudo_mac in self._static):
            raise ValueError("the pseudo-MAC is the TAP's or a static entry's")
        self.ports[port.number] = port

    def remove(self, number: int) -> Port:
        """Take a port away with all that was learned of it; KeyError."""
        port = self.ports.pop(number)
        self._learned = {mac: seen for mac, seen in self._learned.items() if seen[0] != number}
        self._static = {mac: at for mac, at in self._static.items() if at != number}
        self._neighbours = {ip: one for ip, one in self._neighbours.items() if one[1] != number}
        return port

    def knows(self, mac: bytes) -> bool:
        """Whether it was learned where this MAC is."""
        return mac in self._learned

    def learn(self, mac: bytes, port: int, now: float) -> bool:
        """A frame came from there; False where this MAC cannot, being fixed to another port."""
        if mac == self._own or mac in self._static:
            return port == (TAP_PORT if mac == self._own else self._static[mac])
        if mac[0] & 1 or any(one.pseudo_mac == mac for one in self.ports.values()):
            return False
        if mac not in self._learned and len(self._learned) >= self._most:
            self._forget(now)
        if mac in self._learned or len(self._learned) < self._most:
            self._learned[mac] = (port, now)
        return True

    def ways(self, frame: bytes, source: int, now: float) -> list[Port | None]:
        """The ports that a frame goes to; None stands for the TAP."""
        target = frame[:MAC_BYTES]
        there = self._where(target, now)
        if there is not None:
            ways: list[Port | None] = [self.ports.get(there) if there else None]
        else:
            ways = [one for one in reversed(self.ports.values()) if one.kind == "ip" and one.pseudo_mac == target]
            ways = ways or [None, *(one for one in self.ports.values() if one.kind == "ethernet")]
        return [way for way in ways if self._may(source, way)]

    def mac_for(self, address: bytes, source: int) -> bytes | None:
        """What to answer who asks for an IP address from there; None where somebody else may do so."""
        if not self.proxies:
            return None
        if address in self._neighbours:
            mac, behind = self._neighbours[address]
            return mac if behind not in (TAP_PORT, source) else None
        for port in reversed(self.ports.values()):
            if port.kind == "ip" and port.number != source and port.is_asked_for(address):
                return port.pseudo_mac
        return None

    def add_neighbour(self, ip: str, mac: bytes, port: int) -> None:
        """Know who has an address; ValueError for what is none, KeyError for a port that is not there."""
        address = ip_address(ip).packed
        if port != TAP_PORT:
            self.ports[port]
        if address not in self._neighbours and len(self._neighbours) >= self._most:
            raise ValueError("the table of neighbours is full")
        self._neighbours[address] = (checked_mac(mac), port)

    def remove_neighbour(self, ip: str) -> None:
        """Forget one; KeyError."""
        del self._neighbours[ip_address(ip).packed]

    def macs(self, now: float) -> list[tuple[bytes, int, float]]:
        """What is known: MAC, port, age in seconds, 0 for what is fixed."""
        self._forget(now)
        fixed = {**self._static, **({self._own: TAP_PORT} if self._own else {})}
        return [
            *((mac, port, 0.0) for mac, port in fixed.items()),
            *((mac, port, now - seen) for mac, (port, seen) in self._learned.items()),
        ]

    def _where(self, mac: bytes, now: float) -> int | None:
        if mac == self._own:
            return TAP_PORT
        if mac in self._static:
            return self._static[mac]
        port, seen = self._learned.get(mac, (None, now))
        return port if now - seen <= self._ageing else None

    def _may(self, source: int, way: Port | None) -> bool:
        if way is None or source == TAP_PORT:
            return (TAP_PORT if way is None else way.number) != source
        came = self.ports.get(source)
        if came is None or way.number == source or self.isolate:
            return False
        return came.isolate_group == 0 or came.isolate_group != way.isolate_group

    def _forget(self, now: float) -> None:
        self._learned = {mac: seen for mac, seen in self._learned.items() if now - seen[1] <= self._ageing}


def checked_mac(mac: bytes) -> bytes:
    """A MAC address of one station; ValueError for anything else."""
    if len(mac) != MAC_BYTES or mac[0] & 1 or not any(mac):
        raise ValueError(f"{mac.hex(':')} is not the MAC address of a station")
    return mac
