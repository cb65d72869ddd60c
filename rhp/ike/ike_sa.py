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
from rhp.ike.maker import Maker
from rhp.ike.path import Endpoint, Path
from rhp.ike.states import IKE_TRANSITIONS, IkeState
from rhp.ike.timers import Timer
from rhp.wire.identity import Identity

if TYPE_CHECKING:
    from rhp.ike.assignment import Assignment
    from rhp.ike.child_sa import ChildSa
    from rhp.ike.context import Context
    from rhp.ike.effects import Carrier
    from rhp.ike.linked import Linked
    from rhp.ike.mobility import Mobility
    from rhp.ike.tasks.collision import Rival
    from rhp.ike.turn import Ending, Turn
    from rhp.realm.pool import Lease

NO_SPI = bytes(8)


class IkeSa:
    """An IKE SA in either role.

    `id` is its lineage's, and so is `origin`: our role when the lineage began and when that was. `spi_i` and `spi_r`
    are the original initiator's and responder's.

    `fragment_size` is the longest IP packet that we send a protected message in, 0 where the peer takes no fragments.
    `linked` is what waits for additional key exchanges of the peer, by the links that it was given.

    `turn` is our exchange that is under way, `queue` those that wait for it; `asking` is the guard request that it
    waits for. `children` maps inbound SPIs to pairs. `assigned` is what the peer gave us by a configuration payload,
    `leases` what we lent it. After a rekey `successor` has taken over everything but the SPIs and keys, and has this
    one as `predecessor` until it is deleted; what a collision of rekeys made too many has a successor as well. `rival`
    is what the peer made in place of this SA while our own request to replace it is out. `busy` is when the peer first
    and last put off a change. `nat_detection` says that the peer knows NAT traversal; `mobility` is there once MOBIKE
    is agreed on. `peer_token` proves a crash of the peer, empty while it gave none (RFC 6290);
    `ticket_id` names the ticket that the peer holds, empty while it has none (RFC 5723);
    `redirectable` says that the peer can be sent to another gateway (RFC 5685).

    `ppk` says that a post-quantum preshared key is in its keys (RFC 8784).

    `extra` is for extensions, by their names: what one wants to remember of this IKE SA and its successors.

    `renewal` is the IKE SA in the making that shall take this one's place by reauthentication. It `renews` this one,
    until this one has gone; see `rhp.ike.renewal`.
    """

    __slots__ = (
        "_path",
        "asking",
        "assigned",
        "authentic_until",
        "authenticated_at",
        "busy",
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
        "extra",
        "first_message",
        "fragment_size",
        "handshake",
        "id",
        "keepalive_timer",
        "last_seen",
        "last_sent",
        "leases",
        "lifetime_timer",
        "linked",
        "local",
        "maker",
        "mobility",
        "nat_detection",
        "nat_local",
        "nat_remote",
        "origin",
        "peer",
        "peer_token",
        "ppk",
        "predecessor",
        "queue",
        "reauth_at",
        "redirectable",
        "rekey_at",
        "renewal",
        "renews",
        "requests",
        "responses",
        "rival",
        "role",
        "sk_d",
        "spi_i",
        "spi_r",
        "state",
        "successor",
        "suite",
        "ticket_id",
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
        self.origin: tuple[Role, float] = role, now
        self.connection = connection
        self.spi_i, self.spi_r = spis
        self._path = path
        self.state = IkeState.CREATED
        self.created_at = self.last_seen = self.last_sent = self.authenticated_at = now
        self._begin_without_keys()
        self._begin_without_peer()
        self._begin_without_work()
        self._begin_without_kin()
        self._begin_without_dates()

    def _begin_without_keys(self) -> None:
        self.handshake: Handshake | None = None
        self.suite: IkeSuite | None = None
        self.sk_d: Secret | None = None
        self.cipher_in: IkeCipher | None = None
        self.cipher_out: IkeCipher | None = None
        self.ppk = False

    def _begin_without_peer(self) -> None:
        """Nobody is known, and nothing about what the peer can do."""
        self.local: Identity | None = None
        self.peer: Identity | None = None
        self.maker = Maker.OTHER
        self.fragment_size = 0
        self.peer_token = self.ticket_id = b""
        self.redirectable = False
        self.nat_detection = self.nat_local = self.nat_remote = self.encapsulate = False
        self.mobility: Mobility | None = None

    def _begin_without_work(self) -> None:
        self.requests = RequestWindow()
        self.responses = ResponseWindow()
        self.first_message: tuple[Endpoint, int] | None = None
        self.turn: Turn | None = None
        self.queue: list[Turn] | None = None
        self.asking: int | None = None
        self.linked: dict[bytes, Linked] | None = None
        self.busy: tuple[float, float] | None = None
        self.ending: Ending | None = None

    def _begin_without_kin(self) -> None:
        """Neither children, nor addresses for them, nor another IKE SA of the lineage."""
        self.children: dict[int, ChildSa] = {}
        self.assigned: Assignment | None = None
        self.leases: tuple[Lease, ...] = ()
        self.extra: dict[str, object] | None = None
        self.successor: IkeSa | None = None
        self.predecessor: IkeSa | None = None
        self.renewal: IkeSa | None = None
        self.renews: IkeSa | None = None
        self.rival: Rival[IkeSa] | None = None

    def _begin_without_dates(self) -> None:
        """Its end, and when it is replaced, are settled when it is established."""
        self.established_at: float | None = None
        self.rekey_at: float | None = None
        self.expires_at: float | None = None
        self.reauth_at: float | None = None
        self.authentic_until: float | None = None
        self.lifetime_timer: Timer | None = None
        self.dpd_timer: Timer | None = None
        self.keepalive_timer: Timer | None = None

    @property
    def path(self) -> Path:
        """Where the peer is, and from where we speak to it."""
        return self._path

    @path.setter
    def path(self, path: Path) -> None:
        old, self._path = self._path, path
        if old.remote.ip != path.remote.ip:
            self.ctx.table.moved(self, old.remote.ip)

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

    @property
    def newest(self) -> "IkeSa":
        """The one of its lineage that has no successor yet."""
        found = self
        while found.successor is not None:
            found = found.successor
        return found

    @property
    def traffic(self) -> "tuple[Path, Carrier]":
        """Where the ESP of its children goes, and how: the IKE SA's path, unless that is still unproven."""
        if self.mobility is not None and self.mobility.held is not None:
            return self.mobility.held
        return self.path, "udp" if self.encapsulate else "esp"

    def become(self, state: IkeState) -> None:
        """Change the state; the only place that does. Raises RuntimeError for a transition that is not in the table."""
        if state not in IKE_TRANSITIONS[self.state]:
            raise RuntimeError(f"an IKE SA cannot go from {self.state.value} to {state.value}")
        old, self.state = self.state, state
        self.ctx.emit(StateChanged(self.id, self.connection_name, old.value, state.value))

    def take_keys(self, suite: IkeSuite, keys: IkeKeys) -> None:
        """Arm both directions. SK_pi and SK_pr go to the handshake, if there is one; the rest of `keys` is consumed.

        Keys that were there before are forgotten: an additional key exchange has made better ones.
        """
        self.suite = suite
        if self.sk_d is not None:
            self.sk_d.wipe()
        self.sk_d = keys.sk_d
        theirs = IkeCipher(suite.encryption, suite.integrity, keys.sk_er, keys.sk_ar if suite.integrity else None)
        ours = IkeCipher(suite.encryption, suite.integrity, keys.sk_ei, keys.sk_ai if suite.integrity else None)
        if not self.is_initiator:
            ours, theirs = theirs, ours
        self.cipher_out, self.cipher_in = ours, theirs
        spent = [keys.sk_ai, keys.sk_ar, keys.sk_ei, keys.sk_er]
        if self.handshake is not None:
            self.handshake.wipe()
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
