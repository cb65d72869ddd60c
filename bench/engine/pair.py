"""Two engines in one process, wired to each other, with their guards: nothing but the engines costs time."""

from collections import deque
from datetime import UTC, datetime
from ipaddress import IPv4Address

from rhp.crypto.proposal import parse_esp_proposal, parse_ike_proposal
from rhp.guard.policy import GuardPolicy, PskSecret
from rhp.guard.protocol import Answer, CheckPsk, ProvePsk, Question, Refused
from rhp.guard.secrets import SecretStore
from rhp.ike.config import ChildConfig, ConnectionConfig, EngineConfig, LocalAuth, RemoteAuth
from rhp.ike.effects import AskGuard, InstallSA, Send
from rhp.ike.engine import Engine
from rhp.ike.path import Endpoint, Path
from rhp.pki.identity import IdentityPattern, parse_identity

IKE = "aes128gcm16-prfsha256-x25519"
ESP = "aes128gcm16"
PSK = b"a key for the benchmark"
DOMAIN = "example.org"
GATE = "gate.example.org"


def connection(name: str, local: str, remote: str) -> ConnectionConfig:
    """One side's connection, with an Ethernet child."""
    child = ChildConfig("ethernet", "ethernet", (), (), (parse_esp_proposal(ESP),))
    return ConnectionConfig(
        name,
        LocalAuth("psk", parse_identity(local)),
        RemoteAuth("psk", IdentityPattern.parse(remote)),
        (parse_ike_proposal(IKE),),
        (child,),
    )


class Node:
    """An engine and its guard; `installed` counts the pairs that it asked for."""

    def __init__(self, connections: tuple[ConnectionConfig, ...], first_spi: int) -> None:
        self._spi = first_spi
        self.engine = Engine(
            EngineConfig(connections), allocate_spi=self._allocate, wall_clock=lambda: datetime.now(UTC)
        )
        self.guard = SecretStore(GuardPolicy(psks=tuple(PskSecret(one.name, key=PSK) for one in connections)))
        self.installed = 0

    def _allocate(self) -> int:
        self._spi += 1
        return self._spi

    def answer(self, question: Question) -> Answer:
        """What the guard says."""
        if isinstance(question, ProvePsk):
            return self.guard.prove(question)
        if isinstance(question, CheckPsk):
            return self.guard.check(question)
        return Refused("this guard knows pre-shared keys only")


class Pair:
    """An initiator and a responder.

    Every handshake is a connection and an identity of its own, because of two IKE SAs between the same two one would
    replace the other.
    """

    def __init__(self, peers: int) -> None:
        clients = tuple(connection(f"c{number}", f"peer{number}.{DOMAIN}", GATE) for number in range(peers))
        self.initiator = Node(clients, 0x1000)
        self.responder = Node((connection("gate", GATE, f"*.{DOMAIN}"),), 0x4000_0000)
        self._clients = clients
        self._flight: deque[tuple[Node, Send]] = deque()

    def handshake(self, number: int, now: float) -> None:
        """One complete handshake, from the first message to the pairs of ESP SAs on both sides."""
        # A gate's configuration is short; searching a long one for the name is not what is measured.
        self.initiator.engine.set_config(EngineConfig(self._clients[number : number + 1]))
        path = Path(Endpoint(IPv4Address("192.0.2.1"), 500), Endpoint(IPv4Address("192.0.2.2"), 500), False)
        self.initiator.engine.initiate(f"c{number}", now, path)
        self._drain(self.initiator, now)
        while self._flight:
            sender, sent = self._flight.popleft()
            receiver = self.responder if sender is self.initiator else self.initiator
            receiver.engine.receive(sent.datagram, Path(sent.path.remote, sent.path.local, sent.path.natt), now)
            self._drain(receiver, now)

    def check(self, handshakes: int) -> None:
        """Raise RuntimeError unless every handshake left an established IKE SA on both sides."""
        for node in (self.initiator, self.responder):
            alive = sum(status.state == "established" for status in node.engine.status())
            if not alive == node.installed == handshakes:
                raise RuntimeError(f"{alive} of {handshakes} IKE SAs are established")

    def _drain(self, node: Node, now: float) -> None:
        while effects := node.engine.effects():
            for effect in effects:
                if isinstance(effect, Send):
                    self._flight.append((node, effect))
                elif isinstance(effect, AskGuard):
                    node.engine.guard_answered(effect.request_id, node.answer(effect.question), now)
                elif isinstance(effect, InstallSA):
                    node.installed += 1
