"""ESP provider: what carries the packets of a node between its TAP and its peers.

The node decides who its peers are and which keys they have; a data plane does the rest: it reads the TAP and the
sockets that it is given, seals and opens ESP (RFC 4303), knows which station is behind which peer, and tells what the
control plane has to know as events. Every call comes from one thread, that of asyncio, and must not block it: a
provider has threads of its own. `rhp._fast` is the built-in one; `rhp.spi.reference` is a second one in plain Python.

The entry point (group `rhp.esp`) names an object with `api_version` and `open`, see `EspProvider`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from rhp._fast.params import Encapsulation, PortKind, SaParams, Selector, Steering

__all__ = ["DataPlane", "Encapsulation", "EspProvider", "Event", "PortKind", "SaParams", "Selector", "Steering"]

TAP_PORT = 0
"""The port of a hub's TAP, in every hub."""

Event = (
    tuple[Literal["ike"], str, int, str, int, bytes]
    | tuple[Literal["unknown-spi"], int, str, int, str, int]
    | tuple[Literal["sa-limit"], int, str]
    | tuple[Literal["first-inbound"], int]
    | tuple[Literal["no-sa"], int]
    | tuple[Literal["tap-lost"], int, int, int]
    | tuple[Literal["nat-moved"], int, str, int]
    | tuple[Literal["path-answer"], int, int]
)
"""What a data plane tells; `DataPlane.poll_events` says what each means."""

Frame = tuple[int, bool, int, int, bytes]
"""A captured frame: (port, whether it enters the tunnel, CLOCK_MONOTONIC ns, its length, its first octets)."""

LANE_COUNTERS = (
    "tap-frames-in",
    "tap-frames-out",
    "tap-super-frames-in",
    "tap-super-frames-out",
    "tap-octets-in",
    "tap-octets-out",
    "esp-packets-in",
    "esp-packets-out",
    "packets-merged",
    "trains-in",
    "trains-out",
    "train-packets-in",
    "train-packets-out",
    "trains-refused",
    "receive-calls",
    "send-calls",
    "wakeups",
)
"""The counters that `rhp status` asks for by name, 0 where there is nothing to count; others are shown as they are."""

HUB_COUNTERS = (
    "tap-frames-in",
    "tap-frames-out",
    "tap-octets-in",
    "tap-octets-out",
    "frames-flooded",
    "macs-learned",
)
"""Those of a hub, of which the same holds."""

SA_COUNTERS = (
    "packets_in",
    "bytes_in",
    "packets_out",
    "bytes_out",
    "last_in_ns",
    "last_out_ns",
    "sequence",
    "replay_drops",
    "auth_drops",
)
PORT_COUNTERS = ("packets_in", "bytes_in", "packets_out", "bytes_out", "drops")


class DataPlane(Protocol):
    """One node's packet path. IP addresses are text, SPIs integers, MAC addresses 6 octets; port 0 is a hub's TAP.

    Hubs are small integers, and hub 0 is always there. Each has a TAP, stations, addresses, settings and ports of its
    own, and no frame goes from one to another; the number of a port is the only such one in all of them.

    Errors: ValueError for a value that cannot be (bad address, key length, unknown suite, a full table), KeyError for a
    hub, port or SPI that is not there, RuntimeError for a call in the wrong state, OSError from the system. Nothing
    that comes from the network may raise: it is dropped and counted.
    """

    @property
    def event_fd(self) -> int:
        """A descriptor that is readable while events wait; `poll_events` clears it."""
        ...

    @property
    def lanes(self) -> int:
        """How many TAP queues and sockets of a family it wants: what it was opened with, and what `add_lane` added."""
        ...

    @property
    def prepared(self) -> int:
        """How many there may be, the spare ones too: `spi % prepared` is the lane of an inbound SPI."""
        ...

    def poll_events(self, limit: int = 256) -> Sequence[Event]:
        """Up to `limit` events, oldest first; never blocks. What finds no room is dropped and counted.

        ("ike", remote_ip, remote_port, local_ip, local_port, data): what came behind the non-ESP marker (RFC 3948).
        ("unknown-spi", spi, remote_ip, remote_port, local_ip, local_port): rate-limited; ports are 0 for protocol 50.
        ("sa-limit", spi_in, stage): the pair is "near" the end of its numbers, packets or octets, or it is "over".
        ("first-inbound", spi_in): the first authenticated packet of an inbound SA.
        ("no-sa", port): traffic for a port without an active outbound SA, rate-limited.
        ("tap-lost", lane, errno, hub): the TAP of a hub is gone; sockets go on.
        ("path-answer", spi_in, octets): a probe of that many octets arrived at the peer, which says so.
        ("nat-moved", spi_in, ip, port): the newest authenticated packet came from another address; rate-limited, and
        told again every few seconds for as long as it is so.
        """
        ...

    def attach_tap(self, lane: int, fd: int, mac: bytes, offloads: int = 0, hub: int = 0) -> None:
        """Take a queue of a hub's TAP (IFF_TAP, IFF_NO_PI) that has this MAC; the descriptor stays the caller's.

        At any time: while the lane is at work, too, in the place of a queue that was lost.

        With `offloads` (TUN_F_* bits) each frame has a virtio_net_hdr of 10 octets in front of it.
        """
        ...

    def attach_udp(
        self, lane: int, fd: int, family: int, *, tail: bool | None = None, with_doors: bool = False
    ) -> None:
        """Take a bound socket of the NAT-T port; the descriptor stays the caller's.

        Where `with_doors`, the first two sockets of its SO_REUSEPORT group hear IKE, and the data plane has to see to
        it that the kernel gives them that, and each lane the ESP of its SPIs. `tail` is for those that send trains.
        """
        ...

    def attach_raw(self, lane: int, fd: int, family: int) -> None:
        """Take a raw socket of IP protocol 50; the descriptor stays the caller's."""
        ...

    def offloads(self, lane: int, hub: int = 0) -> dict[str, int | tuple[int, bool]]:
        """What the kernel does for a lane: "tap" are the TUN_F_* bits in use for a hub; "udp4", "udp6", "esp4"
        and "esp6", where there is such a socket, (datagrams that may be sent as one train, whether trains are
        received).
        """
        ...

    def pin(self, cpus: Sequence[int]) -> None:
        """Keep each lane on the processor of its place in `cpus`; empty means anywhere. Only while stopped."""
        ...

    def cpu(self, lane: int) -> tuple[int | None, int]:
        """The processor that a lane is kept on, if it is, and the nanoseconds of processor time it has used."""
        ...

    def start(self) -> None:
        """Begin to carry packets; RuntimeError when it does so already."""
        ...

    def add_lane(self) -> int:
        """Take the next spare lane into use and return its number; ValueError without one."""
        ...

    def stop(self) -> None:
        """Carry nothing until the next `start`; SAs, ports and descriptors stay. Safe twice."""
        ...

    def close(self) -> None:
        """Stop, and wipe and free everything. Safe twice; nothing else works afterwards."""
        ...

    def allocate_spi(self, lane: int | None = None) -> int:
        """A random inbound SPI >= 256 that no live SA uses, of that lane in use if one is given (ValueError)."""
        ...

    def add_port(
        self,
        kind: PortKind,
        *,
        pseudo_mac: bytes | None = None,
        isolate_group: int = 0,
        mss: int = 0,
        local_ts: Sequence[Selector] = (),
        remote_ts: Sequence[Selector] = (),
        hub: int = 0,
    ) -> int:
        """Make a port of a hub, "ethernet" or "ip", for one child of one peer; its number, at least 1.

        An "ip" port has a `pseudo_mac`: the hub answers ARP and ND with it for `remote_ts`, takes the Ethernet header
        off what goes to it, and lets pass what the selectors allow. Ports of one `isolate_group` above 0 never see each
        other. `mss` above 0 clamps TCP SYNs in both directions.
        """
        ...

    def set_port_path(self, port: int, *, mss: int, limit: int) -> None:
        """Another MSS, and the longest frame in octets that travels in one piece (0 is none). KeyError."""
        ...

    def remove_port(self, port: int) -> None:
        """Take the port away with its SAs and all that was learned of it. KeyError."""
        ...

    def install(self, sa: SaParams) -> None:
        """Put a pair of SAs on its port; from now on it receives, and sends where it is the newest active pair."""
        ...

    def retire(self, spi_in: int) -> None:
        """Take a pair away and wipe its keys; the port falls back to the newest active pair that remains. KeyError."""
        ...

    def migrate(
        self, spi_in: int, local: tuple[str, int], remote: tuple[str, int], encapsulation: Encapsulation
    ) -> None:
        """Send a pair through another path from now on; `local` and `remote` are (ip, port). KeyError."""
        ...

    def probe(self, spi_in: int, octets: int) -> None:
        """Send a dummy packet (RFC 4303 section 2.6) of at most `octets` that asks for an answer, or do nothing.

        The question is one that only nodes of one kind understand. Without it, the length of a path is what ICMP and
        the configuration say.
        """
        ...

    def activate(self, spi_in: int) -> None:
        """Allow outbound use of a pair that was installed with `outbound_active=False`. KeyError."""
        ...

    def deactivate(self, spi_in: int) -> None:
        """Use a pair for what comes in only. KeyError."""
        ...

    def add_hub(self, *, stations: int = 4096) -> int:
        """Make a hub, at any time, and return its number. Its tables hold so many stations, and as many addresses.

        ValueError with a sentence where there can be no further one.
        """
        ...

    def remove_hub(self, hub: int) -> None:
        """Take a hub away, and close its queues. ValueError for hub 0, or while it has ports; KeyError."""
        ...

    def hubs(self) -> Sequence[int]:
        """The numbers of all hubs."""
        ...

    def set_hub(
        self,
        *,
        mac_ageing: int = 600,
        isolate: bool = False,
        arp_proxy: bool = True,
        answer_oversized: bool = False,
        ordering: Literal["off", "drop", "hold"] = "off",
        static: Sequence[tuple[bytes, int]] = (),
        hub: int = 0,
    ) -> None:
        """A hub's behaviour: seconds until a MAC is forgotten, peers kept apart, proxies, (MAC, port) that are fixed.

        ValueError for an `ordering` or `answer_oversized` that the provider does not offer, as a sentence.
        """
        ...

    def add_neighbour(self, ip: str, mac: bytes, port: int, hub: int = 0) -> None:
        """Answer ARP or ND for `ip` with `mac`, which is behind `port`, in the hub of the port.

        With port 0, know that in `hub` the host does so itself.
        """
        ...

    def remove_neighbour(self, ip: str, hub: int = 0) -> None:
        """Forget the address in a hub; KeyError when it is not there."""
        ...

    def macs(self, hub: int = 0) -> Sequence[tuple[bytes, int, float]]:
        """A hub's table: (MAC, port, seconds since last seen; 0.0 for a static entry)."""
        ...

    def hub_counters(self, hub: int, lane: int | None = None) -> dict[str, int]:
        """What was counted between a hub's TAP and its ports, `HUB_COUNTERS` and drops; of one lane, or of all."""
        ...

    def capture(self, octets: int, port: int | None = None) -> None:
        """Keep copies of the first `octets` of each frame that a tunnel carries, for `poll_frames`; 0 ends it.

        Of one port, or of all; what a tunnel of IP carries has its Ethernet header in front. ValueError for more than
        65550 octets; KeyError.
        """
        ...

    def poll_frames(self, limit: int = 256) -> Sequence[Frame]:
        """Take up to `limit` captured frames; never blocks. `event_fd` becomes readable when there are some."""
        ...

    def frames_lost(self) -> int:
        """How many frames the captures have missed so far, because nobody took the copies in time."""
        ...

    def counters(self) -> dict[str, int]:
        """Every counter by its kebab-case name, `LANE_COUNTERS` among them; of each drop, "drop-" and its reason."""
        ...

    def lane_counters(self, lane: int) -> dict[str, int]:
        """The same names for one lane. ValueError."""
        ...

    def sa_counters(self, spi_in: int) -> dict[str, int]:
        """`SA_COUNTERS`; times are CLOCK_MONOTONIC in ns, 0 for never, octets those of inner packets. KeyError."""
        ...

    def port_counters(self, port: int, lane: int | None = None) -> dict[str, int]:
        """`PORT_COUNTERS` of one lane, or of all. KeyError."""
        ...


class EspProvider(Protocol):
    """What the entry point names: it opens data planes."""

    @property
    def api_version(self) -> int:
        """The version of this page that it was written for."""
        ...

    def open(self, lanes: int, steering: Steering, spare: int) -> DataPlane:
        """A data plane with so many lanes in use and so many spare ones, carrying nothing yet.

        `steering` says what a lane has in common: the frames of a flow, or those to a station. ValueError or OSError
        with a sentence for what it cannot do.
        """
        ...
