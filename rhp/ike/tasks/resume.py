"""IKE_SESSION_RESUME: a ticket in the place of SA and KE (RFC 5723 sections 4.3 and 5).

    HDR, [N(COOKIE),] Ni, N(TICKET_OPAQUE) [,N+] -->
                                                  <-- HDR, Nr [,N+]      or      HDR, N(TICKET_NACK)

It stands for IKE_SA_INIT in every other respect: IKE_AUTH follows, with keys that come from the old SK_d. Where the
ticket is refused, or nobody answers, IKE_SA_INIT follows at once.
"""

from rhp.crypto.keymat import resume_ike_keys
from rhp.crypto.secret import Secret
from rhp.crypto.suite import IkeSuite
from rhp.ike import resumption
from rhp.ike.config import Retransmit
from rhp.ike.errors import PeerError
from rhp.ike.ike_sa import IkeSa
from rhp.ike.negotiation import NONCE_OCTETS
from rhp.ike.resumed import Resumed
from rhp.ike.states import IkeState
from rhp.ike.tasks import init
from rhp.ike.tasks.notices import first_error, notify_name
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.nonce import Nonce
from rhp.wire.notify import Notify

POLICY = Retransmit(tries=3)
"""A gateway that knows nothing of tickets any more says nothing: after 3.5 s a full handshake is tried."""


@hook(ExchangeType.IKE_SESSION_RESUME, order=20)
class Resume(Task):
    """The ticket, and the keys that it leads to."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """Ni and the ticket; or Nr."""
        shake = turn.sa.shake
        if not turn.ours:
            turn.out.append(Nonce(shake.nonce_r))
            return
        if shake.ticket is None:
            raise RuntimeError("there is no ticket to show")
        # Asked for a cookie we say the same again: the cookie is over the nonce.
        shake.nonce_i = shake.nonce_i or turn.ctx.random(NONCE_OCTETS)
        turn.out.append(Nonce(shake.nonce_i))
        turn.out.append(Notify(NotifyType.TICKET_OPAQUE, shake.ticket.octets))

    def process(self, turn: Turn) -> None:
        """Raises PeerError; as initiator the answer may also lead to a full handshake."""
        if turn.ours:
            self._accept(turn)
        else:
            self._redeem(turn)

    def _redeem(self, turn: Turn) -> None:
        sa, message = turn.sa, turn.message
        shown, nonce = message.notify(NotifyType.TICKET_OPAQUE), message.first(Nonce)
        if shown is None or nonce is None:
            raise PeerError("incomplete-resume", NotifyType.INVALID_SYNTAX, detail="ticket or nonce is missing")
        found = resumption.redeem(turn.ctx, shown.data, turn.path, turn.now)
        sa.connection, sa.shake.resumed, sa.ppk = found.connection, found.resumed, found.ppk
        sa.shake.nonce_i, sa.shake.nonce_r = nonce.data, turn.ctx.random(NONCE_OCTETS)
        _derive(sa, found.suite, found.sk_d)
        found.sk_d.wipe()
        turn.ctx.count("ticket-accepted")

    def _accept(self, turn: Turn) -> None:
        sa, shake, message = turn.sa, turn.sa.shake, turn.message
        if message.notify(NotifyType.TICKET_NACK) is not None:
            # Anybody can send that, and all that comes of it is a handshake as if there had been no ticket.
            turn.ctx.count("ticket-refused-by-peer")
            turn.instead = fall_back(sa, keep=False)
            return
        error, nonce = first_error(message), message.first(Nonce)
        if error is not None:
            name = notify_name(error.type)
            raise PeerError(f"peer-said-{name}", error.type, detail=f"the peer answered {name}")
        held = shake.ticket
        if nonce is None or not any(message.spi_r) or held is None:
            raise PeerError("incomplete-resume", NotifyType.INVALID_SYNTAX, detail="SPI or nonce is missing")
        sa.spi_r, shake.nonce_r = message.spi_r, nonce.data
        shake.resumed, sa.ppk = Resumed(held.local, held.peer, held.authenticated), held.ppk
        _derive(sa, held.suite, held.sk_d)
        # The gateway has seen it, so it is spent, whatever comes of it.
        shake.ticket = None
        held.sk_d.wipe()
        sa.become(IkeState.AUTHENTICATING)
        turn.follow.append(Turn(sa, ExchangeType.IKE_AUTH, ours=True))


def begin(sa: IkeSa, now: float) -> Turn | None:
    """The first exchange of an IKE SA that we initiate with a ticket, or None where there is none to use."""
    sa.shake.ticket = resumption.take(sa.ctx, sa.config, sa.path, now)
    if sa.shake.ticket is None:
        return None
    sa.ctx.count("ticket-shown")
    return Turn(sa, ExchangeType.IKE_SESSION_RESUME, ours=True, policy=POLICY)


def fall_back(sa: IkeSa, *, keep: bool) -> Turn:
    """The full handshake in place of a resumption that came to nothing; `keep` the ticket where nobody has seen it."""
    shake = sa.shake
    if shake.ticket is not None and keep:
        resumption.give_back(sa.ctx, sa.connection_name, shake.ticket)
    elif shake.ticket is not None:
        shake.ticket.sk_d.wipe()
    shake.ticket = None
    # A cookie belongs to its nonce.
    shake.nonce_i = shake.cookie = b""
    sa.ctx.count("resumption-in-vain")
    return init.begin(sa)


def _derive(sa: IkeSa, suite: IkeSuite, sk_d: Secret) -> None:
    shake = sa.shake
    sa.take_keys(suite, resume_ike_keys(suite, sk_d, shake.nonce_i, shake.nonce_r, sa.spi_i, sa.spi_r))
