"""IDi and IDr of IKE_AUTH: who each side says it is (RFC 7296 sections 2.15 and 3.5). The proof comes with `auth`."""

from functools import partial

from rhp.ike import candidates
from rhp.ike.config import AuthKind
from rhp.ike.errors import Fault, PeerError
from rhp.ike.events import AuthenticationFailed
from rhp.ike.states import IkeState
from rhp.ike.tasks.cert import x509_chain
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.pki.certificate import certificate_identities
from rhp.pki.identity import format_identity
from rhp.wire.auth import AUTH
from rhp.wire.iana import AuthMethod, ExchangeType, IdType, NotifyType
from rhp.wire.identity import Identity, IDi, IDr

MAX_OCTETS = 4096
"""The longest identity that is looked at: nobody is authenticated yet, and it is compared."""

MAX_NAMES = 64
"""So many names of a certificate may say which realm its owner belongs to."""


@hook(ExchangeType.IKE_AUTH, order=0)
class Identify(Task):
    """The initiator names itself and, where it knows it, the responder.

    The responder picks the connection and names itself.
    """

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """IDi, and IDr for an exact remote identity; or our IDr."""
        sa, shake = turn.sa, turn.sa.shake
        sa.local = sa.config.local.identity
        if not turn.ours:
            shake.id_r = IDr(sa.local.id_type, sa.local.data)
            turn.out.append(shake.id_r)
            return
        shake.id_i = IDi(sa.local.id_type, sa.local.data)
        turn.out.append(shake.id_i)
        wanted = sa.config.remote.pattern.identity
        if wanted is not None:
            turn.out.append(IDr(wanted.id_type, wanted.data))

    def process(self, turn: Turn) -> None:
        """Raises PeerError when the peer names nobody, or somebody whom no connection expects."""
        sa, shake = turn.sa, turn.sa.shake
        proof = turn.message.first(AUTH)
        method = proof_kind(proof.method) if proof is not None else "pubkey"
        if turn.ours:
            shake.id_r = turn.message.first(IDr)
            if shake.id_r is not None and _may_be(shake.id_r, method):
                sa.peer = Identity(shake.id_r.id_type, shake.id_r.data)
                _check_ticket(turn)
            return
        sa.become(IkeState.AUTHENTICATING)
        shake.id_i = turn.message.first(IDi)
        shake.wanted = turn.message.first(IDr)
        if shake.id_i is None or not _may_be(shake.id_i, method):
            raise refusal(turn, "no-identity", "the peer does not say who it is")
        sa.peer = Identity(shake.id_i.id_type, shake.id_i.data)
        if shake.resumed is None:
            self._choose_connection(turn, sa.peer, method)
        elif not _is_served(turn):
            # IKE_AUTH may come from elsewhere than the ticket did, as a NAT or the NAT-T ports would have it.
            raise refusal(turn, "address-not-served", f"the connection does not serve {turn.path.remote.ip}")
        _check_ticket(turn)

    def _choose_connection(self, turn: Turn, peer: Identity, method: AuthKind) -> None:
        sa = turn.sa
        claim = candidates.Claim(peer, sa.shake.wanted, method, sa.agreed, partial(_certified, turn))
        try:
            sa.connection = candidates.by_identity(turn.ctx.directory, turn.path, claim)
        except candidates.NobodyFits as error:
            # What was taken before the peer had a name has nothing to do with it.
            sa.connection = None
            raise refusal(turn, error.reason, error.detail) from error


def _certified(turn: Turn) -> tuple[Identity, ...]:
    """The names in the certificate that the peer shows; whether it is to be believed is seen with the proof."""
    chain = x509_chain(turn.message)
    try:
        return certificate_identities(chain[0])[:MAX_NAMES] if chain else ()
    except ValueError:
        return ()  # It will be refused, and for a reason that says more.


def _is_served(turn: Turn) -> bool:
    """Whether the connection is still there, and is for where the peer is."""
    connection = turn.ctx.directory.named(turn.sa.connection_name)
    return connection is not None and candidates.serves(connection, turn.path)


def _check_ticket(turn: Turn) -> None:
    """A ticket is for the two identities that it was given between, and for no other (RFC 5723 section 4.3.3)."""
    resumed = turn.sa.shake.resumed
    if resumed is not None and turn.sa.peer != resumed.peer:
        raise refusal(turn, "wrong-identity", f"the ticket is of {format_identity(resumed.peer)}")


def proof_kind(method: int) -> AuthKind:
    """What an authentication method takes: a shared key, nothing at all, or else a certificate."""
    if method == AuthMethod.SHARED_KEY:
        return "psk"
    return "null" if method == AuthMethod.NULL else "pubkey"


def _may_be(identity: Identity, method: AuthKind) -> bool:
    """Whether there is a name in it, of a length that names have; ID_NULL is for those alone who prove nothing."""
    if identity.id_type == IdType.NULL:
        return method == "null" and not identity.data
    return 1 <= len(identity.data) <= MAX_OCTETS


def refusal(turn: Turn, reason: str, detail: str, fault: Fault = Fault.PEER) -> PeerError:
    """The error that ends a handshake with AUTHENTICATION_FAILED; the event that tells why is emitted here."""
    sa = turn.sa
    turn.ctx.count("authentication-failed")
    turn.ctx.emit(AuthenticationFailed(sa.id, sa.connection_name, sa.role, sa.peer, sa.path, reason, detail, fault))
    return PeerError(reason, NotifyType.AUTHENTICATION_FAILED, detail=detail, fatal=True)
