"""Two engines with a wire between them, for what a single room cannot show."""

import random
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from rhp.crypto.proposal import parse_esp_proposal, parse_ike_proposal
from rhp.guard.policy import GuardPolicy, PskSecret
from rhp.guard.protocol import ProvePsk
from rhp.guard.secrets import SecretStore
from rhp.ike.config import ChildConfig, ConnectionConfig, EngineConfig, LocalAuth, RemoteAuth
from rhp.ike.effects import AskGuard, Emit, Send
from rhp.ike.engine import Engine
from rhp.ike.path import Endpoint, Path
from rhp.pki.identity import parse_identity
from rhp.realm.pattern import IdentityPattern

GUARD = SecretStore(GuardPolicy(psks=(PskSecret("t", key=b"a key that both know"),)))


def make_config(local, remote, **more):
    connection = ConnectionConfig(
        "t",
        LocalAuth("psk", parse_identity(local)),
        RemoteAuth("psk", IdentityPattern.parse(remote)),
        (parse_ike_proposal("aes128gcm16-prfsha256-x25519"),),
        (ChildConfig("ethernet", "ethernet", (), (), (parse_esp_proposal("aes128gcm16"),)),),
    )
    return EngineConfig((connection,), **more)


class Node:
    """An engine, what it has to say (`sent`), what it asked (`asked`) and what happened (`events`)."""

    def __init__(self, address, config):
        self.address = ip_address(address)
        spis = iter(range(0x1000, 1 << 30))
        self.engine = Engine(
            config,
            allocate_spi=lambda lane: next(spis),
            wall_clock=lambda: datetime(2026, 6, 1, tzinfo=UTC),
            random=random.Random(address).randbytes,
        )
        self.sent, self.asked, self.events = [], [], []
        self.guard_works = True

    def drain(self, now):
        while effects := self.engine.effects():
            for effect in effects:
                if isinstance(effect, Send):
                    self.sent.append(effect)
                elif isinstance(effect, AskGuard):
                    self.asked.append(effect)
                elif isinstance(effect, Emit):
                    self.events.append(effect.event)
            if self.guard_works:
                self.answer_guard(now)

    def answer_guard(self, now):
        asked, self.asked = self.asked, []
        for one in asked:
            question = one.question
            answer = GUARD.prove(question) if isinstance(question, ProvePsk) else GUARD.check(question)
            self.engine.guard_answered(one.request_id, answer, now)
        if asked:
            self.drain(now)

    def states(self):
        return [status.state for status in self.engine.status()]

    def happened(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


class Wire:
    """Carries messages between `a` and `b`; both clocks stand still until told."""

    def __init__(self, **more):
        self.a = Node("192.0.2.1", make_config("a@x", "b@x", **more))
        self.b = Node("192.0.2.2", make_config("b@x", "a@x", **more))
        self.now = 0.0

    def initiate(self):
        path = Path(Endpoint(self.a.address, 500), Endpoint(self.b.address, 500), False)
        self.a.engine.initiate("t", self.now, path)
        self.a.drain(self.now)

    def carry(self, sender, times=1):
        """Deliver the sender's oldest messages."""
        receiver = self.b if sender is self.a else self.a
        for _ in range(times):
            sent = sender.sent.pop(0)
            self.give(receiver, sent.datagram, Path(sent.path.remote, sent.path.local, sent.path.natt))

    def give(self, node, datagram, path):
        node.engine.receive(datagram, path, self.now)
        node.drain(self.now)

    def establish(self):
        self.initiate()
        for sender in (self.a, self.b) * 2:
            self.carry(sender)
        return self

    def wait(self, seconds):
        """Let time pass for both, delivering nothing."""
        end = self.now + seconds
        while due := [when for node in (self.a, self.b) if (when := node.engine.next_deadline()) and when <= end]:
            self.now = min(due)
            for node in (self.a, self.b):
                node.engine.handle_timer(self.now)
                node.drain(self.now)
        self.now = end


@pytest.fixture
def wire():
    return Wire
