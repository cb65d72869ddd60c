"""The peer's messages in fragments, until they are whole (RFC 7383 section 2.6).

Each fragment is sealed by itself, so each is verified before it takes any memory, and nobody but the peer can have us
keep something. How much the peer can is bounded: one request and one response for each IKE SA, in at most
`MAX_FRAGMENTS` pieces, for `HOLD_TIME` seconds; and all IKE SAs together have a budget, in which the oldest message
gives way. Peers that are not authenticated share a budget of their own, because anybody can be one.

A sender that gets no answer may cut its message into smaller pieces. So the higher total counts: what came of the
larger pieces is dropped then, and what still comes of them later is not taken.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from rhp.ike import sealing
from rhp.ike.sealing import Opened
from rhp.ike.timers import Timer, Timers
from rhp.wire.message import Message
from rhp.wire.skf import SKF

if TYPE_CHECKING:
    from rhp.ike.ike_sa import IkeSa

MAX_FRAGMENTS = 64
"""The most pieces of one message; a chain of ten large certificates has 40 in the smallest pieces."""
MAX_OCTETS = 0xFFFF
"""The longest message, as long as one that is not in fragments."""
HOLD_TIME = 30.0
"""As long as a peer with the usual back-off repeats a request."""
PEERS_BUDGET = 4 << 20
STRANGERS_BUDGET = 2 << 20
_PIECE_COST = 200
"""What a piece costs beside its octets."""

_Key = tuple[bytes, bool]


@dataclass(slots=True)
class _Assembly:
    """One message in the making."""

    message_id: int
    total: int
    parts: dict[int, bytes] = field(default_factory=dict)
    octets: int = 0
    longest: int = 0
    frame: Message | None = None
    first_inner: int = 0
    datagram: bytes = b""
    timer: Timer | None = None

    @property
    def cost(self) -> int:
        """What it takes of the budget."""
        return self.octets + len(self.datagram) + len(self.parts) * _PIECE_COST


class Shelf:
    """Messages in the making of many IKE SAs, within `budget` octets."""

    __slots__ = ("_budget", "_timers", "_waiting", "held")

    def __init__(self, budget: int, timers: Timers) -> None:
        self._budget = budget
        self._timers = timers
        self._waiting: dict[_Key, _Assembly] = {}
        self.held = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def get(self, key: _Key) -> _Assembly | None:
        """What there is of a message."""
        return self._waiting.get(key)

    def begin(self, sa: "IkeSa", key: _Key, message_id: int, total: int, now: float) -> _Assembly:
        """A message begins; what there was of it is dropped."""
        self.drop(key)
        made = _Assembly(message_id, total)
        made.timer = self._timers.start(now + HOLD_TIME, partial(_expire, sa, self, key))
        self._waiting[key] = made
        return made

    def keep(self, sa: "IkeSa", key: _Key, part: SKF, frame: Message, inside: bytes, datagram: bytes) -> None:
        """One more piece; the oldest messages of others go where it finds no room."""
        waiting = self._waiting[key]
        before = waiting.cost
        waiting.parts[part.fragment_number] = inside
        waiting.octets += len(inside)
        waiting.longest = max(waiting.longest, len(datagram))
        if part.fragment_number == 1:
            waiting.frame, waiting.first_inner, waiting.datagram = frame, part.next_payload, datagram
        self.held += waiting.cost - before
        while self.held > self._budget:
            sa.ctx.count("fragments-evicted")
            self.drop(next(iter(self._waiting)))

    def drop(self, key: _Key) -> None:
        """Forget a message; one that is not there is fine."""
        gone = self._waiting.pop(key, None)
        if gone is not None:
            self.held -= gone.cost
            self._timers.cancel(gone.timer)


class Shelves:
    """An engine's two budgets."""

    __slots__ = ("peers", "strangers")

    def __init__(self, timers: Timers) -> None:
        self.peers = Shelf(PEERS_BUDGET, timers)
        self.strangers = Shelf(STRANGERS_BUDGET, timers)

    def of(self, sa: "IkeSa") -> Shelf:
        """Where that IKE SA's fragments are kept."""
        return self.strangers if sa.established_at is None else self.peers

    def forget(self, sa: "IkeSa") -> None:
        """An IKE SA has gone, or is no stranger any more."""
        for shelf in (self.peers, self.strangers):
            for response in (False, True):
                shelf.drop((sa.own_spi, response))


def collect(sa: "IkeSa", frame: Message, part: SKF, datagram: bytes, now: float) -> Opened | None:
    """Verify and keep a fragment; the message, when that was the last one it lacked.

    Whatever is not taken is counted. Raises AuthenticationFailed.
    """
    shelf, key = sa.ctx.fragments.of(sa), (sa.own_spi, frame.response)
    waiting = shelf.get(key)
    if waiting is not None and waiting.message_id != frame.message_id:
        waiting = None
    reason = _unfit(sa, waiting, part)
    if reason is not None:
        sa.ctx.count(reason)
        return None
    inside = sealing.unseal(sa.cipher_in, datagram, part)
    if waiting is None or part.total_fragments > waiting.total:
        waiting = shelf.begin(sa, key, frame.message_id, part.total_fragments, now)
    if waiting.octets + len(inside) > MAX_OCTETS:
        sa.ctx.count("fragments-too-long")
        shelf.drop(key)
        return None
    shelf.keep(sa, key, part, frame, inside, datagram)
    if len(waiting.parts) < waiting.total or waiting.frame is None:
        return None
    shelf.drop(key)
    whole = b"".join(waiting.parts[number] for number in range(1, waiting.total + 1))
    return Opened(waiting.frame, waiting.first_inner, whole, waiting.datagram, waiting.longest, waiting.total)


def complete(sa: "IkeSa", opened: Opened) -> None:
    """A message is whole: nothing is left of it, and what the peer sends in small pieces, the answer should be, too."""
    sa.ctx.fragments.of(sa).drop((sa.own_spi, opened.frame.response))
    if opened.pieces > 1 and not opened.frame.response:
        narrow(sa, opened.longest)


def narrow(sa: "IkeSa", longest: int) -> None:
    """The peer sends datagrams of at most `longest` octets, and may have tried longer ones: so do we from now on."""
    size = max(longest + sealing.headers(sa.path), sealing.SMALLEST_SIZE)
    if sa.fragment_size:
        sa.fragment_size = min(sa.fragment_size, size)


def _unfit(sa: "IkeSa", waiting: _Assembly | None, part: SKF) -> str | None:
    """Why a fragment is of no use, or None; nothing is known to be the peer's yet."""
    if not sa.fragment_size:
        return "fragment-unsupported"
    if part.total_fragments > MAX_FRAGMENTS:
        return "too-many-fragments"
    if waiting is not None and part.total_fragments < waiting.total:
        return "fragment-outdated"
    if waiting is not None and part.total_fragments == waiting.total and part.fragment_number in waiting.parts:
        return "fragment-doubled"
    return None


def _expire(sa: "IkeSa", shelf: Shelf, key: _Key, now: float) -> None:
    sa.ctx.count("fragments-expired")
    shelf.drop(key)
