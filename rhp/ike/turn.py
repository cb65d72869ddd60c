"""One exchange as its tasks see it, and what a task is.

A task has `build` and `process` and serves both sides. Whoever began the exchange builds the request and processes
the response; the other side processes the request and builds the response. Both may need the guard: then they are
generators that yield a question and are sent its answer, and the SA waits meanwhile. Tasks say what shall happen next
on the turn (`repeat`, `follow`, `ending`) and raise `PeerError` to refuse; they know nothing of Message IDs and
retransmission.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rhp.crypto.secret import Secret
from rhp.guard.protocol import Answer, Question
from rhp.ike.config import Retransmit
from rhp.ike.errors import Fault
from rhp.ike.path import Path
from rhp.ike.states import IkeState
from rhp.wire.message import Message, Payload

if TYPE_CHECKING:
    from rhp.ike.context import Context
    from rhp.ike.ike_sa import IkeSa
    from rhp.ike.sealing import Letter, Opened

OVER = frozenset({IkeState.REKEYED, IkeState.DELETING, IkeState.CLOSED})
"""An IKE SA in these states begins nothing but its own end."""

Work = Generator[Question, Answer, None]


@dataclass(frozen=True, slots=True)
class Ending:
    """Why an IKE SA ends, and whose fault that is."""

    reason: str
    fault: Fault
    detail: str = ""


class Task:
    """One concern of an exchange. The base does nothing, in every direction."""

    __slots__ = ()

    @property
    def replaces_ike(self) -> bool:
        """Whether this task replaces the IKE SA, so that nothing else may be made on it meanwhile."""
        return False

    @classmethod
    def concerns(cls, turn: "Turn") -> bool:
        """Whether a peer's request needs this task; asked once, before anything is processed."""
        return True

    def moot(self, turn: "Turn") -> bool:
        """Whether a request of ours that had to wait has lost its purpose meanwhile."""
        return turn.sa.state in OVER

    def build(self, turn: "Turn") -> Work | None:
        """Append payloads to `turn.out`."""
        return None

    def process(self, turn: "Turn") -> Work | None:
        """Read `turn.inbound`; raise PeerError to refuse."""
        return None

    def sealed(self, turn: "Turn", letter: "Letter") -> None:
        """What `build` made is sealed and about to go out: the moment to change keys, or to note what was said."""


class Turn:
    """One request and its response.

    `ours` says who began; `over` is another path than the IKE SA's, which a request of ours tries out first. `inbound`
    is the peer's message with its payloads opened, and `opened` the same before they were read; `out` are our own
    payloads, `now` and `path` those of the last input. A task sets `repeat` to have our request built and sent anew (it
    does so at most a few times), `instead` to have another first exchange take its place, `ending` to end the IKE SA
    once the message is out or processed, and appends to `follow` the turns that come next. `gone` are ESP SPIs that
    nobody knew and that the peer deleted while our request was out: pairs that it has granted, in an answer which is
    still to come. `further` are the secrets of additional key exchanges, None before they were made.
    """

    __slots__ = (
        "ending",
        "exchange",
        "follow",
        "further",
        "gone",
        "inbound",
        "instead",
        "now",
        "opened",
        "ours",
        "out",
        "over",
        "path",
        "policy",
        "repeat",
        "sa",
        "tasks",
    )

    def __init__(
        self, sa: "IkeSa", exchange: int, tasks: Sequence[Task] = (), *, ours: bool, policy: Retransmit | None = None
    ) -> None:
        self.sa = sa
        self.exchange = exchange
        self.tasks = tasks
        self.ours = ours
        self.policy = policy
        self.over: Path | None = None
        self.path: Path = sa.path
        self.now = 0.0
        self.inbound: Message | None = None
        self.opened: Opened | None = None
        self.out: list[Payload] = []
        self.repeat = False
        self.instead: Turn | None = None
        self.ending: Ending | None = None
        self.follow: list[Turn] = []
        self.gone: tuple[int, ...] = ()
        self.further: Sequence[Secret] | None = None

    @property
    def ctx(self) -> "Context":
        """The engine's shared state."""
        return self.sa.ctx

    @property
    def message(self) -> Message:
        """The peer's message; there is one whenever `process` runs, and when a response is built."""
        if self.inbound is None:
            raise RuntimeError("no message has come in on this exchange")
        return self.inbound
