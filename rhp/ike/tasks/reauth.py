"""Reauthentication in IKE_AUTH, and AUTH_LIFETIME, by which a responder asks for it (RFC 7296 section 2.8.3, RFC 4478).

A responder cannot begin it, because it need not be able to reach the initiator. So it says how long its belief in the
peer lasts, and ends an IKE SA that was not renewed by then.
"""

from rhp.ike import lifetimes, renewal
from rhp.ike.ike_sa import IkeSa
from rhp.ike.states import IkeState
from rhp.ike.tasks import child_create, delete
from rhp.ike.tasks.initial_contact import CROSSING_TIME
from rhp.ike.tasks.letting_go import let_go
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.notify import Notify

LONGEST = (1 << 32) - 1


@hook(ExchangeType.IKE_AUTH, order=15)
class Recognise(Task):
    """As responder see whose IKE SA this one may renew. Nothing comes of it before the peer is authenticated."""

    __slots__ = ()

    def process(self, turn: Turn) -> None:
        """Remember it; a peer that says INITIAL_CONTACT has lost the old one, and one that calls while we call, too.

        Where many may bear one name it is only renewed from where it is.
        """
        sa = turn.sa
        # A ticket proves nothing anew.
        if turn.ours or sa.shake.resumed is not None or turn.message.notify(NotifyType.INITIAL_CONTACT) is not None:
            return
        for other in turn.ctx.table.same_peer(sa):
            role, began = other.origin
            crossed = role != sa.role and turn.now - began < CROSSING_TIME
            somebody_else = sa.config.unique == "never" and other.path.remote != turn.path.remote
            if other.state is IkeState.ESTABLISHED and not crossed and not somebody_else:
                sa.renews = other


@hook(ExchangeType.IKE_AUTH, order=60)
class Reauthenticate(Task):
    """As responder say how long we believe; as initiator remember that, and make the children anew."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """AUTH_LIFETIME, where the connection has a reauthentication time; one that is unwanted by now goes again."""
        if not turn.ours and turn.sa.ending is not None:
            turn.follow.append(delete.deletion(turn.sa, turn.sa.ending))
        seconds = turn.sa.config.reauth_time
        if not turn.ours and seconds:
            left = max(1, int(seconds - (turn.now - turn.sa.authenticated_at)))
            turn.out.append(Notify(NotifyType.AUTH_LIFETIME, min(left, LONGEST).to_bytes(4)))

    def process(self, turn: Turn) -> None:
        """As initiator ask for the children that did not ride on IKE_AUTH; without any the old IKE SA goes now."""
        sa = turn.sa
        if not turn.ours or sa.state is not IkeState.ESTABLISHED:
            return
        if sa.ending is not None:
            turn.follow.append(delete.deletion(sa, sa.ending))
            return
        _take_lifetime(turn)
        names = {child.name for child in renewal.waiting(sa)}
        turn.follow += [child_create.creation(sa, child) for child in sa.config.children if child.name in names]
        let_go(turn)


@hook(ExchangeType.INFORMATIONAL, order=40)
class AuthLifetime(Task):
    """The responder says it later, or anew: the peer is believed for so many `seconds` from now on."""

    __slots__ = ("_seconds",)

    def __init__(self, seconds: int = 0) -> None:
        self._seconds = seconds

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the peer says so."""
        return turn.message.notify(NotifyType.AUTH_LIFETIME) is not None

    def build(self, turn: Turn) -> None:
        """Say it; the answer to it is empty."""
        if turn.ours:
            turn.out.append(Notify(NotifyType.AUTH_LIFETIME, self._seconds.to_bytes(4)))

    def process(self, turn: Turn) -> None:
        """Remember it."""
        if not turn.ours and turn.sa.state is IkeState.ESTABLISHED:
            _take_lifetime(turn)


def asking(sa: IkeSa, seconds: int) -> Turn:
    """As responder, the exchange that asks the peer to prove itself anew within so many seconds."""
    return Turn(sa, ExchangeType.INFORMATIONAL, [AuthLifetime(seconds)], ours=True)


def _take_lifetime(turn: Turn) -> None:
    notify = turn.message.notify(NotifyType.AUTH_LIFETIME)
    if notify is None:
        return
    if len(notify.data) != 4 or not _began(turn.sa):
        turn.ctx.count("bad-auth-lifetime")
        return
    lifetimes.limit_authentication(turn.sa, int.from_bytes(notify.data), turn.now)


def _began(sa: IkeSa) -> bool:
    """Whether we began the lineage, so that it is for us to renew it."""
    return sa.origin[0] == "initiator"
