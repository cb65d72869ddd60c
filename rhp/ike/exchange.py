"""Message IDs, windows and retransmission (RFC 7296 sections 2.1 to 2.3). Tasks know nothing of what stands here.

Both windows have the size one. `RequestWindow` is ours: one request is out until its response comes, and it is sent
again, octet by octet, with back-off. `ResponseWindow` is the peer's: its next request is answered once, and the
answer is kept for the retransmissions of that request, which are told by a digest of the datagram, so that they cost
no decryption. A message in fragments (RFC 7383) is several datagrams here, and its first one stands for it.
"""

import enum
from typing import TYPE_CHECKING

from rhp.ike.config import Retransmit
from rhp.ike.timers import Timer

if TYPE_CHECKING:
    from rhp.crypto.cipher import IkeCipher
    from rhp.ike.sealing import Letter

_LAST_ID = 0xFFFFFFFF

MOST_RESTARTS = 16
"""How often the tries of one request begin again, because its path changed: a peer that is dead has to be found dead,
however often our address, or that of its NAT, comes and goes."""


class RequestWindow:
    """Our requests: at most one is out. `spread` says that the last one went over several paths.

    `restarts` counts how often the tries of the one that is out began again.
    """

    __slots__ = ("datagrams", "next_id", "policy", "restarts", "sent", "spread", "timer")

    def __init__(self) -> None:
        self.next_id = 0
        self.datagrams: tuple[bytes, ...] = ()
        self.sent = self.restarts = 0
        self.policy: Retransmit | None = None
        self.spread = False
        self.timer: Timer | None = None

    @property
    def outstanding(self) -> bool:
        """Whether a request waits for its response."""
        return bool(self.datagrams)

    @property
    def exhausted(self) -> bool:
        """Whether the 32 bits of the Message ID are nearly used up, so that the IKE SA has to be replaced."""
        return self.next_id > _LAST_ID - 64

    def open(self, datagrams: tuple[bytes, ...], policy: Retransmit) -> float:
        """The request of `next_id` goes out for the first time; the seconds to wait for its response."""
        self.datagrams = datagrams
        self.policy = policy
        self.sent = 1
        self.restarts = 0
        self.spread = False
        return policy.wait(1)

    def restart(self, policy: Retransmit) -> float | None:
        """The request that is out goes out as if for the first time; the seconds to wait for its response.

        None where that was so too often already: the tries go on as they were.
        """
        self.spread = True
        if self.restarts >= MOST_RESTARTS:
            return None
        self.restarts += 1
        self.policy = policy
        self.sent = 1
        return policy.wait(1)

    def again(self) -> float | None:
        """The wait ended without a response: the seconds to wait after sending again, or None to give up."""
        if self.policy is None or self.sent >= self.policy.tries:
            return None
        self.sent += 1
        return self.policy.wait(self.sent)

    def expects(self, message_id: int) -> bool:
        """Whether a response of that Message ID is the one that we wait for."""
        return self.outstanding and message_id == self.next_id

    def close(self, *, advance: bool = True) -> None:
        """The response came. IKE_SA_INIT that has to be sent anew keeps its Message ID (`advance` false)."""
        self.datagrams = ()
        self.policy = None
        if advance:
            self.next_id += 1


class Verdict(enum.Enum):
    """What to do with a request, judged by its Message ID and its octets."""

    NEW = "new"
    """The next one: open it and answer."""
    REPEATED = "repeated"
    """The last one again: send the kept answer."""
    WAITING = "waiting"
    """The next one again, while its answer is not ready."""
    OUTSIDE = "outside"
    """Not in the window."""


class ResponseWindow:
    """The peer's requests: the next one is answered, the last one's answer is kept.

    `letter` is the answer before it was sealed, where it may be needed in smaller pieces; `cipher` opened the request.
    """

    __slots__ = ("_digest", "_waiting", "answer", "cipher", "letter", "next_id")

    def __init__(self) -> None:
        self.next_id = 0
        self.answer: tuple[bytes, ...] = ()
        self.letter: Letter | None = None
        self.cipher: IkeCipher | None = None
        self._digest = 0
        self._waiting = False

    def judge(self, message_id: int, datagram: bytes) -> Verdict:
        """Judge a request before it is opened."""
        if message_id == self.next_id:
            return Verdict.WAITING if self._waiting else Verdict.NEW
        repeated = message_id == self.next_id - 1 and bool(self.answer) and hash(datagram) == self._digest
        return Verdict.REPEATED if repeated else Verdict.OUTSIDE

    def begin(self, datagram: bytes, cipher: "IkeCipher | None" = None) -> None:
        """The request is authentic, opened with `cipher` if it was sealed; its answer is being made."""
        self._waiting = True
        self.cipher = cipher
        self._digest = hash(datagram)

    def recut(self, datagram: bytes, limit: int) -> None:
        """The last request came again in other pieces, `datagram` first: its answer too keeps to `limit` octets now."""
        self._digest = hash(datagram)
        if self.letter is not None and any(len(one) > limit for one in self.answer):
            self.answer = self.letter.recut(limit, self.answer)

    def finish(self, answer: tuple[bytes, ...], letter: "Letter | None" = None) -> None:
        """The answer is ready and goes out; the window moves on."""
        self.answer = answer
        self.letter = letter
        self._waiting = False
        self.next_id += 1

    def repeats(self, datagram: bytes) -> bool:
        """Whether this is the last request again (for an SA that has gone and left only its last answer)."""
        return bool(self.answer) and hash(datagram) == self._digest
