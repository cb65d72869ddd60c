"""NAT detection (RFC 7296 section 2.23), and UDP encapsulation even where there is no NAT.

Each side sends hashes of the addresses and ports it knows of. If ours of the destination does not match, a NAT is in
front of us; if the peer's of the source does not match, one is in front of the peer. To have ESP travel in UDP in any
case we send a source hash that cannot match.
"""

from hashlib import sha1

from rhp.ike.ike_sa import NO_SPI
from rhp.ike.path import Endpoint
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.notify import Notify

HASH_OCTETS = 20


@hook(ExchangeType.IKE_SA_INIT, order=30)
class NatDetection(Task):
    """Both hashes, both ways; after the response both sides know whether to move to the NAT-T ports."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """Send the hashes; a responder answers with them only if it was sent some."""
        sa = turn.sa
        if not turn.ours and turn.message.notify(NotifyType.NAT_DETECTION_SOURCE_IP) is None:
            return
        spi_r = NO_SPI if turn.ours else sa.spi_r
        if sa.config.encapsulation == "udp":
            source = turn.ctx.random(HASH_OCTETS)
        else:
            source = endpoint_hash(sa.spi_i, spi_r, turn.path.local)
        turn.out.append(Notify(NotifyType.NAT_DETECTION_SOURCE_IP, source))
        turn.out.append(
            Notify(NotifyType.NAT_DETECTION_DESTINATION_IP, endpoint_hash(sa.spi_i, spi_r, turn.path.remote))
        )

    def process(self, turn: Turn) -> None:
        """Compare, and take the initiator to the NAT-T ports where needed; the responder follows it there."""
        sa = turn.sa
        spi_r = sa.spi_r if turn.ours else NO_SPI
        sources = _hashes(turn, NotifyType.NAT_DETECTION_SOURCE_IP)
        destinations = _hashes(turn, NotifyType.NAT_DETECTION_DESTINATION_IP)
        if not sources or not destinations:
            return
        sa.nat_remote = endpoint_hash(sa.spi_i, spi_r, turn.path.remote) not in sources
        sa.nat_local = endpoint_hash(sa.spi_i, spi_r, turn.path.local) not in destinations
        sa.encapsulate = sa.nat_remote or sa.nat_local or sa.config.encapsulation == "udp"
        if turn.ours and sa.encapsulate and not sa.path.natt:
            sa.path = sa.path.floated(turn.ctx.config.natt_port, sa.config.remote_natt_port)


def endpoint_hash(spi_i: bytes, spi_r: bytes, endpoint: Endpoint) -> bytes:
    """SHA-1 of both SPIs, the address and the port; it hides nothing and need not be strong."""
    return sha1(spi_i + spi_r + endpoint.ip.packed + endpoint.port.to_bytes(2), usedforsecurity=False).digest()


def _hashes(turn: Turn, kind: int) -> list[bytes]:
    return [notify.data for notify in turn.message.all(Notify) if notify.type == kind]
