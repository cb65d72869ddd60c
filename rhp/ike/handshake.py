"""What an IKE SA has to remember only until it is established; dropped as a whole then, keys wiped."""

from dataclasses import dataclass

from rhp.crypto.keyexchange import KeyExchange
from rhp.crypto.secret import Secret
from rhp.ike.config import ChildConfig
from rhp.ike.errors import PeerError
from rhp.ike.path import IpAddress
from rhp.ike.resumed import HeldTicket, Resumed
from rhp.wire.auth import AUTH
from rhp.wire.identity import IDi, IDr


@dataclass(slots=True)
class Handshake:
    """IKE_SA_INIT and IKE_AUTH in the making, seen from either role.

    `message_i` and `message_r` are the two IKE_SA_INIT messages as they were on the wire; AUTH covers them.
    `hint` is the last unprotected error of the peer: believed only when nothing better comes (RFC 7296 section 2.21.1).
    `child` is the child that we ask for in IKE_AUTH, None as responder. `childless` is why there can be none, although
    the peer was authenticated. `ticket` is the one that we show instead of a key exchange; `resumed` says that one was
    accepted: it binds both identities, and no certificate or key is asked. `redirected_from` is the gateway that sent
    us here (RFC 5685); `leaving` says that the IKE SA goes on elsewhere, so that it gets no child.

    `stand_in` is to be checked in the place of the peer's AUTH. `use_ppk` is set once both sides have said USE_PPK;
    `unmixed` are SK_d', SK_pi' and SK_pr' while it may still turn out that the peer does not know the PPK (RFC 8784).

    `intermediate` says that both sides know IKE_INTERMEDIATE, `exchanges` counts those that there were, and `rounds`
    are the methods of the additional key exchanges still to come. `int_auth_i` and `int_auth_r` are the two sides'
    shares of IntAuth (RFC 9242 section 3.3.2).
    """

    child: ChildConfig | None = None
    message_i: bytes = b""
    message_r: bytes = b""
    nonce_i: bytes = b""
    nonce_r: bytes = b""
    key_exchange: KeyExchange | None = None
    cookie: bytes = b""
    restarts: int = 0
    sk_pi: Secret | None = None
    sk_pr: Secret | None = None
    peer_hashes: frozenset[int] | None = None
    peer_chain: tuple[bytes, ...] = ()
    id_i: IDi | None = None
    id_r: IDr | None = None
    wanted: IDr | None = None
    hint: PeerError | None = None
    childless: PeerError | None = None
    intermediate: bool = False
    exchanges: int = 0
    rounds: tuple[int, ...] = ()
    int_auth_i: bytes = b""
    int_auth_r: bytes = b""
    stand_in: AUTH | None = None
    use_ppk: bool = False
    ppk_mixed: bool = False
    unmixed: tuple[Secret, Secret, Secret] | None = None
    ticket: HeldTicket | None = None
    resumed: Resumed | None = None
    redirected_from: IpAddress | None = None
    leaving: bool = False

    def wipe(self) -> None:
        """Overwrite the keys that nobody needs any more."""
        held = self.ticket.sk_d if self.ticket is not None else None
        for secret in (self.sk_pi, self.sk_pr, held, *(self.unmixed or ())):
            if secret is not None:
                secret.wipe()
