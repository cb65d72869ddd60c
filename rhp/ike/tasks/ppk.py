"""PPK: a preshared key mixed into the keys, against an adversary with a quantum computer (RFC 8784).

Both sides say USE_PPK in IKE_SA_INIT. In IKE_AUTH the initiator names the PPK and proves itself with keys that have it
in them; where it could also do without, NO_PPK_AUTH holds the same proof with the keys as they were. The responder that
knows the PPK answers with an empty PPK_IDENTITY. The PPK itself stays with the guard.

With a ticket (RFC 5723) nothing is mixed: the SK_d that it stands for is the one that the PPK was in already.

`MixKeys` comes before `auth`, so that every AUTH is made and checked with the keys that are in force by then.
"""

from rhp.crypto.secret import Secret
from rhp.guard.protocol import AuthData, MixPpk, PpkKeys, Refused
from rhp.ike.config import Ppk
from rhp.ike.errors import Fault, LocalError, PeerError
from rhp.ike.ike_sa import IkeSa
from rhp.ike.tasks.auth import own_proof
from rhp.ike.tasks.identify import refusal
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn, Work
from rhp.wire.auth import AUTH
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.notify import Notify

OPAQUE, FIXED = 1, 2
"""The two types of a PPK_ID (RFC 8784 section 5.1). We send the second and take a name of ours under either."""


@hook(ExchangeType.IKE_SA_INIT, order=45)
class OfferPpk(Task):
    """USE_PPK, in both messages or without effect."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """As initiator say that there is one; as responder agree, where a connection that may be meant has one."""
        sa = turn.sa
        if turn.ours:
            wanted = sa.config.ppk is not None
        else:
            wanted = turn.message.notify(NotifyType.USE_PPK) is not None and _some_have_one(turn)
            sa.shake.use_ppk = wanted
        if wanted:
            turn.out.append(Notify(NotifyType.USE_PPK))

    def process(self, turn: Turn) -> None:
        """As initiator see whether the responder takes part. AUTH covers both messages, so nobody else decides that."""
        if turn.ours:
            said = turn.message.notify(NotifyType.USE_PPK) is not None
            turn.sa.shake.use_ppk = said and turn.sa.config.ppk is not None


@hook(ExchangeType.IKE_AUTH, order=15)
class MixKeys(Task):
    """PPK_IDENTITY and NO_PPK_AUTH: whether SK_d, SK_pi and SK_pr get the PPK mixed in."""

    __slots__ = ()

    def build(self, turn: Turn) -> Work:
        """As initiator name the PPK and mix it in; as responder say that we did."""
        sa, ppk = turn.sa, turn.sa.config.ppk
        if sa.shake.resumed is not None:
            return
        if not turn.ours:
            if sa.shake.ppk_mixed:
                turn.out.append(Notify(NotifyType.PPK_IDENTITY))
            return
        if ppk is None:
            return
        if not sa.shake.use_ppk:
            if ppk.required:
                raise _ours(turn, "ppk-not-supported", "the peer knows no post-quantum preshared key, and we need one")
            return
        plain = None
        if not ppk.required:
            plain = yield from own_proof(sa)
        answer = yield _question(sa, ppk)
        if not isinstance(answer, PpkKeys):
            said = answer.reason if isinstance(answer, Refused) else "the guard mixed no keys"
            raise _ours(turn, "no-own-ppk", said, Fault.LOCAL)
        _mix(sa, answer)
        turn.out.append(Notify(NotifyType.PPK_IDENTITY, bytes((FIXED,)) + ppk.ppk_id))
        if isinstance(plain, AuthData):
            turn.out.append(Notify(NotifyType.NO_PPK_AUTH, plain.data))

    def process(self, turn: Turn) -> Work:
        """Settle which keys are in force, before the peer's AUTH is checked. Raises PeerError."""
        if turn.sa.shake.resumed is not None:
            return
        if not turn.ours:
            yield from _take(turn)
            return
        sa, ppk = turn.sa, turn.sa.config.ppk
        if turn.message.first(AUTH) is None or sa.shake.unmixed is None:
            return
        if turn.message.notify(NotifyType.PPK_IDENTITY) is None:
            if ppk is None or ppk.required:
                raise refusal(turn, "ppk-not-used", "the peer did not use the post-quantum preshared key")
            turn.ctx.count("ppk-left-out")
            _unmix(sa)
        _settled(sa)


def _take(turn: Turn) -> Work:
    """As responder: use the PPK that the initiator names if it is ours, or else do without one where that is allowed.

    The cases are those of the table in RFC 8784 section 3.
    """
    sa, ppk = turn.sa, turn.sa.config.ppk
    named = turn.message.notify(NotifyType.PPK_IDENTITY) if sa.shake.use_ppk else None
    if named is not None and ppk is not None and named.data[:1] in (b"\1", b"\2") and named.data[1:] == ppk.ppk_id:
        answer = yield _question(sa, ppk)
        if isinstance(answer, PpkKeys):
            _mix(sa, answer)
            _settled(sa)
            return
        if ppk.required:
            said = answer.reason if isinstance(answer, Refused) else "the guard mixed no keys"
            raise refusal(turn, "no-own-ppk", said, Fault.LOCAL)
    if ppk is not None and ppk.required:
        said = "names another post-quantum preshared key" if named is not None else "uses no post-quantum preshared key"
        raise refusal(
            turn, "unknown-ppk" if named is not None else "ppk-not-used", f"the peer {said}, and we need ours"
        )
    if named is None:
        return
    plain, proof = turn.message.notify(NotifyType.NO_PPK_AUTH), turn.message.first(AUTH)
    if plain is None:
        raise refusal(turn, "unknown-ppk", "the peer needs a post-quantum preshared key that this connection has not")
    if proof is not None:
        sa.shake.stand_in = AUTH(proof.method, plain.data)
    turn.ctx.count("ppk-left-out")


def _some_have_one(turn: Turn) -> bool:
    """Nobody has said a name yet, so any connection that serves this path may turn out to be meant."""
    return turn.ctx.directory.wants_ppk(turn.path)


def _question(sa: IkeSa, ppk: Ppk) -> MixPpk:
    sk_d, sk_pi, sk_pr = _keys(sa)
    return MixPpk(sa.config.name, ppk.ppk_id, sa.agreed.prf.id, sk_d.expose(), sk_pi.expose(), sk_pr.expose())


def _keys(sa: IkeSa) -> tuple[Secret, Secret, Secret]:
    shake = sa.shake
    if sa.sk_d is None or shake.sk_pi is None or shake.sk_pr is None:
        raise RuntimeError("the IKE SA has no keys")
    return sa.sk_d, shake.sk_pi, shake.sk_pr


def _mix(sa: IkeSa, keys: PpkKeys) -> None:
    shake = sa.shake
    shake.unmixed, shake.ppk_mixed = _keys(sa), True
    sa.sk_d, shake.sk_pi, shake.sk_pr = Secret(keys.sk_d), Secret(keys.sk_pi), Secret(keys.sk_pr)


def _unmix(sa: IkeSa) -> None:
    """The responder does without the PPK: back to the keys that the key exchange made."""
    shake, mixed = sa.shake, _keys(sa)
    if shake.unmixed is not None:
        sa.sk_d, shake.sk_pi, shake.sk_pr = shake.unmixed
        shake.unmixed, shake.ppk_mixed = mixed, False


def _settled(sa: IkeSa) -> None:
    """The other keys will not be needed any more."""
    sa.ppk = sa.shake.ppk_mixed
    for secret in sa.shake.unmixed or ():
        secret.wipe()
    sa.shake.unmixed = None


def _ours(turn: Turn, reason: str, detail: str, fault: Fault = Fault.PEER) -> LocalError:
    """Our request cannot be made; the event is emitted here."""
    error: PeerError = refusal(turn, reason, detail, fault)
    return LocalError(error.reason, detail)
