"""Both sides replace the same SA at once (RFC 7296 sections 2.8.1 and 2.8.2).

Each answers the other as usual, so there are two successors for a moment. Neither side can tell which one stays before
the answer to its own request is there; until then it keeps the peer's successor as the `Rival` of its own. Then both
compare the four nonces. The successor whose exchange had the lowest one is deleted by whoever began that exchange, the
old SA by whoever began the other one.

With additional key exchanges (RFC 9370 section 2.2.4) a successor comes about only after the last IKE_FOLLOWUP_KE. The
nonces are still those of CREATE_CHILD_SA, and are compared when that is answered: what the peer has begun and not
finished lies in `rhp.ike.linked` with its lower nonce. The exchange that had the lowest one of all is not gone on with,
so that there is nothing to delete of it; where it had no further key exchanges, its successor is deleted as above, and
the old SA serves until the other one is finished.

Where only one side notices, the other one has replaced the SA by its own exchange already and refuses ours. So an error
in answer to our request means nothing while there is a rival: the rival has won.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from rhp.ike.linked import Linked

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rival(Generic[T]):
    """What the peer made while our own request was out; `nonce` is the lower one of its exchange."""

    sa: T
    nonce: bytes


def lower(one: bytes, other: bytes) -> bytes:
    """The lower of two nonces, octet by octet; one that the other begins with is lower (section 2.8.1)."""
    return min(one, other)


def gives_way(own: bytes, rival: Rival[T] | None, claim: Linked | None) -> bool:
    """Whether the exchange that we began, whose lower nonce is `own`, ends with the answer to CREATE_CHILD_SA.

    `rival` is what the peer's exchange has made, `claim` what it is still at.
    """
    other = rival or claim
    return other is not None and own < other.nonce


def loses(own: bytes, rival: Rival[T]) -> bool:
    """Whether the exchange that we began, whose lower nonce is `own`, made the successor that is too many."""
    return own < rival.nonce
