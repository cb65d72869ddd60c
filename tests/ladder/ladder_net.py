"""A network in one process: two or three engines, a clock that jumps, and every message in our hands.

What an engine sends lies in `flight` until it is delivered, dropped or duplicated. Whatever happens is noted, so that a
failing test shows it as a sequence diagram.
"""

import random
from dataclasses import dataclass, replace
from ipaddress import ip_address

from ladder_side import Side
from ladder_view import Reader, arrow, effect_text
from ladder_world import config, connection, psk_policy

from rhp._fast.esp import EspOpener, EspSealer
from rhp.ike.effects import AskGuard, Send
from rhp.ike.events import EngineFault
from rhp.ike.path import Endpoint, Path
from rhp.wire.iana import ExchangeType
from rhp.wire.message import Message, build_payloads, parse_header, sealed_prefix

A, B, C = ip_address("192.0.2.1"), ip_address("192.0.2.2"), ip_address("192.0.2.3")
START = 1000.0
DELIVER, LOSE, TWICE = "deliver", "lose", "twice"


@dataclass(frozen=True)
class Packet:
    """A datagram on its way; `number` counts everything sent in this network, `natt` tells the NAT-T sockets."""

    number: int
    sender: str
    datagram: bytes
    source: Endpoint
    target: Endpoint
    natt: bool

    @property
    def header(self):
        return parse_header(self.datagram)


class LadderNet:
    """Two sides, `a` and `b`, perhaps a third, `c`, and what is between them."""

    def __init__(self, a=None, b=None, policy_a=None, policy_b=None, *, c=None, policy_c=None, nat=None, seed=1):
        self.now = START
        configs = {"a": a or config(connection("a@x", "b@x")), "b": b or config(connection("b@x", "a@x")), "c": c}
        policies = {"a": policy_a, "b": policy_b, "c": policy_c}
        addresses = {"a": A, "b": B, "c": C}
        self.sides = [
            Side(name, addresses[name], one, policies[name] or psk_policy(), self.elapsed, seed)
            for name, one in configs.items()
            if one is not None
        ]
        self.a, self.b = self.sides[:2]
        self.c = self.sides[2] if len(self.sides) > 2 else None
        self.flight = []
        self.sent = []
        self.lines = []
        self.nat = nat
        self.lost = lambda packet: False
        self.fate = lambda packet: LOSE if self.lost(packet) else DELIVER
        self.reader = Reader()
        self.chance = random.Random(seed)

    def elapsed(self):
        return self.now - START

    # What a test can do.

    def initiate(self, side=None, connection="t", *, to=None, natt=False):
        """Have a side begin an IKE SA; its id."""
        side = side or self.a
        ike_id = side.engine.initiate(connection, self.now, side.path_to(to or self.other(side), natt))
        self.collect(side)
        return ike_id

    def call(self, side, verb, *args):
        """Call a verb of an engine, with the time added, and collect what it wants done."""
        result = getattr(side.engine, verb)(*args, self.now)
        self.collect(side)
        return result

    def establish(self, **kwargs):
        """Have a initiate and deliver everything."""
        self.initiate(**kwargs)
        self.settle()
        return self

    def collect(self, side):
        """Drain a side's effects, answer its guard's questions unless they are to wait, and note what it sends."""
        while effects := side.engine.effects():
            self.reader.learn(self.sides)
            for effect in effects:
                if isinstance(effect, Send):
                    self._send(side, effect)
                elif isinstance(effect, AskGuard):
                    side.questions.append(effect)
                else:
                    self._note(side, effect_text(effect))
                    side.apply(effect)
            if not side.guard_waits:
                self.answer_guards(side)

    def answer_guards(self, side):
        """Have a side's guard answer what it was asked."""
        asked, side.questions = side.questions, []
        for effect in asked:
            side.engine.guard_answered(effect.request_id, side.answer_guard(effect.question), self.now)
        if asked:
            self.collect(side)

    def deliver(self, index=0):
        """Deliver one message in flight; the packet."""
        packet = self.flight.pop(index)
        self.hand_over(packet)
        return packet

    def drop(self, index=0):
        """Lose one message in flight; the packet."""
        packet = self.flight.pop(index)
        self._draw(packet, "lost", arrives=False)
        return packet

    def hand_over(self, packet, note=""):
        """Give a packet to whom it is addressed, whether it is in flight or not."""
        source, target = packet.source, packet.target
        if self.nat is not None:
            source, target = self.nat.translate(source, target)
        if not any(packet.source.ip in one.addresses for one in self.sides):
            target = None  # Nobody can send from an address that is not there.
        side = next((one for one in self.sides if target is not None and target.ip in one.addresses), None)
        self._draw(packet, note if side is not None else "there is nobody", arrives=side is not None)
        if side is not None:
            side.engine.receive(packet.datagram, Path(target, source, packet.natt), self.now)
            self.collect(side)

    def settle(self, limit=400):
        """Deliver everything in order, and what comes of it, without any time passing."""
        for _ in range(limit):
            if not self.flight:
                return
            fate = self.fate(self.flight[0])
            if fate == LOSE:
                self.drop()
                continue
            packet = self.deliver()
            if fate == TWICE:
                self.hand_over(packet, "again")
        raise AssertionError("the sides do not come to rest")

    def advance(self, seconds, *, settle=True, limit=100_000):
        """Let time pass from deadline to deadline, delivering everything (unless told not to)."""
        end = self.now + seconds
        for _ in range(limit):
            due = [when for side in self.sides if (when := side.engine.next_deadline()) is not None and when <= end]
            if not due:
                break
            self.now = max(self.now, min(due))
            for side in self.sides:
                side.engine.handle_timer(self.now)
                self.collect(side)
            if settle:
                self.settle()
        else:
            raise AssertionError("timers keep firing")
        self.now = end

    def inject(self, side, datagram, source=None, *, natt=False):
        """A datagram from anywhere, to one side."""
        port = 4500 if natt else 500
        source = source or Endpoint(self.other(side).address, port)
        self.lines.append(f"{self._moment()} to {side.name} from {source}: {self.reader.describe(datagram)}")
        side.engine.receive(datagram, Path(Endpoint(side.address, port), source, natt), self.now)
        self.collect(side)

    def forge(self, side, payloads, exchange=ExchangeType.INFORMATIONAL, *, message_id=None):
        """A request as if `side` had sealed it on its one IKE SA; it takes the next Message ID of its requests."""
        return self.seal(self.frame(side, exchange, message_id, payloads))

    def frame(self, side, exchange=ExchangeType.INFORMATIONAL, message_id=None, payloads=()):
        """The request that `forge` seals, still open."""
        sa = side.sa()
        if message_id is None:
            message_id = sa.requests.next_id
            sa.requests.next_id += 1
        return Message(sa.spi_i, sa.spi_r, exchange, sa.is_initiator, False, message_id, tuple(payloads))

    def say(self, side, payloads, exchange=ExchangeType.INFORMATIONAL, **more):
        """Forge a request of `side`, deliver it, and return the message that answers it (None if none does)."""
        return self.ask(self.other(side), self.forge(side, payloads, exchange, **more))

    def reply(self, request, payloads):
        """Answer a packet that was dropped (or whose answer was) as if its addressee had said `payloads`."""
        header = request.header
        side = next(one for one in self.sides if request.target.ip in one.addresses)
        own = side.table.by_spi(header.spi_r if header.initiator else header.spi_i)
        if own is not None and own.responses.next_id == header.message_id:
            own.responses.next_id += 1
        frame = Message(
            header.spi_i, header.spi_r, header.exchange, not header.initiator, True, header.message_id, tuple(payloads)
        )
        asker = next(one for one in self.sides if one.name == request.sender)
        self.inject(asker, self.seal(frame), request.target, natt=request.natt)

    def seal(self, message):
        """A message as its sender would seal it."""
        first, inside = build_payloads(message.payloads)
        return self.seal_raw(message, first, inside)

    def seal_raw(self, message, first, inside):
        """As `seal`, with the octets inside given."""
        frame = replace(message, payloads=())
        cipher = self.reader.cipher(message.spi_i, message.spi_r, message.initiator)
        prefix = sealed_prefix(frame, first, cipher.overhead(len(inside)))
        return prefix + cipher.seal(prefix, inside)

    def ask(self, side, datagram):
        """Inject a datagram over the path of the IKE SA; the answer, which its addressee never sees, or None."""
        before = len(self.flight)
        path = side.status().path
        self.inject(side, datagram, path.remote, natt=path.natt)
        for index, packet in enumerate(self.flight[before:], before):
            if packet.header.response:
                del self.flight[index]
                return self.read(packet)
        return None

    # What a test can ask.

    def other(self, side):
        return self.b if side is self.a else self.a

    def read(self, packet):
        """A packet's message, opened."""
        return self.reader.read(packet.datagram)

    def check_pairs(self):
        """Each of two sides' pairs mirrors one of the other's, and what one seals the other opens."""
        assert len(self.a.sas) == len(self.b.sas)
        for sa in self.a.sas.values():
            mirror = self.b.sas[sa.spi_out]
            assert mirror.spi_out == sa.spi_in
            assert sa.encr_in != sa.encr_out
            assert (sa.local_ts, sa.remote_ts) == (mirror.remote_ts, mirror.local_ts)
            assert (sa.suite, sa.mode, sa.encapsulation) == (mirror.suite, mirror.mode, mirror.encapsulation)
            check_traffic(sa, mirror)
            check_traffic(mirror, sa)

    def check_established(self, children=1):
        """Both sides have one IKE SA, and the same pairs."""
        assert self.a.states() == self.b.states() == ["established"]
        assert self.a.status().suite == self.b.status().suite
        assert len(self.a.sas) == children
        assert len(self.a.status().children) == len(self.b.status().children) == children
        self.check_pairs()

    def check_empty(self):
        """Nobody keeps anything."""
        assert self.flight == []
        for side in self.sides:
            side.check_empty()

    def check_no_faults(self):
        for side in self.sides:
            assert side.happened(EngineFault) == []
            assert side.count("internal-error") == 0

    def diagram(self):
        """The flow so far."""
        return "\n".join(self.lines[-400:])

    def _send(self, side, effect):
        path = effect.path
        packet = Packet(len(self.sent), side.name, effect.datagram, path.local, path.remote, path.natt)
        self.sent.append(packet)
        self.flight.append(packet)

    def _moment(self):
        return f"{self.elapsed():10.2f} s "

    def _draw(self, packet, note, *, arrives):
        port = " (4500)" if packet.natt else ""
        text = f"#{packet.number} {self.reader.describe(packet.datagram)}{port} {note}".rstrip()
        if self.c is not None:
            text = f"{packet.sender}: {text}"
        self.lines.append(self._moment() + arrow(text, packet.sender == "a", arrives))

    def _note(self, side, text):
        self.lines.append(f"{'':13}{side.name}: {text}")


def check_traffic(sender, receiver):
    """Seal with one side's outbound keys, open with the other side's inbound ones."""
    payload, suite = bytes(range(64)), sender.suite
    integrity = suite.integrity.id if suite.integrity is not None else 0
    numbers = suite.encryption.id, sender.encr_out.expose(), integrity, sender.integ_out.expose()
    packet = EspSealer(*numbers, sender.spi_out, suite.esn).seal(1, 97, payload)
    numbers = suite.encryption.id, receiver.encr_in.expose(), integrity, receiver.integ_in.expose()
    opener = EspOpener(*numbers, receiver.spi_in, suite.esn, receiver.replay_window)
    assert opener.open(packet) == (97, payload)
