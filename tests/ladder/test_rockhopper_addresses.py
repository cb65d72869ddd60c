"""A Rockhopper's configuration payload in both roles: it asks anew in every CREATE_CHILD_SA, and lends anew in each."""

from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from ladder_addresses import pool, values
from ladder_rockhopper import IKE_SUITE, IP4_ONLY, SERVER
from ladder_world import child, config, connection
from test_rockhopper import ESP, STATION, Meeting

from rhp.ike.events import AddressesAssigned, AddressLeased, ChildFailed, IkeClosed, LeaseEnded
from rhp.ike.selectors import hosts
from rhp.wire.cp import CP, Attribute
from rhp.wire.delete import Delete
from rhp.wire.iana import CfgAttribute, CfgType, ExchangeType
from rhp.wire.private import RockhopperAttribute

LENT = pool(
    "10.96.0.50",
    "10.96.0.60",
    dns=(ip_address("10.96.0.53"),),
    subnets=(ip_network("10.97.0.0/16"),),
    domains=("corp.example",),
)
PRIVATE = set(map(int, RockhopperAttribute))


def ours(**more):
    made = connection("a.test", "b.test", ike=(IKE_SUITE,), children=(child(esp=(ESP,)),), **more)
    return replace(config(made, station=STATION), pools=(LENT,))


def they_ask(ladder, station=STATION):
    meeting = Meeting(ladder(replace(ours(pools=(LENT.name,)), station=station)))
    # R --- SK{IDi, .., CP(REQUEST 1, 2, 8, 13, 3, 15, 10, 7, 28467 ..), ..} ---> a
    meeting.other.asks = True
    meeting.other.begin()
    meeting.other.authenticate(meeting.deliver())
    meeting.other.established(meeting.deliver())
    meeting.other.open(meeting.deliver())
    return meeting


def we_ask(ladder, gateway=SERVER, narrows=False):
    meeting = Meeting(ladder(ours(request_addresses=True)))
    meeting.other.gateway, meeting.other.narrows = gateway, narrows
    meeting.net.initiate()
    meeting.other.answer_init(meeting.request())
    meeting.other.answer_auth(meeting.deliver())
    meeting.other.acknowledge(meeting.deliver())
    assert meeting.deliver() is None
    return meeting


def test_it_is_given_an_address_on_the_link_and_a_gateway(ladder):
    meeting = they_ask(ladder)
    # R <--- SK{.., CP(REPLY 1, 2, 13, 3, 7, 28467, 28468), ..} --- a
    told = meeting.other.told
    assert told.type == CfgType.REPLY
    assert values(told, 1) == [ip_address("10.96.0.50").packed]
    assert values(told, 2) == [bytes((255, 255, 255, 0))]
    assert values(told, 3) == [LENT.dns[0].packed]
    assert values(told, 13) == [bytes((10, 97, 0, 0, 255, 255, 0, 0))]
    assert values(told, RockhopperAttribute.IP4_GATEWAY) == [STATION.ip4.packed]
    assert values(told, RockhopperAttribute.IP6_GATEWAY) == []
    meeting.check_pair()
    assert len(meeting.side.happened(AddressLeased)) == 1


def test_names_go_with_servers(ladder):
    told = they_ask(ladder).other.told
    assert values(told, RockhopperAttribute.DNS_SUFFIX) == [b"corp.example"]


@pytest.mark.parametrize("station", [None, replace(STATION, ip4=None)])
def test_a_node_without_an_address_is_no_gateway(ladder, station):
    told = they_ask(ladder, station).other.told
    assert values(told, 1) == [ip_address("10.96.0.50").packed]
    assert values(told, RockhopperAttribute.IP4_GATEWAY) == []


def test_it_keeps_its_address_when_it_asks_again(ladder):
    meeting = they_ask(ladder)
    first = meeting.other.told
    # R --- SK{N(REKEY_SA), .., CP(REQUEST)} ---> a; R <--- SK{.., CP(REPLY)} --- a
    meeting.other.rekey_child()
    meeting.other.delete(meeting.other.child_rekeyed(meeting.deliver()))
    meeting.other.open(meeting.deliver())
    assert meeting.other.told == first
    # R --- SK{SA, Ni, KE, CP(REQUEST)} ---> a; R <--- SK{SA, Nr, KE, CP(REPLY)} --- a
    for _ in range(2):
        meeting.other.rekey_ike()
        meeting.other.ike_rekeyed(meeting.deliver())
        assert meeting.deliver() is not None
        assert meeting.other.told == first
    meeting.check_pair()
    assert len(meeting.side.happened(AddressLeased)) == 1
    assert meeting.side.happened(LeaseEnded, ChildFailed, IkeClosed) == []
    assert meeting.side.engine.pools()[0].online == 1


@pytest.mark.parametrize("value", [b"\0", bytes(5), bytes(17), bytes(3000)])
def test_a_wish_of_a_wrong_length_is_none(ladder, value):
    meeting = they_ask(ladder)
    asked = CP(CfgType.REQUEST, tuple(Attribute(kind, value) for kind in (1, 8, *PRIVATE)))
    meeting.other._request(ExchangeType.INFORMATIONAL, asked)
    told = meeting.other.open(meeting.deliver()).first(CP)
    assert values(told, 1) == [ip_address("10.96.0.50").packed]
    assert values(told, RockhopperAttribute.IP4_GATEWAY) == [STATION.ip4.packed]
    meeting.check_pair()


def test_we_take_what_its_server_gives(ladder):
    meeting = we_ask(ladder)
    (told,) = meeting.side.happened(AddressesAssigned)
    assert told.assignment.addresses == (ip_interface("10.96.0.101/24"),)
    assert told.assignment.subnets == (ip_network("10.97.0.0/16"),)
    assert told.assignment.gateways == (ip_address("10.96.0.254"),)
    assert told.assignment.version == "Rockhopper "
    # We asked for an IPv6 address as well and it has none, so it has taken away the selectors of IPv6.
    meeting.check_pair(selectors=(IP4_ONLY, IP4_ONLY))


def test_we_do_not_ask_it_again(ladder):
    """It would give us another address with each rekey; so nothing is asked, and ours stays."""
    meeting = we_ask(ladder)
    before = meeting.side.status().assigned
    meeting.net.call(meeting.side, "rekey_child", meeting.side.child().child_id)
    meeting.other.answer_child_rekey(meeting.request())
    assert meeting.other.received[-1].first(CP) is None
    assert meeting.other.acknowledge(meeting.deliver()).first(Delete) is not None
    assert meeting.deliver() is None
    meeting.net.call(meeting.side, "rekey_ike", meeting.side.status().ike_id)
    meeting.other.answer_ike_rekey(meeting.request())
    assert meeting.other.received[-1].first(CP) is None
    meeting.other.acknowledge(meeting.deliver())
    meeting.deliver()
    meeting.other.move_on()
    assert meeting.side.status().assigned == before
    assert len(meeting.side.happened(AddressesAssigned)) == 1


def test_an_address_that_nobody_asked_for_in_a_rekey_changes_nothing(ladder):
    meeting = we_ask(ladder)
    before = meeting.side.status().assigned
    another = CP(CfgType.REPLY, (Attribute(CfgAttribute.INTERNAL_IP4_ADDRESS, bytes((10, 96, 0, 200))),))
    meeting.other._answer = lambda message: [another]
    meeting.net.call(meeting.side, "rekey_child", meeting.side.child().child_id)
    meeting.other.answer_child_rekey(meeting.request())
    meeting.other.acknowledge(meeting.deliver())
    meeting.deliver()
    assert meeting.side.status().assigned == before
    assert meeting.side.happened(ChildFailed, IkeClosed) == []


@pytest.mark.parametrize("gateway", [b"", b"\0", bytes(4), bytes((127, 0, 0, 1)), bytes((224, 0, 0, 1)), bytes(3000)])
def test_a_gateway_that_cannot_be_is_left_out(ladder, gateway):
    meeting = we_ask(ladder, gateway)
    (told,) = meeting.side.happened(AddressesAssigned)
    assert told.assignment.gateways == ()
    assert told.assignment.addresses == (ip_interface("10.96.0.101/24"),)
    meeting.check_pair(selectors=(IP4_ONLY, IP4_ONLY))


@pytest.mark.parametrize("narrows", [False, True], ids=["families", "address"])
def test_its_narrower_selectors_hold_across_rekeys_from_both_sides(ladder, narrows):
    """An Ethernet has no use for them, so nothing depends on what they are."""
    meeting = we_ask(ladder, narrows=narrows)
    meeting.check_pair(selectors=(meeting.other.peer_ts, IP4_ONLY))
    assert meeting.other.peer_ts == (hosts([ip_address("10.96.0.101")]) if narrows else IP4_ONLY)
    # R --- SK{N(REKEY_SA), .., TSi(0.0.0.0/0), TSr(10.96.0.101), ..} ---> a
    meeting.other.rekey_child()
    meeting.other.delete(meeting.other.child_rekeyed(meeting.deliver()))
    meeting.other.open(meeting.deliver())
    meeting.check_pair(selectors=(meeting.other.peer_ts, IP4_ONLY))
    # a --- SK{N(REKEY_SA), .., TSi(everything), TSr(everything), ..} ---> R, which answers with less as before
    meeting.net.call(meeting.side, "rekey_child", meeting.side.child().child_id)
    meeting.other.answer_child_rekey(meeting.request())
    assert meeting.other.acknowledge(meeting.deliver()).first(Delete) is not None
    assert meeting.deliver() is None
    meeting.check_pair(selectors=(meeting.other.peer_ts, IP4_ONLY))
    assert meeting.side.happened(ChildFailed, IkeClosed) == []
