"""AUTH: each side proves the identity that it gave (RFC 7296 section 2.15, RFC 7427).

The proof covers the prover's own IKE_SA_INIT message, the other side's nonce, the prover's ID payload, and what was
said in IKE_INTERMEDIATE exchanges (RFC 9242). Pre-shared keys and private keys stay with the guard, which makes our
proof and checks the peer's where that takes a secret; a peer's signature is checked here, against the key of a
certificate that leads to a CA of the connection. How we prove ourselves and how the peer does are two settings. NULL
(RFC 7619) proves no more than that the prover took part in the key exchange; it takes no long-term secret, so it is
made and checked here, and only where the connection says so.
"""

from collections.abc import Generator
from hmac import compare_digest

from rhp.crypto.auth import auth_octets, int_auth, psk_auth, resumption_auth
from rhp.crypto.errors import CryptoError
from rhp.crypto.signature import announced_hashes, verify
from rhp.guard.protocol import Accepted, Answer, AuthData, CheckPsk, ProvePsk, Question, Refused, SignOctets
from rhp.ike import lifecycle, resumption
from rhp.ike.errors import Fault, LocalError
from rhp.ike.events import AuthenticationFailed
from rhp.ike.ike_sa import IkeSa
from rhp.ike.tasks.cert import own_dates
from rhp.ike.tasks.identify import proof_kind, refusal
from rhp.ike.tasks.notices import first_error, notify_name
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Ending, Task, Turn, Work
from rhp.pki.chain import CertificateRejected
from rhp.pki.identity import ANONYMOUS, format_identity
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
            hashes = b"".join(number.to_bytes(2) for number in sorted(announced_hashes()))
            turn.out.append(Notify(NotifyType.SIGNATURE_HASH_ALGORITHMS, hashes))

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
        answer = yield from own_proof(turn.sa)
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
        proof, peer = sa.shake.stand_in or turn.message.first(AUTH), sa.peer
        if peer is None:
            raise refusal(turn, "no-identity", "the peer does not say who it is")
        if turn.ours and not sa.config.remote.pattern.matches(peer):
            detail = f"the peer is {format_identity(peer)}, expected is {sa.config.remote.pattern.text}"
            raise refusal(turn, "wrong-identity", detail)
        if proof is None:
            raise refusal(turn, "no-proof", f"{format_identity(peer)} sent no AUTH payload")
        if sa.shake.resumed is not None:
            _check_ticket(turn, peer, proof)
            if turn.ours:
                lifecycle.establish(sa, turn.now)
            return
        kind = proof_kind(proof.method)
        if kind != sa.config.remote.method:
            used = f"{format_identity(peer)} used authentication method {int(proof.method)}"
            raise refusal(turn, "wrong-method", f"{used}, expected is {sa.config.remote.method}")
        if kind == "pubkey":
            _check_signature(turn, peer, proof)
        elif kind == "psk":
            yield from _check_psk(turn, peer, proof)
        elif not compare_digest(_null_proof(sa, ours=False), proof.data):
            raise refusal(turn, "wrong-null-proof", "the peer's AUTH does not belong to this key exchange")
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
            detail += own_dates(turn)
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


def own_proof(sa: IkeSa) -> Generator[Question, Answer, Answer]:
    """Have our proof made with SK_pi or SK_pr as they are now; returns `AuthData`, or else why there is none."""
    if sa.shake.resumed is not None:
        return AuthData(int(AuthMethod.SHARED_KEY), _ticket_proof(sa, ours=True))
    if sa.config.local.method == "null":
        return AuthData(AuthMethod.NULL, _null_proof(sa, ours=True))
    octets = _octets(sa, ours=True)
    if sa.config.local.method == "pubkey":
        return (yield SignOctets(sa.config.name, octets, sa.shake.peer_hashes))
    remote = sa.peer if sa.peer is not None else sa.config.remote.pattern.identity
    if sa.config.remote.method == "null":
        remote = ANONYMOUS
    return (yield ProvePsk(sa.config.name, pair(sa.local), pair(remote), sa.agreed.prf.id, octets))


def _null_proof(sa: IkeSa, *, ours: bool) -> bytes:
    """As with a pre-shared key, which here is the prover's SK_pi or SK_pr (RFC 7619 section 2.1)."""
    secret = sa.shake.sk_pi if ours == sa.is_initiator else sa.shake.sk_pr
    if secret is None:
        raise RuntimeError("the IKE SA has no keys")
    return psk_auth(sa.agreed.prf, secret, _octets(sa, ours=ours))


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
        remote = sa.config.remote
        now = turn.ctx.wall_clock()
        key = turn.ctx.chains.validate(sa.shake.peer_chain, remote.cas, now, peer, remote.intermediates, remote.crls)
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


def _ticket_proof(sa: IkeSa, *, ours: bool) -> bytes:
    secret = sa.shake.sk_pi if ours == sa.is_initiator else sa.shake.sk_pr
    if secret is None:
        raise RuntimeError("there is nothing to prove yet")
    return resumption_auth(sa.agreed.prf, secret, _octets(sa, ours=ours))


def _check_ticket(turn: Turn, peer: Identity, proof: AUTH) -> None:
    """Who has the keys that come of a ticket is who got it; it is used up by that (RFC 5723 section 4.3.3)."""
    sa = turn.sa
    if proof.method != AuthMethod.SHARED_KEY or not compare_digest(proof.data, _ticket_proof(sa, ours=False)):
        raise refusal(turn, "wrong-key", f"{format_identity(peer)} does not have the keys of its ticket")
    if not turn.ours and not resumption.spend(sa):
        raise refusal(turn, "ticket-spent", f"the ticket of {format_identity(peer)} was used meanwhile")


def _octets(sa: IkeSa, *, ours: bool) -> bytes:
    """What the side in question proves."""
    shake, prf = sa.shake, sa.agreed.prf
    initiators = ours == sa.is_initiator
    message, nonce = (shake.message_i, shake.nonce_r) if initiators else (shake.message_r, shake.nonce_i)
    identity, secret = (shake.id_i, shake.sk_pi) if initiators else (shake.id_r, shake.sk_pr)
    if identity is None or secret is None:
        raise RuntimeError("there is nothing to prove yet")
    said = int_auth(shake.int_auth_i, shake.int_auth_r, shake.exchanges + 1) if shake.exchanges else b""
    return auth_octets(message, nonce, prf, secret, identity.build(), said)
