"""What ends a handshake, and what no longer may once it goes on."""

from dataclasses import replace

from rhp.ike.errors import Fault
from rhp.ike.events import EngineFault, IkeClosed, InitiationFailed
from rhp.ike.path import Endpoint, Path
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.message import Message, build_message, parse_header
from rhp.wire.notify import Notify


def refusal(request):
    header = parse_header(request.datagram)
    notify = Notify(NotifyType.NO_PROPOSAL_CHOSEN)
    return build_message(Message(header.spi_i, bytes(8), ExchangeType.IKE_SA_INIT, False, True, 0, (notify,)))


def test_a_guard_that_never_answers_the_initiator(wire):
    link = wire()
    link.initiate()
    link.carry(link.a)
    link.a.guard_works = False
    link.carry(link.b)
    assert link.a.states() == ["authenticating"]
    link.wait(34.0)
    assert link.a.states() == ["authenticating"]
    link.wait(2.0)
    assert link.a.states() == []
    (failed,) = link.a.happened(InitiationFailed)
    assert (failed.reason, failed.fault) == ("guard-silent", Fault.LOCAL)
    assert link.a.engine.next_deadline() is None
    # What it says in the end moves nobody.
    link.a.answer_guard(link.now)
    assert link.a.states() == [] and link.a.sent == []
    assert link.a.engine.counters["late-guard-answer"] == 1


def test_a_guard_that_takes_its_time(wire):
    link = wire()
    link.initiate()
    link.carry(link.a)
    link.a.guard_works = False
    link.carry(link.b)
    link.wait(20.0)
    link.a.guard_works = True
    link.a.answer_guard(link.now)
    # The clock of the guard has stopped: the peer may take its own time now.
    link.wait(20.0)
    assert link.a.states() == ["authenticating"]
    assert link.a.happened(InitiationFailed) == []


def test_an_early_hint_does_not_end_a_handshake_that_goes_on(wire):
    link = wire()
    link.initiate()
    here, there = Endpoint(link.a.address, 500), Endpoint(link.b.address, 500)
    link.give(link.a, refusal(link.a.sent[0]), Path(here, there, False))
    link.carry(link.a)
    link.carry(link.b)
    assert link.a.states() == ["authenticating"]
    # IKE_AUTH is lost for a while, longer than a hint has to wait.
    link.wait(10.0)
    assert link.a.states() == ["authenticating"]
    link.wait(30.0)
    (failed,) = link.a.happened(InitiationFailed)
    assert (failed.reason, failed.fault) == ("no-answer", Fault.NETWORK)


def test_a_peer_that_cannot_read_us_has_given_the_sa_up(wire, monkeypatch):
    link = wire().establish()
    assert link.a.states() == link.b.states() == ["established"]
    # A request that b cannot read: the inner payload says it is longer than all of it.
    monkeypatch.setattr("rhp.ike.sealing.build_payloads", lambda payloads: (41, b"\0\0\xff\xff"))
    link.a.engine.rekey_ike(link.a.engine.status()[0].ike_id, link.now)
    link.a.drain(link.now)
    monkeypatch.undo()
    link.carry(link.a)
    assert link.b.states() == []
    link.carry(link.b)
    assert link.a.states() == []
    assert [event.reason for event in link.a.happened(IkeClosed)] == ["peer-said-invalid-syntax"]
    assert link.a.happened(EngineFault) == link.b.happened(EngineFault) == []


def test_a_bug_of_ours_closes_one_sa_and_spares_the_rest(wire, monkeypatch):
    link = wire().establish()

    def break_down(self, turn):
        raise KeyError("a value that nobody may see")

    monkeypatch.setattr("rhp.ike.tasks.ike_rekey.IkeRekey.process", break_down)
    link.a.engine.rekey_ike(link.a.engine.status()[0].ike_id, link.now)
    link.a.drain(link.now)
    link.carry(link.a)
    assert link.b.states() == []
    (fault,) = link.b.happened(EngineFault)
    assert "KeyError" in fault.detail and "break_down" in fault.detail
    assert "nobody may see" not in fault.detail
    assert link.b.engine.counters["internal-error"] == 1


def test_the_engine_survives_whatever_breaks_inside(wire, monkeypatch):
    link = wire()

    def break_down(*args):
        raise ValueError

    monkeypatch.setattr("rhp.ike.endpoint.parse_header", break_down)
    link.give(link.b, bytes(28), Path(Endpoint(link.b.address, 500), Endpoint(link.a.address, 500), False))
    assert link.b.engine.counters["internal-error"] == 1
    assert len(link.b.happened(EngineFault)) == 1


def test_a_new_configuration_is_for_new_handshakes(wire):
    link = wire().establish()
    old = link.a.engine.status()[0]
    changed = replace(link.a.engine._ctx.config, connections=(), answer_rate=1, cookie_lifetime=5.0)
    link.a.engine.set_config(changed)
    assert link.a.engine.status()[0].ike_id == old.ike_id
    link.a.engine.rekey_ike(old.ike_id, link.now)
    link.a.drain(link.now)
    link.carry(link.a)
    link.carry(link.b)
    assert link.a.states() == ["established"]
    assert link.a.engine.status()[0].spi_i != old.spi_i
