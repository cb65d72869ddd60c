"""UPDATE_SA_ADDRESSES: the initiator of the first IKE SA takes the SA to other addresses (RFC 4555 section 3.5).

It goes over the new path, which is what it says: the addresses are those of its IP header, as a NAT may have changed
them. NATs are looked for anew, and COOKIE2 shows the initiator that the responder is there. The responder tests the
initiator's new address in its turn, before traffic goes there.
"""

from rhp.ike import lifetimes, moving, paths
from rhp.ike.events import PathRefused
from rhp.ike.ike_sa import IkeSa
from rhp.ike.mobility import Mobility, address_notifies, leads
from rhp.ike.path import within
from rhp.ike.tasks import cookie2, delete, natd
from rhp.ike.tasks.cookie2 import Cookie
from rhp.ike.tasks.nat_ban import is_violated
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.notify import Notify

MAX_TRIES = 3
"""How often an update is sent that was answered by UNEXPECTED_NAT_DETECTED (section 3.9)."""


@hook(ExchangeType.INFORMATIONAL, order=44)
class UpdateAddresses(Task):
    """One update, in either role; `reason` is the event's."""

    __slots__ = ("_cookie", "_reason", "_refused", "_serial", "_tries")

    def __init__(self, reason: str = "peer-address", tries: int = MAX_TRIES) -> None:
        self._reason = reason
        self._tries = tries
        self._cookie = Cookie()
        self._serial = 0
        self._refused = False

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the peer moves the SA."""
        return turn.message.notify(NotifyType.UPDATE_SA_ADDRESSES) is not None

    def moot(self, turn: Turn) -> bool:
        """Whether the IKE SA has ended; a replaced one may be all that the peer knows yet."""
        return turn.sa.state not in delete.DELETABLE

    def build(self, turn: Turn) -> None:
        """Ask over the path as it is now; or refuse, if need be."""
        sa, newest = turn.sa, turn.sa.newest
        mobility = newest.mobility
        if not turn.ours:
            turn.out += [Notify(NotifyType.UNACCEPTABLE_ADDRESSES)] if self._refused else []
            return
        turn.out.append(Notify(NotifyType.UPDATE_SA_ADDRESSES))
        if sa.nat_detection:
            turn.out += natd.notifies(sa, newest.path, sa.spi_r)
        self._cookie.send(turn)
        if mobility is not None:
            self._serial = mobility.serial
            mobility.told, before = paths.further_addresses(newest), mobility.told
            turn.out += address_notifies(mobility.told) if mobility.told != before else []

    def process(self, turn: Turn) -> None:
        """As responder go along; as initiator see what came of it."""
        sa = turn.sa.newest
        if sa.mobility is None:
            turn.ctx.count("update-without-mobike")
        elif turn.ours:
            self._conclude(turn, sa, sa.mobility)
        elif not is_violated(turn):
            self._go_along(turn, sa)

    def _go_along(self, turn: Turn, sa: IkeSa) -> None:
        reason = _unacceptable(turn, sa)
        if reason is not None:
            turn.ctx.count(reason)
            self._refused = True
            return
        before = sa.traffic
        if turn.path != sa.path:
            moving.depart(sa, turn.path, self._reason, turn.now, proven=False)
        natd.judge(turn, turn.sa.spi_r)
        if sa.mobility is not None and sa.mobility.held is not None:
            # A peer that moves again and again and answers nothing must not fill the queue.
            if not cookie2.is_waiting(sa):
                turn.follow.append(cookie2.check(sa, self._reason))
        else:
            moving.arrive(sa, before, self._reason, turn.now)

    def _conclude(self, turn: Turn, sa: IkeSa, mobility: Mobility) -> None:
        if not self._cookie.is_returned(turn) or mobility.serial != self._serial or turn.sa.requests.spread:
            return  # It is a later update that counts, or `roaming` sends one.
        before, message = sa.traffic, turn.message
        if message.notify(NotifyType.UNEXPECTED_NAT_DETECTED) is not None:
            # An attacker who changes one packet must not cost us the path.
            if self._tries > 1:
                turn.ctx.count("unexpected-nat-at-peer")
                turn.follow.append(update(sa, self._reason, self._tries - 1))
            else:
                _look_elsewhere(turn, sa, mobility, "unexpected-nat")
        elif message.notify(NotifyType.UNACCEPTABLE_ADDRESSES) is not None:
            _look_elsewhere(turn, sa, mobility, "unacceptable-addresses")
        else:
            natd.judge(turn, turn.sa.spi_r)
            mobility.seen_as = natd.seen_as(turn)
            moving.arrive(sa, before, self._reason, turn.now)
            lifetimes.watch_paths(sa, turn.now)


def update(sa: IkeSa, reason: str, tries: int = MAX_TRIES) -> Turn:
    """The exchange that takes the SA to the path which it has by then."""
    return Turn(sa, ExchangeType.INFORMATIONAL, [UpdateAddresses(reason, tries)], ours=True)


def is_updating(sa: IkeSa) -> bool:
    """Whether an update of ours is under way."""
    return sa.turn is not None and _is_update(sa.turn)


def is_waiting(sa: IkeSa) -> bool:
    """Whether an update of ours waits for its turn."""
    return any(_is_update(turn) for turn in sa.queue or ())


def _is_update(turn: Turn) -> bool:
    return any(isinstance(task, UpdateAddresses) for task in turn.tasks)


def _unacceptable(turn: Turn, sa: IkeSa) -> str | None:
    """Why the peer may not take the SA where its message came from, or None."""
    if leads(sa):
        return "update-from-responder"
    served = within(turn.path.local.ip, sa.config.local_addrs) and within(turn.path.remote.ip, sa.config.remote_addrs)
    return None if served else "unacceptable-addresses"


def _look_elsewhere(turn: Turn, sa: IkeSa, mobility: Mobility, reason: str) -> None:
    """The peer does not want this path: take the next best, if there is one."""
    turn.ctx.count(f"peer-said-{reason}")
    turn.ctx.emit(PathRefused(sa.id, sa.connection_name, sa.path, reason))
    mobility.refused |= {(sa.path.local.ip, sa.path.remote.ip)}
    following = paths.others(sa)
    if following:
        moving.depart(sa, following[0], "path-refused", turn.now, proven=False)
        turn.follow.append(update(sa, "path-refused"))
