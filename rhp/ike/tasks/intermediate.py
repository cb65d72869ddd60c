"""IKE_INTERMEDIATE: exchanges between IKE_SA_INIT and IKE_AUTH, protected and in fragments if need be (RFC 9242).

Each side notes what both said, for AUTH has to cover it: a message as if it had been sent neither encrypted nor in
fragments, under the SK_p of the time before that exchange changed the keys. What such an exchange is good for is the
business of other tasks, such as `additional_ke`; one more is one more hook.
"""

from rhp.crypto.auth import int_auth_chunk
from rhp.ike.errors import PeerError
from rhp.ike.sealing import Letter
from rhp.ike.states import IkeState
from rhp.ike.tasks.notices import first_error, notify_name
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.notify import Notify

MAX_EXCHANGES = 16
"""How many a peer may have with us in one handshake; RFC 9370 needs seven at most."""


@hook(ExchangeType.IKE_SA_INIT, order=55)
class IntermediateSupport(Task):
    """INTERMEDIATE_EXCHANGE_SUPPORTED: sent by both sides; a responder says it only to a peer that did so."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """Say that we know the exchange."""
        if turn.ours or turn.sa.shake.intermediate:
            turn.out.append(Notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED))

    def process(self, turn: Turn) -> None:
        """Remember whether the peer does."""
        turn.sa.shake.intermediate = turn.message.notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED) is not None


@hook(ExchangeType.IKE_INTERMEDIATE, order=0)
class IntermediateProof(Task):
    """Both sides' shares of IntAuth; as hook the first, so that it still finds the keys of before."""

    __slots__ = ()

    def process(self, turn: Turn) -> None:
        """Note what the peer said. Raises PeerError when it says too much, or has never agreed to this exchange."""
        sa, shake = turn.sa, turn.sa.shake
        if turn.ours:
            error = first_error(turn.message)
            if error is not None:
                name = notify_name(error.type)
                raise PeerError(f"peer-said-{name}", error.type, detail=f"the peer answered {name}")
        elif not shake.intermediate or shake.exchanges >= MAX_EXCHANGES:
            raise PeerError("too-many-intermediates", NotifyType.INVALID_SYNTAX, fatal=True)
        else:
            shake.exchanges += 1
        if turn.opened is None:
            raise RuntimeError("IKE_INTERMEDIATE is always protected")
        _note(turn, not sa.is_initiator, turn.opened.covered())

    def sealed(self, turn: Turn, letter: Letter) -> None:
        """Note what we said."""
        if turn.ours:
            turn.sa.shake.exchanges += 1
        _note(turn, turn.sa.is_initiator, letter.covered())


@hook(ExchangeType.IKE_AUTH, order=-10)
class KeyExchangesDone(Task):
    """IKE_AUTH comes after all key exchanges that were agreed on (RFC 9370 section 2.2.3)."""

    __slots__ = ()

    def process(self, turn: Turn) -> None:
        """Raises PeerError when the initiator leaves one out."""
        if not turn.ours and turn.sa.shake.rounds:
            raise PeerError("key-exchange-left-out", NotifyType.INVALID_SYNTAX, fatal=True)


def go_on(turn: Turn) -> None:
    """As initiator: the next exchange of the handshake, which is IKE_AUTH when there is no key exchange left."""
    sa = turn.sa
    if sa.shake.rounds:
        turn.follow.append(Turn(sa, ExchangeType.IKE_INTERMEDIATE, ours=True))
    else:
        sa.become(IkeState.AUTHENTICATING)
        turn.follow.append(Turn(sa, ExchangeType.IKE_AUTH, ours=True))


def _note(turn: Turn, initiators: bool, message: bytes) -> None:
    shake, prf = turn.sa.shake, turn.sa.agreed.prf
    secret = shake.sk_pi if initiators else shake.sk_pr
    if secret is None:
        raise RuntimeError("the IKE SA has no keys")
    if initiators:
        shake.int_auth_i = int_auth_chunk(prf, secret, shake.int_auth_i, message)
    else:
        shake.int_auth_r = int_auth_chunk(prf, secret, shake.int_auth_r, message)
