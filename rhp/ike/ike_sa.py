"""One IKE SA: what it knows, and the one place where its state changes.

It holds data and simple questions about it. Messages are judged and opened in `inbound`, exchanges run in `conductor`,
beginning and end stand in `lifecycle`, and what time brings in `upkeep`.
"""

from typing import TYPE_CHECKING

from rhp.crypto.cipher import IkeCipher
from rhp.crypto.keymat import IkeKeys
from rhp.crypto.secret import Secret
from rhp.crypto.suite import IkeSuite
from rhp.ike.config import ConnectionConfig
from rhp.ike.events import Role, StateChanged
from rhp.ike.exchange import RequestWindow, ResponseWindow
from rhp.ike.handshake import Handshake
from rhp.ike.path import Endpoint, Path
from rhp.ike.states import IKE_TRANSITIONS, IkeState
from rhp.ike.timers import Timer
from rhp.wire.identity import Identity

if TYPE_CHECKING:
    from rhp.ike.child_sa import ChildSa
    from rhp.ike.context import Context
    from rhp.ike.turn import Ending, Turn

NO_SPI = bytes(8)


class IkeSa:
    """An IKE SA in either role.

    `id` is its lineage's, and so is `origin`: our role when the lineage began and when that was. `spi_i` and `spi_r`
    are the original initiator's and responder's.

    `turn` is our exchange that is under way, `queue` those that wait for it; `asking` is the guard request that it
    waits for. `children` maps inbound SPIs to pairs. After a rekey `successor` has taken over everything but the SPIs
    and keys.
    """

    __slots__ = (
        "asking",
        "children",
        "cipher_in",
        "cipher_out",
        "connection",
        "created_at",
        "ctx",
        "dpd_timer",
        "encapsulate",
        "ending",
        "established_at",
        "expires_at",
        "first_message",
        "handshake",
        "id",
        "keepalive_timer",
        "last_seen",
        "lifetime_timer",
        "local",
        "nat_local",
        "nat_remote",
        "origin",
        "path",
        "peer",
        "peer_is_rhp",
        "queue",
        "rekey_at",
        "requests",
        "responses",
        "role",
        "sk_d",
        "spi_i",
        "spi_r",
        "state",
        "successor",
        "suite",
        "turn",
    )

    def __init__(
        self,
        ctx: "Context",
        ike_id: int,
        role: Role,
        connection: ConnectionConfig | None,
        spis: tuple[bytes, bytes],
        path: Path,
        now: float,
    ) -> None:
        self.ctx = ctx
        self.id = ike_id
        self.role: Role = role
        self.connection = connection
        self.spi_i, self.spi_r = spis
        self.path = path
        self.state = IkeState.CREATED
        self.created_at = self.last_seen = now
        self.origin: tuple[Role, float] = role, now
        self.established_at: float | None = None
        self.rekey_at: float | None = None
        self.expires_at: float | None = None
        self.requests = RequestWindow()
        self.responses = ResponseWindow()
        self.turn: Turn | None = None
        self.queue: list[Turn] | None = None
        self.asking: int | None = None
        self.handshake: Handshake | None = None
        self.first_message: tuple[Endpoint, int] | None = None
        self.suite: IkeSuite | None = None
        self.sk_d: Secret | None = None
        self.cipher_in: IkeCipher | None = None
        self.cipher_out: IkeCipher | None = None
        self.local: Identity | None = None
        self.peer: Identity | None = None
        self.peer_is_rhp = False
        self.nat_local = self.nat_remote = self.encapsulate = False
        self.children: dict[int, ChildSa] = {}
        self.successor: IkeSa | None = None
        self.ending: Ending | None = None
        self.lifetime_timer: Timer | None = None
        self.dpd_timer: Timer | None = None
        self.keepalive_timer: Timer | None = None

    @property
    def is_initiator(self) -> bool:
        """Whether we are the original initiator, which the I flag of every message tells."""
        return self.role == "initiator"

    @property
    def own_spi(self) -> bytes:
        """The SPI that we chose."""
        return self.spi_i if self.role == "initiator" else self.spi_r

    @property
    def connection_name(self) -> str:
        """The connection's name, empty while none is chosen."""
        return self.connection.name if self.connection is not None else ""

    @property
    def config(self) -> ConnectionConfig:
        """The connection; there is one from the first answer to IKE_SA_INIT on."""
        if self.connection is None:
            raise RuntimeError("no connection is chosen yet")
        return self.connection

    @property
    def shake(self) -> Handshake:
        """The handshake; there is one until the SA is established."""
        if self.handshake is None:
            raise RuntimeError("the handshake is over")
        return self.handshake

    @property
    def agreed(self) -> IkeSuite:
        """The suite; there is one once IKE_SA_INIT is processed."""
        if self.suite is None:
            raise RuntimeError("no suite is agreed yet")
        return self.suite

    def become(self, state: IkeState) -> None:
        """Change the state; the only place that does. Raises RuntimeError for a transition that is not in the table."""
        if state not in IKE_TRANSITIONS[self.state]:
            raise RuntimeError(f"an IKE SA cannot go from {self.state.value} to {state.value}")
        old, self.state = self.state, state
        self.ctx.emit(StateChanged(self.id, self.connection_name, old.value, state.value))

    def take_keys(self, suite: IkeSuite, keys: IkeKeys) -> None:
        """Arm both directions. SK_pi and SK_pr go to the handshake, if there is one; the rest of `keys` is consumed."""
        self.suite = suite
        self.sk_d = keys.sk_d
        theirs = IkeCipher(suite.encryption, suite.integrity, keys.sk_er, keys.sk_ar if suite.integrity else None)
        ours = IkeCipher(suite.encryption, suite.integrity, keys.sk_ei, keys.sk_ai if suite.integrity else None)
        if not self.is_initiator:
            ours, theirs = theirs, ours
        self.cipher_out, self.cipher_in = ours, theirs
        spent = [keys.sk_ai, keys.sk_ar, keys.sk_ei, keys.sk_er]
        if self.handshake is not None:
            self.handshake.sk_pi, self.handshake.sk_pr = keys.sk_pi, keys.sk_pr
        else:
            spent += [keys.sk_pi, keys.sk_pr]
        for secret in spent:
            secret.wipe()

    def enqueue(self, turn: "Turn", *, first: bool = False) -> None:
        """Have an exchange of ours wait for its turn; `conductor.pump` starts it."""
        if self.queue is None:
            self.queue = []
        if first:
            self.queue.insert(0, turn)
        else:
            self.queue.append(turn)
