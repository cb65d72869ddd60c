"""A Rockhopper's way with ports: with MOBIKE agreed its IKE goes to 4500, and its ESP stays where the NATs want it."""

import os

import pytest
from ladder_rockhopper import IKE_SUITE, Rockhopper
from ladder_world import child, config, connection
from test_rockhopper import ESP, STATION, Meeting

from rhp.ike.events import ChildFailed, IkeClosed, PathChanged
from rhp.ike.path import Endpoint
from rhp.ike.tasks.natd import endpoint_hash
from rhp.wire.delete import Delete
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.message import parse_message
from rhp.wire.notify import Notify


class Honest(Rockhopper):
    """One that hashes addresses: its own as it knows it, and ours."""

    own = ours = None

    def _natd(self):
        spi_r = bytes(8) if self.initiator else self.spi_r
        return [
            Notify(NotifyType.NAT_DETECTION_SOURCE_IP, endpoint_hash(self.spi_i, spi_r, self.own)),
            Notify(NotifyType.NAT_DETECTION_DESTINATION_IP, endpoint_hash(self.spi_i, spi_r, self.ours)),
        ]


class Street(Meeting):
    """Two addresses, and perhaps a NAT in front of the Rockhopper, which shows its port 4500 as `mapped`."""

    def __init__(self, net, nat, mapped=41000):
        super().__init__(net)
        self.other = Honest(self.to_us.append, self.other._psk.expose())
        self.nat, self.mapped, self.address = nat, mapped if nat else 4500, net.other(self.side).address
        self.other.own = Endpoint(self.address, 500 if not nat else 501)
        self.other.ours = Endpoint(self.side.address, 500)
        self.natt = False
        self.answers = []

    def deliver(self):
        """As `Meeting.deliver`, from where the original sends it; notes how the answer goes back."""
        source = Endpoint(self.address, self.mapped if self.natt else 500)
        self.net.inject(self.side, self.to_us.pop(0), source, natt=self.natt)
        return self.request() if self.net.flight else None

    def request(self):
        packet = self.net.flight.pop(0)
        self.answers.append(packet)
        return packet.datagram

    def check(self):
        """IKE on 4500, ESP in UDP behind a NAT and else as protocol 50, and nobody thinks that anything moved."""
        status, pair = self.side.status(), self.side.child()
        assert status.path.natt
        assert status.path.remote == Endpoint(self.address, self.mapped)
        assert status.nat_remote is self.nat and not status.nat_local
        assert pair.encapsulation == ("udp" if self.nat else "esp")
        assert pair.path.remote.ip == self.address
        assert self.side.happened(PathChanged, ChildFailed, IkeClosed) == []
        assert self.side.engine.counters.get("other-path", 0) == 0
        self.check_pair()


def street(ladder, nat, **more):
    made = connection("a.test", "b.test", ike=(IKE_SUITE,), children=(child(esp=(ESP,)),), encapsulation="auto")
    return Street(ladder(config(made, station=STATION)), nat, **more)


def they_call(ladder, nat):
    meeting = street(ladder, nat)
    # R:500 --- IKE_SA_INIT ---> a:500; without a NAT R:500 --- IKE_AUTH ---> a:500, with one R:4500 ---> a:4500
    meeting.other.begin()
    meeting.other.authenticate(meeting.deliver())
    meeting.natt = nat
    meeting.other.established(meeting.deliver())
    assert [packet.natt for packet in meeting.answers] == [False, nat]
    # R:4500 --- SK{N(59301), N(59303)} ---> a:4500, and no UPDATE_SA_ADDRESSES; R:4500 <--- SK{} --- a:4500
    meeting.natt = True
    assert meeting.other.open(meeting.deliver()).payloads == ()
    assert meeting.answers[-1].natt
    return meeting


def we_call(ladder, nat):
    meeting = street(ladder, nat, mapped=4500)
    meeting.net.initiate()
    meeting.other.answer_init(meeting.request())
    # a:4500 --- IKE_AUTH ---> R:4500, for MOBIKE is possible; it answers there
    request = meeting.deliver()
    assert meeting.answers[-1].natt
    meeting.natt = True
    meeting.other.answer_auth(request)
    meeting.other.acknowledge(meeting.deliver())
    assert meeting.deliver() is None
    return meeting


@pytest.fixture(params=[False, True], ids=["no-nat", "nat"])
def called(request, ladder):
    return they_call(ladder, request.param)


@pytest.fixture(params=[False, True], ids=["no-nat", "nat"])
def calling(request, ladder):
    return we_call(ladder, request.param)


def test_its_ike_moves_and_its_esp_does_not(called):
    called.check()


def test_ours_moves_with_it(calling):
    calling.check()


def test_our_requests_go_where_its_own_go(called):
    called.net.call(called.side, "rekey_child", called.side.child().child_id)
    called.other.answer_child_rekey(called.request())
    assert called.other.acknowledge(called.deliver()).first(Delete) is not None
    called.deliver()
    assert all(packet.natt for packet in called.answers[-2:])
    called.check()


@pytest.mark.parametrize("kind", ["child", "ike"])
def test_its_rekeys_keep_the_path(called, kind):
    if kind == "child":
        called.other.rekey_child()
        called.other.delete(called.other.child_rekeyed(called.deliver()))
        called.other.open(called.deliver())
    else:
        called.other.rekey_ike()
        called.other.ike_rekeyed(called.deliver())
        assert called.deliver() is not None
    called.check()


def test_our_rekey_of_the_ike_sa_keeps_the_path(calling):
    calling.net.call(calling.side, "rekey_ike", calling.side.status().ike_id)
    calling.other.answer_ike_rekey(calling.request())
    calling.other.acknowledge(calling.deliver())
    calling.deliver()
    calling.other.move_on()
    calling.check()


def test_its_answer_to_ike_auth_is_lost_and_it_asks_again(ladder):
    meeting = street(ladder, nat=False)
    meeting.other.begin()
    meeting.other.authenticate(meeting.deliver())
    (again,) = meeting.to_us
    lost = meeting.deliver()
    # The first answer never came; the same request from port 500 gets the same answer there, not on 4500.
    meeting.to_us.append(again)
    assert meeting.deliver() == lost
    assert not meeting.answers[-1].natt
    meeting.other.established(lost)
    meeting.natt = True
    meeting.other.open(meeting.deliver())
    meeting.check()


def test_a_request_that_comes_twice_is_answered_twice_where_it_came_from(called):
    called.other.rekey_child()
    (again,) = called.to_us
    first = called.deliver()
    called.to_us.append(again)
    assert called.deliver() == first
    assert all(packet.natt for packet in called.answers[-2:])


def test_its_liveness_check_is_answered_with_hashes(called):
    # R --- SK{N(NATD source), N(NATD destination)} ---> a; it minds the answer's hashes
    before = called.side.child()
    called.other._request(ExchangeType.INFORMATIONAL, *called.other._natd())
    answer = called.other.open(called.deliver())
    assert {notify.type for notify in answer.all(Notify)} == {
        NotifyType.NAT_DETECTION_SOURCE_IP,
        NotifyType.NAT_DETECTION_DESTINATION_IP,
    }
    assert called.side.child() == before
    called.check()


@pytest.mark.parametrize("octets", [0, 1, 19, 21, 3000])
def test_hashes_of_wrong_length_move_nothing(called, octets):
    junk = [Notify(one.type, os.urandom(octets)) for one in called.other._natd()]
    called.other._request(ExchangeType.INFORMATIONAL, *junk)
    assert called.other.open(called.deliver()) is not None
    called.check()


def test_what_we_announce_is_status_only(ladder):
    """All that we can do beside is said by status notifies, which the original passes over."""
    meeting = street(ladder, nat=False)
    meeting.net.initiate()
    sent = parse_message(meeting.request())
    said = [notify.type for notify in sent.all(Notify)]
    assert NotifyType.SIGNATURE_HASH_ALGORITHMS in said and NotifyType.IKEV2_FRAGMENTATION_SUPPORTED in said
    assert all(kind >= 16384 for kind in said)
