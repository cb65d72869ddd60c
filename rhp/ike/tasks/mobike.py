"""MOBIKE is agreed on in IKE_AUTH (RFC 4555 section 3.2), with the further addresses of both sides (section 3.4)."""

from rhp.ike import lifetimes, paths
from rhp.ike.errors import PeerError
from rhp.ike.ike_sa import IkeSa
from rhp.ike.mobility import Mobility, address_notifies, read_addresses
from rhp.ike.path import IpAddress
from rhp.ike.tasks import mobike_addresses
from rhp.ike.tasks.nat_ban import is_violated
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.notify import Notify


@hook(ExchangeType.IKE_AUTH, order=45)
class MobikeSupported(Task):
    """Both say MOBIKE_SUPPORTED, or there is none. It comes after the proofs, and before the first child."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: tuple[IpAddress, ...] = ()

    def build(self, turn: Turn) -> None:
        """Offer it; as responder only to a peer that did, once it is authenticated."""
        sa = turn.sa
        if not turn.ours and sa.mobility is None:
            return
        if sa.config.mobike:
            self._told = further = paths.further_addresses(sa)
            turn.out.append(Notify(NotifyType.MOBIKE_SUPPORTED))
            turn.out += address_notifies(further) if further else []
            if sa.mobility is not None:
                sa.mobility.told = further
                _to_natt_ports(sa)

    def process(self, turn: Turn) -> None:
        """Take note of the peer's offer and addresses. Raises PeerError where a NAT is on a way that must have none."""
        sa = turn.sa
        if is_violated(turn):
            raise PeerError("unexpected-nat", NotifyType.UNEXPECTED_NAT_DETECTED, fatal=True)
        if not sa.config.mobike or turn.message.notify(NotifyType.MOBIKE_SUPPORTED) is None:
            return
        sa.mobility = Mobility(sa.path.remote.ip)
        sa.mobility.peer_addresses = read_addresses(sa, turn.message)
        if turn.ours:
            # The request told these, a round trip ago.
            sa.mobility.told = self._told
            if self._told != paths.further_addresses(sa):
                turn.follow.append(mobike_addresses.tell(sa))
            lifetimes.watch_paths(sa, turn.now)


def _to_natt_ports(sa: IkeSa) -> None:
    """Later messages use the NAT-T ports on both sides, though IKE_AUTH did not yet (section 3.3)."""
    if sa.nat_detection and not sa.path.natt:
        sa.path = sa.path.floated(sa.ctx.config.natt_port, sa.config.remote_natt_port)
