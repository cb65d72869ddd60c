"""Tell a Rockhopper who is at our end of the cable: MAC and addresses of the interface, as private notifies.

The responder says so in IKE_AUTH, the initiator in an INFORMATIONAL exchange after it. What the peer says of itself is
not used: stations are learned from their frames, of which this would be no better proof.
"""

from rhp.ike.ike_sa import IkeSa
from rhp.ike.maker import Maker
from rhp.ike.states import IkeState
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType
from rhp.wire.notify import Notify
from rhp.wire.private import RockhopperNotify


@hook(ExchangeType.IKE_AUTH, order=45)
class AnswerStation(Task):
    """The responder's part, and the initiator's next exchange."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """As responder, tell."""
        if not turn.ours:
            turn.out += _notifies(turn.sa)

    def process(self, turn: Turn) -> None:
        """As initiator, tell it in an exchange of its own once both sides are authenticated."""
        if turn.ours and turn.sa.state is IkeState.ESTABLISHED and _notifies(turn.sa):
            turn.follow.append(Turn(turn.sa, ExchangeType.INFORMATIONAL, [TellStation()], ours=True))


class TellStation(Task):
    """An INFORMATIONAL exchange with nothing but this; its answer is empty."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """Tell."""
        turn.out += _notifies(turn.sa)


def _notifies(sa: IkeSa) -> list[Notify]:
    station = sa.ctx.config.station_on(sa.config.policy.hub)
    if station is None or sa.maker is not Maker.ROCKHOPPER:
        return []
    if not any(child.mode == "ethernet" for child in sa.config.children):
        return []
    found = []
    if station.ip4 is not None:
        found.append(Notify(RockhopperNotify.INTERNAL_IP4_ADDRESS, station.ip4.packed))
    if station.ip6 is not None:
        found.append(Notify(RockhopperNotify.INTERNAL_IP6_ADDRESS, station.ip6.packed))
    return [*found, Notify(RockhopperNotify.INTERNAL_MAC_ADDRESS, station.mac)]
