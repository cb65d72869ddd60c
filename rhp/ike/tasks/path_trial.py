"""Does another path work? An INFORMATIONAL exchange that goes over that path alone at first (RFC 4555 section 3.10).

It has to be answered in any case, because nothing else can be sent meanwhile. So when the other path stays silent, the
request goes over the path in use; then the answer says nothing of the other one.
"""

from rhp.ike import moving, paths
from rhp.ike.config import Retransmit
from rhp.ike.ike_sa import IkeSa
from rhp.ike.mobility import LONGEST_HOLD, leads
from rhp.ike.path import Path
from rhp.ike.tasks import mobike_update
from rhp.ike.tasks.cookie2 import Cookie
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType

TRIAL = Retransmit(tries=3, base=1.0, longest=1.0)
"""How long a path is tried."""


class PathTrial(Task):
    """Tries a path and takes it if it works."""

    __slots__ = ("_cookie", "_path", "_reason")

    def __init__(self, path: Path, reason: str) -> None:
        self._path = path
        self._reason = reason
        self._cookie = Cookie()

    def moot(self, turn: Turn) -> bool:
        """Whether the path is in use by now."""
        return turn.sa.mobility is None or self._path == turn.sa.path or Task.moot(self, turn)

    def build(self, turn: Turn) -> None:
        """Send fresh octets over the path."""
        turn.over = self._path
        self._cookie.send(turn)

    def process(self, turn: Turn) -> None:
        """Take the path if the answer came over it before the request went anywhere else."""
        sa = turn.sa.newest
        if not self._cookie.is_returned(turn) or sa.mobility is None:
            return
        if turn.over is None or not paths.same_ends(turn.path, self._path):
            sa.mobility.hold = min(2 * sa.mobility.hold, LONGEST_HOLD)
            turn.ctx.count("path-still-silent")
            return
        moving.depart(sa, turn.path, self._reason, turn.now, proven=True)
        if leads(sa):
            turn.follow.append(mobike_update.update(sa, self._reason))


def trial(sa: IkeSa, path: Path, reason: str) -> Turn:
    """The exchange that tries a path out."""
    return Turn(sa, ExchangeType.INFORMATIONAL, [PathTrial(path, reason)], ours=True, policy=TRIAL)
