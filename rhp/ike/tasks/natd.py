"""NAT detection (RFC 7296 section 2.23), and UDP encapsulation even where there is no NAT.

Each side sends hashes of the addresses and ports it knows of. If ours of the destination does not match, a NAT is in
front of us; if the peer's of the source does not match, one is in front of the peer. To have ESP travel in UDP in any
case we send a source hash that cannot match.
"""

from hashlib import sha1

from rhp.ike.ike_sa import NO_SPI, IkeSa
from rhp.ike.path import Endpoint, Path
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.notify import Notify

HASH_OCTETS = 20


@hook(ExchangeType.IKE_SESSION_RESUME, order=30)
@hook(ExchangeType.IKE_SA_INIT, order=30)
class NatDetection(Task):
    """Both hashes, both ways; after the response both sides know whether to move to the NAT-T ports."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """Send the hashes; a responder answers with them only if it was sent some."""
        if turn.ours or turn.message.notify(NotifyType.NAT_DETECTION_SOURCE_IP) is not None:
            turn.out += notifies(turn.sa, turn.path, NO_SPI if turn.ours else turn.sa.spi_r)

    def process(self, turn: Turn) -> None:
        """Compare, and take the initiator to the NAT-T ports where needed; the responder follows it there.

        Who knows MOBIKE goes there in any case, for another path may have a NAT (RFC 4555 section 3.3).
        """
        sa = turn.sa
        if not judge(turn, sa.spi_r if turn.ours else NO_SPI):
            return
        sa.nat_detection = True
        if turn.ours and (sa.encapsulate or sa.config.mobike) and not sa.path.natt:
            sa.path = sa.path.floated(turn.ctx.config.natt_port, sa.config.remote_natt_port)


@hook(ExchangeType.INFORMATIONAL, order=60)
class NatEcho(Task):
    """A peer that looks for changes of its NAT gets the hashes of the path on which it asked (RFC 4555 section 3.8)."""

    __slots__ = ()

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the peer sent hashes."""
        return turn.message.notify(NotifyType.NAT_DETECTION_SOURCE_IP) is not None

    def build(self, turn: Turn) -> None:
        """Answer with ours; nothing else comes of it."""
        turn.out += notifies(turn.sa, turn.path, turn.sa.spi_r)


def notifies(sa: IkeSa, path: Path, spi_r: bytes) -> list[Notify]:
    """The hashes for a message on that path."""
    if sa.config.encapsulation == "udp":
        source = sa.ctx.random(HASH_OCTETS)
    else:
        source = endpoint_hash(sa.spi_i, spi_r, path.local)
    return [
        Notify(NotifyType.NAT_DETECTION_SOURCE_IP, source),
        Notify(NotifyType.NAT_DETECTION_DESTINATION_IP, endpoint_hash(sa.spi_i, spi_r, path.remote)),
    ]


def judge(turn: Turn, spi_r: bytes) -> bool:
    """Find NATs by the hashes of the peer's message; False where it has none."""
    sa, newest = turn.sa, turn.sa.newest
    sources = _hashes(turn, NotifyType.NAT_DETECTION_SOURCE_IP)
    destinations = _hashes(turn, NotifyType.NAT_DETECTION_DESTINATION_IP)
    if not sources or not destinations:
        return False
    newest.nat_remote = endpoint_hash(sa.spi_i, spi_r, turn.path.remote) not in sources
    newest.nat_local = endpoint_hash(sa.spi_i, spi_r, turn.path.local) not in destinations
    newest.encapsulate = newest.nat_remote or newest.nat_local or sa.config.encapsulation == "udp"
    return True


def seen_as(turn: Turn) -> bytes:
    """How the peer sees our address and port, as it was hashed; empty where it does not say."""
    return next(iter(_hashes(turn, NotifyType.NAT_DETECTION_DESTINATION_IP)), b"")


def endpoint_hash(spi_i: bytes, spi_r: bytes, endpoint: Endpoint) -> bytes:
    """SHA-1 of both SPIs, the address and the port; it hides nothing and need not be strong."""
    return sha1(spi_i + spi_r + endpoint.ip.packed + endpoint.port.to_bytes(2), usedforsecurity=False).digest()


def _hashes(turn: Turn, kind: int) -> list[bytes]:
    return [notify.data for notify in turn.message.all(Notify) if notify.type == kind]
