"""The list of a side's further addresses, told again when it changes (RFC 4555 section 3.6)."""

from rhp.ike import lifetimes, moving, paths
from rhp.ike.ike_sa import IkeSa
from rhp.ike.mobility import address_notifies, leads, read_addresses, told_by
from rhp.ike.tasks import mobike_update
from rhp.ike.tasks.nat_ban import is_violated
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType


@hook(ExchangeType.INFORMATIONAL, order=46)
class AdditionalAddresses(Task):
    """The whole list, in either direction."""

    __slots__ = ()

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the peer tells of its addresses."""
        return told_by(turn.message)

    def moot(self, turn: Turn) -> bool:
        """Whether the list has been told meanwhile."""
        mobility = turn.sa.mobility
        return mobility is None or mobility.told == paths.further_addresses(turn.sa) or Task.moot(self, turn)

    def build(self, turn: Turn) -> None:
        """Tell what there is now."""
        if turn.ours and turn.sa.mobility is not None:
            turn.sa.mobility.told = paths.further_addresses(turn.sa)
            turn.out += address_notifies(turn.sa.mobility.told)

    def process(self, turn: Turn) -> None:
        """Keep the peer's list; where it speaks from another address than before, take the SA there."""
        sa = turn.sa.newest
        if turn.ours or sa.mobility is None or is_violated(turn):
            return
        sa.mobility.peer_addresses = read_addresses(sa, turn.message)
        lifetimes.watch_paths(sa, turn.now)
        # The other side changes its address only when it has to.
        if leads(sa) and turn.path.remote.ip != sa.path.remote.ip:
            moving.depart(sa, turn.path, "peer-address", turn.now, proven=False)
            # One update tells where it goes by then; more would only fill the queue.
            if not mobike_update.is_waiting(sa):
                turn.follow.append(mobike_update.update(sa, "peer-address"))


def tell(sa: IkeSa) -> Turn:
    """The exchange that tells our list."""
    return Turn(sa, ExchangeType.INFORMATIONAL, [AdditionalAddresses()], ours=True)
