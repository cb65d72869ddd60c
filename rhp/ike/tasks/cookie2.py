"""COOKIE2: does the peer read what is sent to an address that it says is its own (RFC 4555 section 3.7)?

Whoever asks sends random octets, and the answer has to bring them back: a peer that only forges the source of its
messages cannot know them. No traffic goes to an address that has not stood this test, so nobody can have a third party
flooded.
"""

from rhp.ike import moving
from rhp.ike.errors import Fault
from rhp.ike.ike_sa import IkeSa
from rhp.ike.tasks import delete
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Ending, Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.notify import Notify

COOKIE_OCTETS = 16
_WRONG = Ending("wrong-cookie2", Fault.PEER, "the peer did not send our COOKIE2 back")


@hook(ExchangeType.INFORMATIONAL, order=65)
class CookieEcho(Task):
    """The peer tests us: its octets go back as they are."""

    __slots__ = ()

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether the peer sent such octets."""
        return turn.message.notify(NotifyType.COOKIE2) is not None

    def build(self, turn: Turn) -> None:
        """Give them back."""
        cookie = turn.message.notify(NotifyType.COOKIE2)
        if cookie is not None:
            turn.out.append(Notify(NotifyType.COOKIE2, cookie.data))


class Cookie:
    """The octets of one question of ours."""

    __slots__ = ("_octets",)

    def __init__(self) -> None:
        self._octets = b""

    def send(self, turn: Turn) -> None:
        """Add fresh ones to a request."""
        self._octets = turn.ctx.random(COOKIE_OCTETS)
        turn.out.append(Notify(NotifyType.COOKIE2, self._octets))

    def is_returned(self, turn: Turn) -> bool:
        """Whether the answer holds them; if not, the IKE SA with such a peer ends."""
        returned = turn.message.notify(NotifyType.COOKIE2)
        if returned is not None and returned.data == self._octets:
            return True
        turn.follow.append(delete.deletion(turn.sa.newest, _WRONG))
        return False


class ReturnRoutability(Task):
    """We test a peer that has moved; its traffic follows when it has stood the test."""

    __slots__ = ("_cookie", "_reason", "_serial")

    def __init__(self, reason: str) -> None:
        self._reason = reason
        self._cookie = Cookie()
        self._serial = 0

    def moot(self, turn: Turn) -> bool:
        """Whether no traffic waits for the outcome."""
        mobility = turn.sa.mobility
        return mobility is None or mobility.held is None or Task.moot(self, turn)

    def build(self, turn: Turn) -> None:
        """Send fresh octets over the path as it is now."""
        self._serial = turn.sa.mobility.serial if turn.sa.mobility is not None else 0
        self._cookie.send(turn)

    def process(self, turn: Turn) -> None:
        """Believe the path, or test again where the peer moved on, for then nobody knows which address answered."""
        sa = turn.sa.newest
        if not self._cookie.is_returned(turn) or sa.mobility is None or sa.mobility.held is None:
            return
        if sa.mobility.serial == self._serial and not turn.sa.requests.spread:
            moving.arrive(sa, sa.traffic, self._reason, turn.now)
        else:
            turn.follow.append(check(sa, self._reason))


def is_waiting(sa: IkeSa) -> bool:
    """Whether a test waits for its turn; it will be of the path as it is then, so one is enough."""
    return any(isinstance(task, ReturnRoutability) for turn in sa.queue or () for task in turn.tasks)


def check(sa: IkeSa, reason: str) -> Turn:
    """The exchange that tests the path of the IKE SA."""
    return Turn(sa, ExchangeType.INFORMATIONAL, [ReturnRoutability(reason)], ours=True)
