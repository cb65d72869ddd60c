"""Tokens that prove a crash (RFC 6290): only who has made one and then lost its IKE SA has a reason to show it.

A token is a keyed hash over the two SPIs and over which of them is ours, under a secret that outlives a restart. So a
node that has forgotten an IKE SA can still make the token that it once gave to the peer, and the peer believes it at
once instead of asking into the void for half a minute. Our role is part of it because SPIs and flags of a question are
for anybody to choose: with the flag turned round, a living IKE SA would look like a lost one.
"""

from collections.abc import Iterator
from hashlib import blake2b
from hmac import compare_digest

from rhp.ike.context import Context
from rhp.ike.errors import Fault
from rhp.ike.ike_sa import NO_SPI, IkeSa
from rhp.ike.turn import Ending
from rhp.wire.header import Header
from rhp.wire.iana import NotifyType
from rhp.wire.message import Message
from rhp.wire.notify import Notify

TOKEN_OCTETS = 32
SHORTEST, LONGEST = 16, 128
"""What a peer may send (RFC 6290 section 5)."""

MOST_TOKENS = 4
"""So many tokens of one message are looked at, as section 4.5 wants; a peer with an old and a new secret sends two."""

CRASHED = Ending("peer-crashed", Fault.PEER, "the peer has lost its state, and proved it")


def own_token(sa: IkeSa) -> Notify | None:
    """The token that the peer of this IKE SA is to keep; None where we would not know it after a restart."""
    return _token(sa.ctx, sa.is_initiator, sa.spi_i, sa.spi_r)


def keep(sa: IkeSa, message: Message) -> None:
    """Remember the token that the peer gave us under protection, if it did; the last one counts."""
    notify = message.notify(NotifyType.QUICK_CRASH_DETECTION)
    if notify is None:
        return
    if SHORTEST <= len(notify.data) <= LONGEST:
        sa.peer_token = notify.data
    else:
        sa.ctx.count("bad-crash-token")


def confession(ctx: Context, header: Header) -> Notify | None:
    """The token to show to the sender of a request for an IKE SA that we do not know.

    None where there may be such an IKE SA after all: neither SPI may be one that lives here.
    """
    if NO_SPI in (header.spi_i, header.spi_r):
        return None
    if ctx.table.knows(header.spi_i) or ctx.table.knows(header.spi_r):
        return None
    # The flag says that the sender is the original initiator; then we were the responder.
    return _token(ctx, not header.initiator, header.spi_i, header.spi_r)


def proves(sa: IkeSa, frame: Message) -> bool:
    """Whether an unprotected message shows that the peer has lost this IKE SA (RFC 6290 section 4.5)."""
    if not sa.peer_token or frame.notify(NotifyType.INVALID_IKE_SPI) is None:
        return False
    if any(compare_digest(token, sa.peer_token) for token in _shown(frame)):
        sa.ctx.count("crash-proved")
        return True
    if frame.notify(NotifyType.QUICK_CRASH_DETECTION) is not None:
        sa.ctx.count("wrong-crash-token")
    return False


def _shown(frame: Message) -> Iterator[bytes]:
    found = (notify.data for notify in frame.all(Notify) if notify.type == NotifyType.QUICK_CRASH_DETECTION)
    return (data for _, data in zip(range(MOST_TOKENS), found, strict=False))


def _token(ctx: Context, initiator: bool, spi_i: bytes, spi_r: bytes) -> Notify | None:
    if ctx.vault is None:
        return None
    content = bytes((initiator,)) + spi_i + spi_r
    digest = blake2b(content, key=ctx.vault.crash.expose(), digest_size=TOKEN_OCTETS).digest()
    return Notify(NotifyType.QUICK_CRASH_DETECTION, digest)
