from collections.abc import Sequence
from types import TracebackType
from typing import Literal, Self

from rhp._fast.params import Encapsulation as Encapsulation
from rhp._fast.params import PortKind as PortKind
from rhp._fast.params import SaParams as SaParams
from rhp._fast.params import Selector as Selector
from rhp._fast.params import Steering as Steering

IkeEvent = tuple[Literal["ike"], str, int, str, int, bytes]
UnknownSpiEvent = tuple[Literal["unknown-spi"], int, str, int, str, int]
SaLimitEvent = tuple[Literal["sa-limit"], int, str]
FirstInboundEvent = tuple[Literal["first-inbound"], int]
NoSaEvent = tuple[Literal["no-sa"], int]
TapLostEvent = tuple[Literal["tap-lost"], int, int, int]
NatMovedEvent = tuple[Literal["nat-moved"], int, str, int]
PathAnswerEvent = tuple[Literal["path-answer"], int, int]
Event = (
    IkeEvent
    | UnknownSpiEvent
    | SaLimitEvent
    | FirstInboundEvent
    | NoSaEvent
    | TapLostEvent
    | NatMovedEvent
    | PathAnswerEvent
)

TAP_PORT: int

class DataPlane:
    """Lanes, hubs and security associations: the packet path behind one small Python face.

    Every call is for one control thread (asyncio's); none of them touches a packet or waits longer than the lanes
    need to read their mailbox (well under a millisecond). IP addresses are text. Hub ports are
    small integers; port 0 is the TAP of a port's hub. Hubs are small integers too, and hub 0 is always there. Each has
    a TAP, stations, addresses, settings and ports of its own, and no frame goes from one to another.

    Errors: ValueError for a value that cannot be (bad address, key length, unknown suite, a full table),
    KeyError for a hub, port or SPI that is not there, RuntimeError for a call in the wrong state, OSError from the
    system.
    """

    event_fd: int
    """An eventfd: readable while events wait; `poll_events` clears it. Owned by this object."""
    lanes: int
    """How many lanes are in use."""
    prepared: int
    """How many there may be: those in use and the spare ones. `spi % prepared` is an SPI's lane."""
    running: bool

    def __init__(self, lanes: int = 1, steering: Steering = "flow", spare: int = 0) -> None:
        """`spare` lanes have their memory, know what the others know, and rest until `add_lane`.

        `steering` says which lane gets a frame from the TAP: that of its flow, or that of the station it goes to;
        the TAP comes with what that takes of the kernel (rhp.guard.steering).
        """

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""

    def poll_events(self, limit: int = 256) -> list[Event]:
        """Up to `limit` events, the oldest of each lane first; never blocks.

        ("ike", remote_ip, remote_port, local_ip, local_port, data): what came behind the non-ESP marker.
        ("unknown-spi", spi, remote_ip, remote_port, local_ip, local_port): rate-limited; ports are 0 for protocol 50.
        ("sa-limit", spi_in, stage): the pair's numbers, packets or octets are "near" their end, or it is "over".
        ("first-inbound", spi_in): the first authenticated packet of an inbound SA.
        ("no-sa", port): traffic for a port without an active outbound SA, rate-limited.
        ("tap-lost", lane, errno, hub): the TAP of a hub vanished under a lane, which goes on with its sockets.
        ("path-answer", spi_in, octets): a probe of that many octets arrived at the peer, which says so.
        ("nat-moved", spi_in, ip, port): the newest authenticated packet came from another address; rate-limited, and
        told again every five seconds for as long as it is so.
        """

    def attach_tap(self, lane: int, fd: int, mac: bytes, offloads: int = 0, hub: int = 0) -> None:
        """Give a lane its queue of a hub's TAP (IFF_TAP|IFF_NO_PI); `mac` is the interface's own address.

        `offloads` are the TUN_F_* bits that TUNSETOFFLOAD took, with a header of 10 octets in front of each frame
        (IFF_VNET_HDR, TUNSETVNETHDRSZ); 0 means that there is no such header.
        The descriptor is duplicated and set non-blocking. An earlier queue is closed when the lane has let go of it.
        """

    def attach_udp(
        self, lane: int, fd: int, family: int, *, tail: bool | None = None, with_doors: bool = False
    ) -> None:
        """Give a lane its bound NAT-T socket of AF_INET or AF_INET6; with several lanes they form a SO_REUSEPORT group.

        It delivers ESP, and IKE behind the non-ESP marker (RFC 3948). The sockets of the group are given to lanes in
        the order they were bound; `with_doors` says that the sockets of a gate (rhp._fast.gate) were bound before them,
        which get the IKE then. The descriptor is duplicated; packet information is switched on. With `tail` a
        keep-alive ends each train of equal datagrams, by default where this kernel would spoil it. Only while the lane
        rests.
        """

    def attach_raw(self, lane: int, fd: int, family: int) -> None:
        """Give a lane a raw socket of protocol 50. Only while the lane rests."""

    def offloads(self, lane: int, hub: int = 0) -> dict[str, int | tuple[int, bool]]:
        """What the kernel does for a lane: "tap" holds the TUN_F_* bits in use for a hub, 0 for none; "udp4", "udp6",
        "esp4" and "esp6", where there is such a socket, (datagrams that may be sent as one train, whether trains are
        received).
        """

    def pin(self, cpus: Sequence[int]) -> None:
        """Have each lane run on the processor of its place in `cpus` alone; empty means anywhere. Only while stopped.

        ValueError when there is not one for each lane; one that the machine lacks is an OSError of `start`.
        """

    def cpu(self, lane: int) -> tuple[int | None, int]:
        """The processor that a lane is pinned to, if it is, and the nanoseconds of processor time it has used."""

    def start(self) -> None:
        """Start the lanes' threads. RuntimeError when they run already."""

    def add_lane(self) -> int:
        """Take the next spare lane into use and return its number; the others do not notice. ValueError without one.

        Give it its sockets and its TAP queue first: frames come to the queue from then on, and wait.
        """

    def stop(self) -> None:
        """Stop and join the threads; SAs, ports and descriptors stay for the next start. Safe twice."""

    def close(self) -> None:
        """Stop, then free SAs and descriptors. Safe twice; nothing else works afterwards."""

    def allocate_spi(self, lane: int | None = None) -> int:
        """A random inbound SPI >= 256 that no live SA uses; `spi % prepared` is the lane that will open its packets.

        With `lane` given it is one of that lane's; ValueError when there is no such lane.
        """

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
        """Make a port of a hub (one child lineage of one peer) and return its number, >= 1, which is the only such one.

        An "ip" port needs `pseudo_mac`; its selectors say what may pass, and ARP/ND proxy answers for `remote_ts`
        except where that is every address. Ports that share a pseudo-MAC are one peer's; the newest is in use.
        Ports of one `isolate_group` > 0 never see each other. `mss` > 0 clamps TCP SYNs in both directions; IPv6 gets
        20 less, as its header is that much longer.
        """

    def set_port_path(self, port: int, *, mss: int, limit: int) -> None:
        """Follow the path behind a port: the MSS of `add_port`, and the longest frame that travels in one piece.

        `limit` counts octets from the Ethernet header on, 0 is none. KeyError without the port.
        """

    def remove_port(self, port: int) -> None:
        """Take the port away with its SAs, learned MACs and neighbours. KeyError when it is not there."""

    def install(self, sa: SaParams) -> None:
        """Publish a pair of SAs to all lanes. ValueError on a key, suite or lane that does not fit, or a live `spi_in`.

        A lane sends on the newest active pair that is its own, else on the newest that is no lane's own, else on any.
        """

    def retire(self, spi_in: int) -> None:
        """Take a pair away; outbound falls back to the newest active one that remains.

        Packets that arrive after the call find the SA gone; its memory is freed when every lane has let go of it.
        """

    def migrate(
        self, spi_in: int, local: tuple[str, int], remote: tuple[str, int], encapsulation: Encapsulation
    ) -> None:
        """Send through another path from now on; `local` and `remote` are (ip, port)."""

    def probe(self, spi_in: int, octets: int) -> None:
        """Send a dummy packet of at most `octets` octets of ESP, never to be fragmented, that asks for an answer.

        Only a node of this kind answers, with a "path-answer" event; to others it is a dummy packet.
        """

    def activate(self, spi_in: int) -> None:
        """Allow outbound use of a pair that was installed with `outbound_active=False`."""

    def deactivate(self, spi_in: int) -> None:
        """Use a pair for what comes in only, as one that was replaced."""

    def add_hub(self, *, stations: int = 4096) -> int:
        """Make a hub and return its number, 1 to 4095. Give it its TAP then, a queue for each lane.

        Its tables hold so many stations, and as many addresses, rounded up to a power of two; 256 to 32,768.
        """

    def remove_hub(self, hub: int) -> None:
        """Take a hub away. Its descriptors are closed and its memory is freed when every lane has let go of it.

        ValueError for hub 0, or when it still has ports.
        """

    def hubs(self) -> list[int]:
        """The numbers of all hubs."""

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
        """Set a hub's behaviour: seconds until a learned MAC is forgotten, peers kept apart, proxies, fixed MACs.

        Frames that are too long for a path go in fragments, or are answered with ICMP where their sender can be told.
        `ordering` of what comes in for Ethernet ports: as it comes; without what others have overtaken; or with such
        packets held for a few milliseconds until those in front of them have come. `static` replaces the static entries
        as a whole.
        """

    def add_neighbour(self, ip: str, mac: bytes, port: int, hub: int = 0) -> None:
        """Answer ARP or ND for `ip` with `mac`, which lives behind `port`. Replaces an older entry.

        The hub is that of the port. Port 0 is the TAP of `hub`: this host answers for itself, so the hub only learns
        not to answer in its place.
        """

    def remove_neighbour(self, ip: str, hub: int = 0) -> None:
        """Forget the address in a hub; KeyError when it is not there."""

    def macs(self, hub: int = 0) -> list[tuple[bytes, int, float]]:
        """A hub's live table: (mac, port, seconds since last seen; 0.0 for a static entry)."""

    def hub_counters(self, hub: int, lane: int | None = None) -> dict[str, int]:
        """What was counted between a hub's TAP and its ports, under the names of `counters`; of one lane, or of all."""

    def capture(self, octets: int, port: int | None = None) -> None:
        """Keep copies of the first `octets` of each frame that a tunnel carries, for `poll_frames`; 0 ends it.

        Of one hub port, or of all. ValueError beyond 65550; KeyError without the port.
        """

    def poll_frames(self, limit: int = 256) -> list[tuple[int, bool, int, int, bytes]]:
        """Take captured frames: (port, whether it enters the tunnel, CLOCK_MONOTONIC ns, length, the first octets).

        The event descriptor becomes readable when there are some. In order within a lane only.
        """

    def frames_lost(self) -> int:
        """How many frames the captures have missed so far, because nobody took the copies in time."""

    def counters(self) -> dict[str, int]:
        """Every counter by name, summed over the lanes and hubs: totals, and "drop-" with each drop reason.

        "drop-socket-full" is the kernel's own count of this moment.
        """

    def lane_counters(self, lane: int) -> dict[str, int]:
        """The same names for one lane."""

    def sa_counters(self, spi_in: int) -> dict[str, int]:
        """packets_in, bytes_in, packets_out, bytes_out, last_in_ns (CLOCK_MONOTONIC; 0 = never), last_out_ns, sequence,
        replay_drops, auth_drops. Bytes are inner payload bytes. Read without stopping a lane.
        """

    def port_counters(self, port: int, lane: int | None = None) -> dict[str, int]:
        """packets_in, bytes_in, packets_out, bytes_out, drops; of one lane, or of all."""
