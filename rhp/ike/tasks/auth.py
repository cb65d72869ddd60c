"""AUTH: each side proves the identity that it gave (RFC 7296 section 2.15, RFC 7427).

The proof covers the prover's own IKE_SA_INIT message, the other side's nonce and the prover's ID payload. Pre-shared
keys and private keys stay with the guard, which makes our proof and checks the peer's where that takes a secret; a
peer's signature is checked here, against the key of a certificate that leads to a CA of the connection.
"""

from rhp.crypto.auth import auth_octets
from rhp.crypto.errors import CryptoError
from rhp.crypto.signature import SUPPORTED_HASHES, verify
from rhp.guard.protocol import Accepted, AuthData, CheckPsk, ProvePsk, Refused, SignOctets
from rhp.ike import lifecycle
from rhp.ike.errors import Fault, LocalError
from rhp.ike.events import AuthenticationFailed
from rhp.ike.ike_sa import IkeSa
from rhp.ike.tasks.identify import refusal
from rhp.ike.tasks.notices import first_error, notify_name
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Ending, Task, Turn, Work
from rhp.pki.chain import CertificateRejected, validate_chain
from rhp.pki.identity import format_identity
from rhp.wire.auth import AUTH
from rhp.wire.iana import AuthMethod, ExchangeType, NotifyType
from rhp.wire.identity import Identity
from rhp.wire.notify import Notify

IdentityPair = tuple[int, bytes]
UNKNOWN: IdentityPair = (0, b"")

_CHILD_ERRORS = frozenset(
    {
        NotifyType.NO_PROPOSAL_CHOSEN,
        NotifyType.SINGLE_PAIR_REQUIRED,
        NotifyType.NO_ADDITIONAL_SAS,
        NotifyType.INTERNAL_ADDRESS_FAILURE,
        NotifyType.FAILED_CP_REQUIRED,
        NotifyType.TS_UNACCEPTABLE,
    }
)
"""These concern the first Child SA only; the IKE SA comes up without it (RFC 7296 section 1.2)."""


@hook(ExchangeType.IKE_SA_INIT, order=40)
class SignatureHashes(Task):
    """SIGNATURE_HASH_ALGORITHMS: both sides say so, or signatures are of the older methods (RFC 7427 section 4)."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """Announce the hashes; a responder only to a peer that did so."""
        if turn.ours or turn.sa.shake.peer_hashes is not None:
            data = b"".join(number.to_bytes(2) for number in sorted(SUPPORTED_HASHES))
            turn.out.append(Notify(NotifyType.SIGNATURE_HASH_ALGORITHMS, data))

    def process(self, turn: Turn) -> None:
        """Remember the peer's; an odd octet at the end is not looked at."""
        notify = turn.message.notify(NotifyType.SIGNATURE_HASH_ALGORITHMS)
        if notify is not None:
            pairs = zip(notify.data[::2], notify.data[1::2], strict=False)
            turn.sa.shake.peer_hashes = frozenset(high << 8 | low for high, low in pairs)


@hook(ExchangeType.IKE_AUTH, order=20)
class Authenticate(Task):
    """Prove ourselves when building, check the peer when processing; established is who has done both."""

    __slots__ = ()

    def build(self, turn: Turn) -> Work:
        """Have the guard make our AUTH. As responder this comes after the peer's check, so the SA stands."""
        answer = yield _own_proof(turn.sa)
        if not isinstance(answer, AuthData):
            detail = answer.reason if isinstance(answer, Refused) else "the guard gave no proof"
            error = refusal(turn, "no-own-proof", detail, Fault.LOCAL)
            if turn.ours:
                raise LocalError(error.reason, detail)
            raise error
        turn.out.append(AUTH(answer.method, answer.data))
        if not turn.ours:
            lifecycle.establish(turn.sa, turn.now)

    def process(self, turn: Turn) -> Work:
        """Check the peer's AUTH; raises PeerError, after an event that names identity and reason."""
        sa = turn.sa
        if turn.ours and self._refused(turn):
            return
        proof, peer = turn.message.first(AUTH), sa.peer
        if peer is None:
            raise refusal(turn, "no-identity", "the peer does not say who it is")
        if turn.ours and not sa.config.remote.pattern.matches(peer):
            detail = f"the peer is {format_identity(peer)}, expected is {sa.config.remote.pattern.text}"
            raise refusal(turn, "wrong-identity", detail)
        if proof is None:
            raise refusal(turn, "no-proof", f"{format_identity(peer)} sent no AUTH payload")
        by_key = proof.method != AuthMethod.SHARED_KEY
        if by_key != (sa.config.remote.method == "pubkey"):
            used = f"{format_identity(peer)} used authentication method {int(proof.method)}"
            raise refusal(turn, "wrong-method", f"{used}, expected is {sa.config.remote.method}")
        if by_key:
            _check_signature(turn, peer, proof)
        else:
            yield from _check_psk(turn, peer, proof)
        if turn.ours:
            lifecycle.establish(sa, turn.now)

    def _refused(self, turn: Turn) -> bool:
        """Whether the responder refuses us altogether."""
        sa = turn.sa
        error = first_error(turn.message)
        if error is None or error.type in _CHILD_ERRORS or turn.message.first(AUTH) is not None:
            return False
        name = notify_name(error.type)
        detail = f"the peer answered {name}"
        if error.type == NotifyType.AUTHENTICATION_FAILED:
            turn.ctx.count("authentication-refused-by-peer")
            wanted = sa.peer or sa.config.remote.pattern.identity
            turn.ctx.emit(
                AuthenticationFailed(
                    sa.id, sa.connection_name, sa.role, wanted, sa.path, "refused-by-peer", detail, Fault.LOCAL
                )
            )
        # Whom the peer does not believe has to look at home first, at its own key and name.
        fault = Fault.LOCAL if error.type == NotifyType.AUTHENTICATION_FAILED else Fault.PEER
        turn.ending = Ending(f"peer-said-{name}", fault, detail)
        return True


def pair(identity: Identity | None) -> IdentityPair:
    """An identity as the guard takes it; (0, b"") while it is not known."""
    return UNKNOWN if identity is None else (int(identity.id_type), identity.data)


def _own_proof(sa: IkeSa) -> ProvePsk | SignOctets:
    octets = _octets(sa, ours=True)
    if sa.config.local.method == "pubkey":
        return SignOctets(sa.config.name, octets, sa.shake.peer_hashes)
    remote = sa.peer if sa.peer is not None else sa.config.remote.pattern.identity
    return ProvePsk(sa.config.name, pair(sa.local), pair(remote), sa.agreed.prf.id, octets)


def _check_psk(turn: Turn, peer: Identity, proof: AUTH) -> Work:
    sa = turn.sa
    octets = _octets(sa, ours=False)
    local = pair(sa.config.local.identity)
    answer = yield CheckPsk(sa.config.name, local, pair(peer), sa.agreed.prf.id, octets, proof.data)
    if not isinstance(answer, Accepted):
        said = (
            answer.reason
            if isinstance(answer, Refused)
            else f"the guard did not accept the key of {format_identity(peer)}"
        )
        raise refusal(turn, "wrong-key", said)


def _check_signature(turn: Turn, peer: Identity, proof: AUTH) -> None:
    sa = turn.sa
    name = format_identity(peer)
    try:
        key = validate_chain(sa.shake.peer_chain, sa.config.remote.cas, turn.ctx.wall_clock(), peer)
    except CertificateRejected as error:
        raise refusal(
            turn, "certificate-rejected", f"the certificate of {name} is not accepted: {error.reason}"
        ) from error
    try:
        # Hashes are announced by both sides or by none, so who did so has no need of SHA-1.
        sha1 = sa.shake.peer_hashes is None
        verify(key, proof.method, proof.data, _octets(sa, ours=False), sha1=sha1)
    except CryptoError as error:
        raise refusal(turn, "wrong-signature", f"the signature of {name} is not right: {error}") from error


def _octets(sa: IkeSa, *, ours: bool) -> bytes:
    """What the side in question proves."""
    shake, prf = sa.shake, sa.agreed.prf
    initiators = ours == sa.is_initiator
    message, nonce = (shake.message_i, shake.nonce_r) if initiators else (shake.message_r, shake.nonce_i)
    identity, secret = (shake.id_i, shake.sk_pi) if initiators else (shake.id_r, shake.sk_pr)
    if identity is None or secret is None:
        raise RuntimeError("there is nothing to prove yet")
    return auth_octets(message, nonce, prf, secret, identity.build())
