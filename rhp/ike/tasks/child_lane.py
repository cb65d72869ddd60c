"""A further pair of a Child SA, for a lane of ours that has none (RFC 9611 section 3).

Nothing depends on it: lanes without a pair send on the first one. So a refusal ends the attempt until the next rekey,
and is no failure of the child. On the peer's side it is an ordinary new Child SA, served by `ChildCreate`.
"""

from rhp.ike import lanes, lifetimes, negotiation
from rhp.ike.child_sa import ChildSa
from rhp.ike.config import ChildConfig
from rhp.ike.errors import PeerError
from rhp.ike.ike_sa import IkeSa
from rhp.ike.lanes import Place
from rhp.ike.tasks import child_create, child_delete, followup
from rhp.ike.tasks.notices import first_error, notify_name
from rhp.ike.tasks.patience import is_busy
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.sa import SA


class ChildLane(Task):
    """One request of ours for one lane of the group."""

    __slots__ = ("_config", "_group", "_method", "_offer", "_tries")

    def __init__(
        self, config: ChildConfig, group: int, method: int | None = None, tries: int = child_create.MAX_TRIES
    ) -> None:
        self._config = config
        self._group = group
        self._method = method
        self._tries = tries
        self._offer: negotiation.ChildOffer | None = None

    def moot(self, turn: Turn) -> bool:
        """Whether the group has gone, or every lane has its pair."""
        return Task.moot(self, turn) or lanes.free_lane(turn.sa, self._group) is None

    def is_for(self, group: int) -> bool:
        """Whether that group gets the pair."""
        return self._group == group

    def build(self, turn: Turn) -> None:
        """Ask for the lane that lacks one now."""
        lane = lanes.free_lane(turn.sa, self._group)
        if lane is None:
            raise RuntimeError("every lane has its pair")
        self._offer = negotiation.ChildOffer(self._config, self._method, Place(lane, self._group, shared=True))
        turn.out += self._offer.payloads(turn)

    def process(self, turn: Turn) -> None:
        """Install it, try again, or leave it."""
        offer = self._offer
        if offer is None or followup.goes_on(turn, self):
            return
        method = child_create.other_method(turn, offer) if self._method is None else None
        if method is not None:
            turn.follow.append(_request(turn.sa, ChildLane(self._config, self._group, method)))
        elif is_busy(turn):
            if self._tries > 1:
                again = ChildLane(self._config, self._group, tries=self._tries - 1)
                lifetimes.try_later(_request(turn.sa, again), turn.now)
        elif turn.message.first(SA) is None:
            error = first_error(turn.message)
            turn.ctx.count(f"lane-refused-{notify_name(error.type) if error is not None else 'nothing'}")
        else:
            self._take(turn, offer)

    def _take(self, turn: Turn, offer: negotiation.ChildOffer) -> None:
        try:
            if turn.message.notify(NotifyType.SA_RESOURCE_INFO) is None:
                raise PeerError("lane-not-confirmed", NotifyType.INVALID_SYNTAX)
            terms, keys = offer.accept(turn)
            lanes.check_alike(turn.sa, terms.place, terms.suite, terms.local_ts, terms.remote_ts)
        except PeerError as error:
            turn.ctx.count(error.reason)
            turn.follow.append(child_delete.disowning(turn.sa, offer.spi))
            return
        if terms.spi_out in turn.gone:
            turn.ctx.count("child-gone-before-its-answer")
            return
        if not lanes.members(turn.sa, self._group):
            # The peer deleted the group while it granted this; nobody has a use for it alone.
            turn.follow.append(child_delete.disowning(turn.sa, offer.spi))
            return
        child_create.start(turn, terms, keys)


def creation(sa: IkeSa, child: ChildSa) -> Turn:
    """The exchange that makes a pair for the next lane of that child's group."""
    return _request(sa, ChildLane(child.terms.config, child.group))


def is_waiting(sa: IkeSa, group: int) -> bool:
    """Whether such an exchange for that group waits for its turn: one is enough, for each leads to the next."""
    return any(isinstance(task, ChildLane) and task.is_for(group) for turn in sa.queue or () for task in turn.tasks)


def _request(sa: IkeSa, task: ChildLane) -> Turn:
    return Turn(sa, ExchangeType.CREATE_CHILD_SA, [task], ours=True)
