"""Message IDs, windows and retransmission (RFC 7296 sections 2.1 to 2.3). Tasks know nothing of what stands here.

Both windows have the size one. `RequestWindow` is ours: one request is out until its response comes, and it is sent
again, octet by octet, with back-off. `ResponseWindow` is the peer's: its next request is answered once, and the
answer is kept for the retransmissions of that request, which are told by a digest of the datagram, so that they cost
no decryption.
"""

import enum

from rhp.ike.config import Retransmit
from rhp.ike.timers import Timer

_LAST_ID = 0xFFFFFFFF


class RequestWindow:
    """Our requests: at most one is out."""

    __slots__ = ("datagram", "next_id", "policy", "sent", "timer")

    def __init__(self) -> None:
        self.next_id = 0
        self.datagram: bytes | None = None
        self.sent = 0
        self.policy: Retransmit | None = None
        self.timer: Timer | None = None

    @property
    def outstanding(self) -> bool:
        """Whether a request waits for its response."""
        return self.datagram is not None

    @property
    def exhausted(self) -> bool:
        """Whether the 32 bits of the Message ID are nearly used up, so that the IKE SA has to be replaced."""
        return self.next_id > _LAST_ID - 64

    def open(self, datagram: bytes, policy: Retransmit) -> float:
        """The request of `next_id` goes out for the first time; the seconds to wait for its response."""
        self.datagram = datagram
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
        return self.datagram is not None and message_id == self.next_id

    def close(self, *, advance: bool = True) -> None:
        """The response came. IKE_SA_INIT that has to be sent anew keeps its Message ID (`advance` false)."""
        self.datagram = None
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
    """The peer's requests: the next one is answered, the last one's answer is kept."""

    __slots__ = ("_digest", "_waiting", "answer", "next_id")

    def __init__(self) -> None:
        self.next_id = 0
        self.answer: bytes | None = None
        self._digest = 0
        self._waiting = False

    def judge(self, message_id: int, datagram: bytes) -> Verdict:
        """Judge a request before it is opened."""
        if message_id == self.next_id:
            return Verdict.WAITING if self._waiting else Verdict.NEW
        repeated = message_id == self.next_id - 1 and self.answer is not None and hash(datagram) == self._digest
        return Verdict.REPEATED if repeated else Verdict.OUTSIDE

    def begin(self, datagram: bytes) -> None:
        """The request is authentic; its answer is being made."""
        self._waiting = True
        self._digest = hash(datagram)

    def finish(self, answer: bytes) -> None:
        """The answer is ready and goes out; the window moves on."""
        self.answer = answer
        self._waiting = False
        self.next_id += 1

    def repeats(self, datagram: bytes) -> bool:
        """Whether this is the last request again (for an SA that has gone and left only its last answer)."""
        return self.answer is not None and hash(datagram) == self._digest
