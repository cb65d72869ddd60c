"""What an IKE SA has to remember only until it is established; dropped as a whole then, keys wiped."""

from dataclasses import dataclass

from rhp.crypto.keyexchange import KeyExchange
from rhp.crypto.secret import Secret
from rhp.ike.config import ChildConfig
from rhp.ike.errors import PeerError
from rhp.wire.identity import IDi, IDr


@dataclass(slots=True)
class Handshake:
    """IKE_SA_INIT and IKE_AUTH in the making, seen from either role.

    `message_i` and `message_r` are the two IKE_SA_INIT messages as they were on the wire; AUTH covers them.
    `hint` is the last unprotected error of the peer: believed only when nothing better comes (RFC 7296 section 2.21.1).
    `child` is the child that we ask for in IKE_AUTH, None as responder.
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
    peer_authorities: tuple[bytes, ...] | None = None
    id_i: IDi | None = None
    id_r: IDr | None = None
    wanted: IDr | None = None
    hint: PeerError | None = None

    def wipe(self) -> None:
        """Overwrite the keys that nobody needs any more."""
        for secret in (self.sk_pi, self.sk_pr):
            if secret is not None:
                secret.wipe()
