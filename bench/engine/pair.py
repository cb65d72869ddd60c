"""Two engines in one process, wired to each other, with their guards: nothing but the engines costs time."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import IPv4Address
from time import thread_time_ns

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from rhp.crypto.proposal import parse_esp_proposal, parse_ike_proposal
from rhp.guard.policy import GuardPolicy, PrivateKey, PskSecret
from rhp.guard.protocol import Answer, CheckPsk, ProvePsk, Question, Refused, SignOctets
from rhp.guard.secrets import SecretStore
from rhp.ike.config import AuthKind, ChildConfig, ConnectionConfig, EngineConfig, LocalAuth, RemoteAuth
from rhp.ike.effects import AskGuard, Emit, InstallSA, Send
from rhp.ike.engine import Engine
from rhp.ike.events import InitiationFailed
from rhp.ike.path import Endpoint, Path
from rhp.pki import ca
from rhp.pki.ca import Credentials, KeyType
from rhp.pki.identity import parse_identity
from rhp.realm.pattern import IdentityPattern

IKE = "aes128gcm16-prfsha256-x25519"
ESP = "aes128gcm16"
PSK = b"a key for the benchmark"
DOMAIN = "example.org"
GATE = "gate.example.org"
ANY_RATE = 1_000_000
GATEWAY = Endpoint(IPv4Address("192.0.2.2"), 500)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a handshake is made of: an IKE proposal, and certificates with keys of a kind, or None for a PSK."""

    proposal: str = IKE
    key_type: KeyType | None = None

    @property
    def auth(self) -> AuthKind:
        """How both sides prove themselves."""
        return "psk" if self.key_type is None else "pubkey"


@cache
def authority(key_type: KeyType) -> Credentials:
    """The CA of all these certificates."""
    return ca.create_ca("benchmark", _an_hour_ago(), key_type=key_type, days=2)


@cache
def credentials(identity: str, key_type: KeyType) -> Credentials:
    """A certificate for that identity; made once, for RSA keys take their time."""
    return ca.issue(authority(key_type), [identity], _an_hour_ago(), key_type=key_type, days=2)


def _an_hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def _der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def connection(name: str, local: str, remote: str, kind: Kind) -> ConnectionConfig:
    """One side's connection, with an Ethernet child."""
    child = ChildConfig("ethernet", "ethernet", (), (), (parse_esp_proposal(ESP),))
    chain: tuple[bytes, ...] = ()
    trusted: tuple[bytes, ...] = ()
    if kind.key_type is not None:
        chain = (_der(credentials(local, kind.key_type).certificate),)
        trusted = (_der(authority(kind.key_type).certificate),)
    return ConnectionConfig(
        name,
        LocalAuth(kind.auth, parse_identity(local), chain),
        RemoteAuth(kind.auth, IdentityPattern.parse(remote), trusted),
        (parse_ike_proposal(kind.proposal),),
        (child,),
    )


def policy(connections: tuple[ConnectionConfig, ...], kind: Kind) -> GuardPolicy:
    """The secrets of these connections."""
    if kind.key_type is None:
        return GuardPolicy(psks=tuple(PskSecret(one.name, key=PSK) for one in connections))
    named = [(one.name, one.local.identity.data.decode()) for one in connections]
    pems = [(name, credentials(identity, kind.key_type).private_key) for name, identity in named]
    return GuardPolicy(keys=tuple(PrivateKey(name, pem=pem) for name, pem in pems))


class Node:
    """An engine and its guard. `installed` counts the pairs it asked for, `spent` the nanoseconds of its processor.

    `failed` are the connections that it began in vain. `on_install` gets each pair of ESP SAs.
    """

    def __init__(
        self, connections: tuple[ConnectionConfig, ...], kind: Kind, first_spi: int, config: EngineConfig
    ) -> None:
        self._spi = first_spi
        self.engine = Engine(config, allocate_spi=self._allocate, wall_clock=lambda: datetime.now(UTC))
        self.guard = SecretStore(policy(connections, kind))
        self.installed = 0
        self.spent = 0
        self.failed: list[str] = []
        self.on_install: Callable[[InstallSA], None] | None = None

    def _allocate(self, lane: int) -> int:
        self._spi += 1
        return self._spi

    def answer(self, question: Question) -> Answer:
        """What the guard says."""
        match question:
            case ProvePsk():
                return self.guard.prove(question)
            case CheckPsk():
                return self.guard.check(question)
            case SignOctets():
                return self.guard.sign(question)
        return Refused("this guard knows secrets only")

    def receive(self, datagram: bytes, path: Path, now: float) -> list[Send]:
        """Take a datagram and do what comes of it; what is to be sent."""
        began = thread_time_ns()
        self.engine.receive(datagram, path, now)
        sent = self._drain(now)
        self.spent += thread_time_ns() - began
        return sent

    def tick(self, now: float) -> list[Send]:
        """Do what is due."""
        began = thread_time_ns()
        self.engine.handle_timer(now)
        sent = self._drain(now)
        self.spent += thread_time_ns() - began
        return sent

    def initiate(self, connection: str, now: float, path: Path) -> list[Send]:
        """Begin an IKE SA."""
        self.engine.initiate(connection, now, path)
        return self._drain(now)

    def leave(self, now: float) -> list[Send]:
        """Close every IKE SA."""
        self.engine.close_all(now)
        return self._drain(now)

    def _drain(self, now: float) -> list[Send]:
        sent = []
        while effects := self.engine.effects():
            for effect in effects:
                if isinstance(effect, Send):
                    sent.append(effect)
                elif isinstance(effect, AskGuard):
                    self.engine.guard_answered(effect.request_id, self.answer(effect.question), now)
                elif isinstance(effect, InstallSA):
                    self.installed += 1
                    if self.on_install is not None:
                        self.on_install(effect)
                elif isinstance(effect, Emit) and isinstance(effect.event, InitiationFailed):
                    self.failed.append(effect.event.connection)
        return sent

    def established(self) -> int:
        """How many IKE SAs stand."""
        return sum(status.state == "established" for status in self.engine.status())


def address(number: int) -> Endpoint:
    """Where peer `number` is."""
    return Endpoint(IPv4Address("10.0.0.1") + number, 500)


class Pair:
    """An initiator, which is all clients, and a responder.

    Every handshake is a connection, an identity and an address of its own, because of two IKE SAs between the same two
    one would replace the other.
    """

    def __init__(self, peers: int, kind: Kind = Kind(), init_rate: int = ANY_RATE) -> None:
        self.kind = kind
        self.clients = tuple(connection(f"c{one}", f"peer{one}.{DOMAIN}", GATE, kind) for one in range(peers))
        self._init_rate = init_rate
        self.initiator = Node(self.clients, kind, 0x1000, EngineConfig())
        self.responder = self.new_responder()
        self._flight: deque[tuple[Node, Send]] = deque()

    def new_responder(self) -> Node:
        """A responder that knows of no SA."""
        gate = (connection("gate", GATE, f"*.{DOMAIN}", self.kind),)
        return Node(gate, self.kind, 0x4000_0000, EngineConfig(gate, init_rate=self._init_rate))

    def begin(self, number: int, now: float) -> list[Send]:
        """Have a client call."""
        # A gate's configuration is short; searching a long one for the name is not what is measured.
        self.initiator.engine.set_config(EngineConfig(self.clients[number : number + 1]))
        return self.initiator.initiate(f"c{number}", now, Path(address(number), GATEWAY, False))

    def handshake(self, number: int, now: float) -> None:
        """One complete handshake, from the first message to the pairs of ESP SAs on both sides."""
        self._deliver(self.begin(number, now), now)

    def leave(self, now: float) -> None:
        """Have all clients close their IKE SAs, and count anew."""
        self._deliver(self.initiator.leave(now), now)
        for node in (self.initiator, self.responder):
            node.installed = 0

    def _deliver(self, messages: list[Send], now: float) -> None:
        self._flight.extend((self.responder, sent) for sent in messages)
        while self._flight:
            receiver, sent = self._flight.popleft()
            answers = receiver.receive(sent.datagram, there(sent), now)
            other = self.initiator if receiver is self.responder else self.responder
            self._flight.extend((other, answer) for answer in answers)

    def check(self, handshakes: int) -> None:
        """Raise RuntimeError unless every handshake left an established IKE SA on both sides."""
        for node in (self.initiator, self.responder):
            alive = node.established()
            if not alive == node.installed == handshakes:
                raise RuntimeError(f"{alive} of {handshakes} IKE SAs are established")


def there(sent: Send) -> Path:
    """The path as the receiver sees it."""
    return Path(sent.path.remote, sent.path.local, sent.path.natt)
