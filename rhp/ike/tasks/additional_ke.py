"""Additional key exchanges of a new IKE SA, one in each IKE_INTERMEDIATE exchange (RFC 9370 section 2.2.2).

Each makes all keys anew, out of the SK_d of before and its own secret. Both messages of the exchange are still under
the keys of before: the responder changes them once its answer is sealed, the initiator once it has read that.
"""

from rhp.crypto import keyexchange
from rhp.crypto.keymat import IkeKeys, strengthen_ike_keys
from rhp.crypto.secret import Secret
from rhp.ike import lifecycle
from rhp.ike.errors import PeerError
from rhp.ike.ike_sa import IkeSa
from rhp.ike.negotiation import agree, respond, start
from rhp.ike.sealing import Letter
from rhp.ike.tasks import intermediate
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.ke import KE


@hook(ExchangeType.IKE_INTERMEDIATE, order=20)
class AdditionalKeyExchange(Task):
    """The next one of those agreed on."""

    __slots__ = ("_keys", "_own", "_public")

    def __init__(self) -> None:
        self._own: keyexchange.KeyExchange | None = None
        self._public: KE | None = None
        self._keys: IkeKeys | None = None

    def build(self, turn: Turn) -> None:
        """Our public value; as responder it was made along with the secret."""
        if turn.ours:
            self._own = start(turn.sa.shake.rounds[0])
            turn.out.append(KE(self._own.method, self._own.public))
        elif self._public is not None:
            turn.out.append(self._public)

    def process(self, turn: Turn) -> None:
        """The secret, and the keys that come of it. Raises PeerError for a wrong method or a bad value."""
        ke = turn.message.first(KE)
        if turn.ours:
            if ke is None or self._own is None or ke.method != self._own.method:
                raise _wrong_method()
            self._derive(turn.sa, agree(self._own, ke.data))
            self._change(turn.sa)
            intermediate.go_on(turn)
        elif ke is not None:
            if ke.method not in turn.sa.shake.rounds[:1]:
                raise _wrong_method()
            public, shared = respond(ke)
            self._public = KE(ke.method, public)
            self._derive(turn.sa, shared)

    def sealed(self, turn: Turn, letter: Letter) -> None:
        """As responder: the answer was the last message under the old keys. A step forward earns the peer more time."""
        if not turn.ours and turn.ending is None and self._keys is not None:
            self._change(turn.sa)
            lifecycle.await_initiator(turn.sa, turn.now)

    def _derive(self, sa: IkeSa, shared: Secret) -> None:
        if sa.sk_d is None:
            raise RuntimeError("the IKE SA has no keys")
        shake = sa.shake
        self._keys = strengthen_ike_keys(
            sa.agreed, sa.sk_d, shared, shake.nonce_i, shake.nonce_r, sa.spi_i, sa.spi_r
        )  # fmt: skip
        shared.wipe()

    def _change(self, sa: IkeSa) -> None:
        keys, self._keys = self._keys, None
        if keys is not None:
            sa.take_keys(sa.agreed, keys)
            sa.shake.rounds = sa.shake.rounds[1:]


def _wrong_method() -> PeerError:
    return PeerError("wrong-key-exchange", NotifyType.INVALID_SYNTAX, fatal=True)
