"""A Rockhopper at the other end: an Ethernet in its dialect, either side beginning, across rekeys of both kinds."""

from ipaddress import ip_address

import pytest
from ladder_rockhopper import IKE_SUITE, Rockhopper
from ladder_world import PSK, child, config, connection, tunnel

from rhp.ike.config import Station
from rhp.ike.events import AuthenticationFailed, ChildEstablished, ChildFailed, ChildRekeyed, IkeClosed, IkeRekeyed
from rhp.ike.maker import Maker
from rhp.ike.selectors import ANYTHING, ETHERNET
from rhp.wire.delete import Delete
from rhp.wire.iana import ExchangeType, NotifyType, Protocol
from rhp.wire.message import parse_message
from rhp.wire.notify import Notify
from rhp.wire.private import ROCKHOPPER_VENDOR_ID, RockhopperNotify
from rhp.wire.vendor import Vendor

STATION = Station(bytes.fromhex("021122334455"), ip_address("10.96.0.1"), None)
ESP = "aes256-sha512-modp2048"


def rhp_config(children=None, **more):
    made = connection("a.test", "b.test", ike=(IKE_SUITE,), children=children or (child(esp=(ESP,)),), **more)
    return config(made, station=STATION)


class Meeting:
    """Our engine, `side`, and the original; what either sends waits until it is delivered."""

    def __init__(self, net, **more):
        self.net, self.side = net, net.a
        self.to_us = []
        self.other = Rockhopper(self.to_us.append, PSK, **more)

    def deliver(self):
        """Give our engine the other's next message; what it sends back, or None."""
        datagram = self.to_us.pop(0)
        natt = parse_message(datagram).exchange != ExchangeType.IKE_SA_INIT
        self.net.inject(self.side, datagram, natt=natt)
        return self.net.flight.pop(0).datagram if self.net.flight else None

    def request(self):
        """Our engine's next request."""
        return self.net.flight.pop(0).datagram

    def check_pair(self, suite="aes256-sha512", selectors=(ANYTHING, ANYTHING)):
        """One pair, whose keys the other has the other way round; `selectors` are ours and the other's."""
        pair, theirs = self.side.child(), self.other.child
        assert (pair.spi_out.to_bytes(4), pair.spi_in.to_bytes(4)) == (theirs.spi_in, theirs.spi_out)
        own = (theirs.keys.encr_i, theirs.keys.encr_r) if theirs.began else (theirs.keys.encr_r, theirs.keys.encr_i)
        assert (pair.encr_in.expose(), pair.encr_out.expose()) == tuple(key.expose() for key in own)
        assert pair.mode == "ethernet"
        assert (pair.local_ts, pair.remote_ts) == selectors
        assert pair.suite.name.startswith(suite)
        assert pair.suite.esn


@pytest.fixture
def meet(ladder):
    def make(**more):
        return Meeting(ladder(rhp_config(**more)))

    return make


def they_begin(meeting):
    # R --- SA, KE, Ni, V, N(NATD) ---> a; R <--- SA, KE, Nr, N(NATD), V ---
    # R --- SK{IDi, ..., N(59300), ...} ---> a; R <--- SK{IDr, AUTH, N(59301, 59303), ..., N(59300)} ---
    meeting.other.begin()
    meeting.other.authenticate(meeting.deliver())
    meeting.other.established(meeting.deliver())
    # R --- SK{N(59301), N(59303)} ---> a; R <--- SK{} ---
    assert meeting.other.open(meeting.deliver()).payloads == ()
    return meeting


def we_begin(meeting):
    net, side, other = meeting.net, meeting.side, meeting.other
    net.initiate()
    other.answer_init(meeting.request())
    other.answer_auth(meeting.deliver())
    # a --- SK{N(59301), N(59303)} ---> R; a <--- SK{} ---
    told = other.acknowledge(meeting.deliver())
    assert [notify.type for notify in told.all(Notify)] == [
        RockhopperNotify.INTERNAL_IP4_ADDRESS,
        RockhopperNotify.INTERNAL_MAC_ADDRESS,
    ]
    assert meeting.deliver() is None
    assert side.states() == ["established"]
    return meeting


@pytest.fixture(params=[they_begin, we_begin], ids=["they-begin", "we-begin"])
def met(request, meet):
    return request.param(meet())


def test_an_ethernet_comes_up(met):
    met.check_pair()
    assert met.side.sa().maker is Maker.ROCKHOPPER
    assert len(met.side.happened(ChildEstablished)) == 1
    assert met.side.happened(ChildFailed, AuthenticationFailed, IkeClosed) == []
    assert met.side.engine.counters.get("internal-error", 0) == 0


def test_we_say_who_we_are_in_our_answer(meet):
    meeting = they_begin(meet())
    answer = next(message for message in meeting.other.received if message.exchange == ExchangeType.IKE_AUTH)
    assert answer.notify(RockhopperNotify.INTERNAL_IP4_ADDRESS).data == STATION.ip4.packed
    assert answer.notify(RockhopperNotify.INTERNAL_MAC_ADDRESS).data == STATION.mac
    assert answer.notify(RockhopperNotify.INTERNAL_IP6_ADDRESS) is None


def test_they_rekey_the_child(met):
    old = met.side.child()
    met.other.rekey_child()
    spi = met.other.child_rekeyed(met.deliver())
    assert len(met.side.sas) == 2
    # Ten seconds later the old pair goes; until then both may carry what is on its way.
    met.net.advance(10, settle=False)
    met.other.delete(spi)
    answer = met.other.open(met.deliver())
    assert answer.first(Delete).spis == (old.spi_in.to_bytes(4),)
    met.check_pair()
    assert met.side.child().outbound_active
    assert len(met.side.happened(ChildRekeyed)) == 1


def test_we_rekey_the_child(met):
    old = met.side.child()
    met.net.call(met.side, "rekey_child", old.child_id)
    met.other.answer_child_rekey(met.request())
    deletion = met.deliver()
    assert met.other.acknowledge(deletion, Delete(3, (old.spi_out.to_bytes(4),))).first(Delete) is not None
    assert met.deliver() is None
    met.check_pair()
    assert met.side.happened(ChildFailed) == []


def test_they_rekey_the_ike_sa(met):
    met.other.rekey_ike()
    met.other.ike_rekeyed(met.deliver())
    assert met.deliver() is not None
    assert len(met.side.happened(IkeRekeyed)) == 1
    met.check_pair()
    # The new IKE SA still knows whom it talks to: the next pair is in the dialect as well.
    met.other.rekey_child()
    met.other.delete(met.other.child_rekeyed(met.deliver()))
    met.other.open(met.deliver())
    met.check_pair()


def test_we_rekey_the_ike_sa(met):
    met.net.call(met.side, "rekey_ike", met.side.status().ike_id)
    met.other.answer_ike_rekey(met.request())
    deletion = met.deliver()
    # Its answer to a DELETE of the IKE SA names that as well.
    assert met.other.acknowledge(deletion, Delete(Protocol.IKE, ())).first(Delete) is not None
    met.deliver()
    met.other.move_on()
    assert len(met.side.happened(IkeRekeyed)) == 1
    met.net.call(met.side, "rekey_child", met.side.child().child_id)
    met.other.answer_child_rekey(met.request())
    assert met.other.open(met.deliver()).first(Delete) is not None
    assert met.side.happened(ChildFailed) == []
    assert len(met.side.sas) == 2


def test_a_message_of_theirs_that_comes_twice_is_answered_alike(met):
    before = len(met.side.sas)
    met.other.rekey_child()
    (request,) = met.to_us
    first = met.deliver()
    met.net.inject(met.side, request, natt=True)
    assert met.net.flight.pop(0).datagram == first
    assert len(met.side.sas) == before + 1


def test_without_etherip_notify_it_is_no_ethernet(meet):
    # A Rockhopper that wants GRE says USE_TRANSPORT_MODE as well, and other words beside it.
    meeting = meet()
    plain = meeting.other._child
    meeting.other._child = lambda *said: (*plain(*said)[:-1], Notify(RockhopperNotify.USE_GRE_ENCAP))
    meeting.other.begin()
    meeting.other.authenticate(meeting.deliver())
    answer = meeting.other.open(meeting.deliver())
    assert answer.notify(NotifyType.NO_PROPOSAL_CHOSEN) is not None
    assert meeting.side.sas == {}
    assert meeting.side.states() == ["established"]
    assert [event.reason for event in meeting.side.happened(ChildFailed)] == ["mode-mismatch"]


def test_an_answer_without_etherip_notify_is_refused(meet):
    meeting = meet()
    plain = meeting.other._child
    meeting.net.initiate()
    meeting.other.answer_init(meeting.request())
    meeting.other._child = lambda *said: plain(*said)[:-1]
    meeting.other.answer_auth(meeting.deliver())
    meeting.deliver()
    assert meeting.side.sas == {}
    assert [event.reason for event in meeting.side.happened(ChildFailed)] == ["mode-mismatch"]


def test_a_wrong_key_is_refused(ladder):
    meeting = Meeting(ladder(rhp_config()))
    meeting.other._psk = type(meeting.other._psk)(b"another key")
    meeting.other.begin()
    meeting.other.authenticate(meeting.deliver())
    answer = meeting.other.open(meeting.deliver())
    assert answer.notify(NotifyType.AUTHENTICATION_FAILED) is not None
    assert answer.notify(RockhopperNotify.INTERNAL_MAC_ADDRESS) is None
    assert meeting.side.sas == {}


def test_its_name_is_said_to_those_who_may_be_one(ladder):
    # As responder only to who said it; as initiator where Ethernet is wanted.
    net = ladder().establish()
    said = [packet for packet in net.sent if packet.header.exchange == ExchangeType.IKE_SA_INIT]
    assert all(Vendor(ROCKHOPPER_VENDOR_ID) in parse_message(packet.datagram).payloads for packet in said)
    # Two of ours know each other nevertheless, and speak the standard's way.
    assert net.a.sa().maker is net.b.sa().maker is Maker.RHP
    assert net.a.child().local_ts == ETHERNET
    sealed = [net.read(packet) for packet in net.sent if packet.header.exchange == ExchangeType.IKE_AUTH]
    assert all(message.notify(RockhopperNotify.USE_ETHERIP_ENCAP) is None for message in sealed)
    assert all(message.notify(RockhopperNotify.INTERNAL_MAC_ADDRESS) is None for message in sealed)


def test_a_tunnel_says_nothing_of_it(ladder):
    mirrored = tunnel(local=("10.2.0.0/16",), remote=("10.1.0.0/16",))
    net = ladder(
        config(connection("a@x", "b@x", children=(tunnel(),))), config(connection("b@x", "a@x", children=(mirrored,)))
    )
    net.establish()
    said = [packet for packet in net.sent if packet.header.exchange == ExchangeType.IKE_SA_INIT]
    assert not any(Vendor(ROCKHOPPER_VENDOR_ID) in parse_message(packet.datagram).payloads for packet in said)
    assert net.a.child().mode == "tunnel"


def test_what_they_say_of_themselves_moves_nothing(met):
    # A station is learned from its frames; notifies of any length are passed over.
    for data in (b"", bytes(5), bytes(3000)):
        met.other._request(ExchangeType.INFORMATIONAL, Notify(RockhopperNotify.INTERNAL_MAC_ADDRESS, data))
        assert met.other.open(met.deliver()).payloads == ()
    met.check_pair()
