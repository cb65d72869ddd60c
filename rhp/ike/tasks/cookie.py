"""COOKIE, the initiator's part: a responder under load wants to see that our address is true (RFC 7296 section 2.6).

The responder's part is done before there is any state to hold tasks: see `accept`.
"""

from rhp.ike.errors import PeerError
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.notify import Notify

MAX_COOKIE = 64
MAX_RESTARTS = 5
"""How often IKE_SA_INIT may be sent anew, for cookies and key exchange methods together."""


@hook(ExchangeType.IKE_SESSION_RESUME, order=0)
@hook(ExchangeType.IKE_SA_INIT, order=0)
class CookieTask(Task):
    """The cookie goes first, in front of everything that the request had without it."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """Give the cookie back."""
        if turn.ours and turn.sa.shake.cookie:
            turn.out.append(Notify(NotifyType.COOKIE, turn.sa.shake.cookie))

    def process(self, turn: Turn) -> None:
        """Asked for a cookie, begin anew with it."""
        if not turn.ours:
            return
        cookie = turn.message.notify(NotifyType.COOKIE)
        if cookie is None:
            return
        if not 1 <= len(cookie.data) <= MAX_COOKIE:
            raise PeerError("bad-cookie", NotifyType.INVALID_SYNTAX)
        turn.sa.shake.cookie = cookie.data
        restart(turn)


def restart(turn: Turn) -> None:
    """Send IKE_SA_INIT anew. Raises PeerError when the peer has had us do so too often."""
    shake = turn.sa.shake
    shake.restarts += 1
    if shake.restarts > MAX_RESTARTS:
        raise PeerError(
            "too-many-restarts", NotifyType.INVALID_SYNTAX, detail="the peer keeps asking for another start"
        )
    turn.ctx.count("init-restarted")
    turn.repeat = True
