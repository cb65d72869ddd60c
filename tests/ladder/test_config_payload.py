"""Inner addresses by the configuration payload: asked for, lent, kept, given back, and refused."""

from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest
from ladder_addresses import (
    FULL,
    FULL6,
    IP4,
    IP6,
    LAN,
    LAN6,
    asking,
    giving,
    hosts,
    leased,
    pool,
    request,
    values,
    with_cp,
)
from ladder_net import DELIVER, LOSE, TWICE
from ladder_world import child, config, connection, tunnel

from rhp.ike import attributes
from rhp.ike.config import LocalAuth, RemoteAuth
from rhp.ike.errors import Fault
from rhp.ike.events import AddressesAssigned, AddressLeased, ChildFailed, IkeClosed, IkeEstablished, LeaseEnded
from rhp.ike.selectors import ANYTHING
from rhp.pki.identity import ANONYMOUS
from rhp.realm.pattern import IdentityPattern
from rhp.wire.cp import CP, Attribute
from rhp.wire.iana import CfgAttribute, CfgType, ExchangeType, NotifyType
from rhp.wire.private import RockhopperAttribute
from rhp.wire.sa import SA
from rhp.wire.ts import TSi


def test_a_client_gets_its_address_and_the_child_is_narrowed_to_it(ladder):
    link = ladder(asking(), giving(FULL))
    # a --- IKE_SA_INIT ---> b, and back
    link.initiate()
    link.deliver()
    link.deliver()
    # a --- IDi, AUTH, CP(REQUEST), SA, TSi (anything), TSr ---> b
    asked = link.read(link.flight[0])
    assert asked.first(TSi).selectors == ANYTHING
    assert {IP4, IP6, CfgAttribute.INTERNAL_DNS_DOMAIN} <= {one.type for one in asked.first(CP).attributes}
    link.deliver()
    # a <--- IDr, AUTH, CP(REPLY), SA, TSi (the address), TSr --- b
    answer = link.read(link.flight[0])
    assert [type(one).__name__ for one in answer.payloads][:3] == ["IDr", "AUTH", "CP"]
    assert answer.first(TSi).selectors == hosts("10.88.0.2/32")
    link.settle()
    link.check_established()
    assert link.a.child().local_ts == hosts("10.88.0.2/32")
    assert link.a.child().remote_ts == hosts(LAN)
    (told,) = link.a.happened(AddressesAssigned)
    given = told.assignment
    assert given.addresses == (ip_interface("10.88.0.2/32"),)
    assert (given.dns, given.nbns, given.subnets) == (FULL.dns, FULL.nbns, FULL.subnets)
    assert (given.domains, given.version) == (("corp.example",), "rhp")
    (lent,) = link.b.happened(AddressLeased)
    assert lent.addresses == (ip_address("10.88.0.2"),)
    assert link.b.happened(LeaseEnded) == []
    assert link.a.status().assigned == given
    # The address is there before the child that needs it.
    order = [type(one) for one in link.a.events]
    assert order.index(IkeEstablished) < order.index(AddressesAssigned)


def test_both_ip_versions(ladder):
    link = ladder(asking(), giving(FULL, FULL6)).establish()
    link.check_established()
    assert link.a.child().local_ts == hosts("10.88.0.2/32", "fd88::2/128")
    assert link.a.child().remote_ts == hosts(LAN, LAN6)
    (told,) = link.a.happened(AddressesAssigned)
    assert told.assignment.dns == (*FULL.dns, *FULL6.dns)


def test_on_an_ethernet_the_prefix_of_the_link_comes_along(ladder):
    link = ladder(asking(children=(child(),)), giving(FULL, FULL6, children=(child(),))).establish()
    link.check_established()
    (told,) = link.a.happened(AddressesAssigned)
    assert told.assignment.addresses == (ip_interface("10.88.0.2/24"), ip_interface("fd88::2/64"))


def test_a_network_behind_the_client_is_served_beside_its_address(ladder):
    ours = (tunnel("net", ("10.5.0.0/24",), (LAN,)),)
    theirs = (tunnel("net", (LAN,), ("10.5.0.0/24",)),)
    link = ladder(asking(children=ours), giving(pool(), children=theirs)).establish()
    link.check_established()
    assert link.a.child().local_ts == hosts("10.88.0.2/32", "10.5.0.0/24")


def test_a_client_that_must_ask_and_does_not(ladder):
    plain = config(connection("a@x", "b@x", children=(tunnel("net", ("10.88.0.2/32",), (LAN,)),)))
    link = ladder(plain, giving(pool())).establish()
    link.check_established(children=0)
    (failed,) = link.a.happened(ChildFailed)
    assert (failed.reason, failed.fault) == ("peer-said-failed-cp-required", Fault.PEER)
    assert link.b.happened(ChildFailed)[0].reason == "address-not-asked-for"
    assert link.b.happened(AddressLeased) == []


def test_a_client_may_narrow_its_request_to_its_address_itself(ladder, monkeypatch):
    # Reconnecting, some clients put the address that they had into TSi.
    link = ladder(asking(), giving(pool()))
    monkeypatch.setattr("rhp.ike.selectors.ANYTHING", hosts("10.88.0.2/32"))
    link.establish()
    link.check_established()


def test_no_address_is_left(ladder):
    full = pool("10.88.0.2", "10.88.0.2", fixed=((connection("z@x", "b@x").local.identity, ip_address("10.88.0.2")),))
    link = ladder(asking(), giving(full))
    link.initiate()
    for _ in range(3):
        link.deliver()
    # a <--- IDr, AUTH, N(INTERNAL_ADDRESS_FAILURE) --- b
    answer = link.read(link.flight[0])
    assert answer.notify(NotifyType.INTERNAL_ADDRESS_FAILURE) is not None
    assert answer.first(CP) is None
    assert answer.first(SA) is None
    link.settle()
    # The IKE SA stood for a moment; a client without an address has no use for it, and says DELETE.
    assert link.b.happened(ChildFailed)[0].reason == "no-address-left"
    (failed,) = link.a.happened(ChildFailed)
    assert failed.reason == "no-address-assigned"
    (closed,) = link.a.happened(IkeClosed)
    assert (closed.reason, closed.fault) == ("no-address-assigned", Fault.PEER)
    assert link.a.happened(AddressesAssigned) == link.b.happened(AddressLeased) == []
    link.advance(100)
    link.check_empty()


@pytest.mark.parametrize("children", [(tunnel("net", (LAN,), ("0.0.0.0/0",)),), (child(),)], ids=["tunnel", "ethernet"])
def test_a_peer_that_gives_no_addresses_is_left(ladder, children):
    ours = (child(),) if children[0].mode == "ethernet" else None
    link = ladder(asking(children=ours), config(connection("b@x", "a@x", children=children)))
    link.establish()
    assert [one.reason for one in link.a.happened(IkeClosed)] == ["no-address-assigned"]
    assert link.a.sas == {}
    link.advance(100)
    link.check_empty()


def test_only_the_version_that_a_pool_has_is_lent(ladder):
    link = ladder(asking(), giving(FULL6)).establish()
    link.check_established()
    assert link.a.child().local_ts == hosts("fd88::2/128")
    assert link.b.count("pool-exhausted") == 0


def test_a_version_without_an_address_left_is_done_without(ladder):
    mine = connection("z@x", "b@x").local.identity
    full = pool("10.88.0.2", "10.88.0.2", fixed=((mine, ip_address("10.88.0.2")),))
    link = ladder(asking(), giving(full, FULL6)).establish()
    link.check_established()
    assert leased(link.b) == ["fd88::2"]
    assert link.b.count("pool-exhausted") == 1


def test_a_fixed_address(ladder):
    mine = connection("a@x", "b@x").local.identity
    link = ladder(asking(), giving(pool(fixed=((mine, ip_address("10.88.0.7")),)))).establish()
    assert link.a.child().local_ts == hosts("10.88.0.7/32")


def test_rekeys_keep_the_address(ladder):
    link = ladder(asking(), giving(FULL, FULL6)).establish()
    for side in (link.a, link.b):
        link.call(side, "rekey_child", side.child().child_id)
        link.settle()
        link.call(side, "rekey_ike", side.status().ike_id)
        link.settle()
        link.advance(10)
        link.check_established()
        assert link.a.child().local_ts == hosts("10.88.0.2/32", "fd88::2/128")
    assert leased(link.b) == ["10.88.0.2", "fd88::2"]
    assert link.b.engine.pools()[0].online == 1
    assert len(link.a.happened(AddressesAssigned)) == len(link.b.happened(AddressLeased)) == 1
    assert link.b.happened(LeaseEnded) == []
    assert link.a.status().assigned is not None


@pytest.mark.parametrize("who", ["a", "b"])
def test_the_end_gives_the_address_back_and_the_same_peer_gets_it_again(ladder, who):
    link = ladder(asking(), giving(pool())).establish()
    link.call(getattr(link, who), "close_all")
    link.settle()
    (ended,) = link.b.happened(LeaseEnded)
    assert ended.addresses == (ip_address("10.88.0.2"),)
    (usage,) = link.b.engine.pools()
    assert (usage.online, usage.resting) == (0, 1)
    link.advance(100)
    link.check_empty()
    link.establish()
    assert leased(link.b) == ["10.88.0.2"]


def test_a_client_that_lost_its_state_gets_its_address_at_once(ladder):
    link = ladder(asking(), giving(pool())).establish()
    link.a.restart()
    link.establish()
    link.check_established()
    assert leased(link.b) == ["10.88.0.2"]
    assert link.b.engine.pools()[0].online == 1


def test_a_client_that_began_anew_before_its_old_sa_ended_keeps_its_address(ladder):
    link = ladder(asking(), giving(pool())).establish()
    link.initiate()
    link.settle()
    link.advance(60)
    link.check_established()
    assert link.a.child().local_ts == hosts("10.88.0.2/32")
    assert link.b.engine.pools()[0].online == 1


def test_a_vanished_client_s_address_comes_back_when_it_is_given_up(ladder):
    link = ladder(asking(), giving(pool(), dpd_delay=30.0)).establish()
    link.lost = lambda packet: packet.sender == "a"
    link.advance(120)
    assert [one.reason for one in link.b.happened(IkeClosed)] == ["peer-unresponsive"]
    assert link.b.engine.pools()[0].online == 0


def test_a_client_asks_for_what_it_had(ladder):
    link = ladder(asking(), giving(pool())).establish()
    link.call(link.a, "close_all")
    link.settle()
    # Another gateway, or one that forgot: it has the address free and gives it again.
    link.b.config = giving(pool("10.88.0.1", "10.88.0.9"))
    link.b.restart()
    link.establish()
    assert leased(link.b) == ["10.88.0.2"]


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("fate", [LOSE, TWICE])
def test_each_message_may_be_lost_or_come_twice(ladder, number, fate):
    link = ladder(asking(), giving(FULL, FULL6))
    link.fate = lambda packet: fate if packet.number == number else DELIVER
    link.establish()
    link.advance(20)
    link.check_established()
    assert leased(link.b) == ["10.88.0.2", "fd88::2"]
    assert len(link.b.happened(AddressLeased)) == len(link.a.happened(AddressesAssigned)) == 1


@pytest.mark.parametrize("verb", ["rekey_child", "rekey_ike", "create_child"])
def test_a_peer_that_asks_anew_in_create_child_sa_gets_the_same(ladder, verb):
    link = ladder(asking(), giving(FULL)).establish()
    status = link.a.status()
    arguments = {
        "rekey_child": (status.children[0].child_id,),
        "rekey_ike": (status.ike_id,),
        "create_child": (status.ike_id, "net"),
    }
    link.call(link.a, verb, *arguments[verb])
    answer = with_cp(link, link.a, request(IP4, CfgAttribute.INTERNAL_IP4_SUBNET, CfgAttribute.APPLICATION_VERSION))
    assert answer.first(SA) is not None
    given = answer.first(CP)
    assert given.type == CfgType.REPLY
    assert values(given, IP4) == [ip_address("10.88.0.2").packed]
    assert link.b.engine.pools()[0].online == 1
    assert len(link.b.happened(AddressLeased)) == 1


def test_what_rockhopper_asks_is_answered_as_far_as_we_know_it(ladder):
    link = ladder(asking(children=(child(),)), giving(FULL, children=(child(),))).establish()
    private = (RockhopperAttribute.DNS_SUFFIX, RockhopperAttribute.IP4_GATEWAY, RockhopperAttribute.IP6_GATEWAY)
    answer = link.say(link.a, [request(1, 2, 8, 13, 3, 15, 10, 7, *private)])
    assert [one.type for one in answer.first(CP).attributes] == [1, 2, 13, 3, 7]
    assert values(answer.first(CP), 2) == [bytes((255, 255, 255, 0))]


def test_the_request_comes_before_the_proposals_and_asks_for_an_address(ladder):
    # a --- IKE_AUTH: .., CP(CFG_REQUEST), .., SA, .. ---> b and back: CP before SA in both (RFC 7296 section 2.19)
    link = ladder(asking(), giving(FULL)).establish()
    messages = [link.read(packet) for packet in link.sent if packet.header.exchange == ExchangeType.IKE_AUTH]
    assert len(messages) == 2
    for message in messages:
        kinds = [type(payload) for payload in message.payloads]
        assert kinds.index(CP) < kinds.index(SA)
    asked = messages[0].first(CP).attributes
    assert any(one.type == CfgAttribute.INTERNAL_IP4_ADDRESS and one.value == b"" for one in asked)


def test_what_windows_asks_is_answered(ladder):
    link = ladder(asking(), giving(FULL, FULL6)).establish()
    answer = link.say(link.a, [request(1, 3, 4, 23456, 8, 10, 23457)])
    assert [one.type for one in answer.first(CP).attributes] == [1, 3, 4, 8, 10]


def test_what_apple_asks_is_answered(ladder):
    # A name without servers to ask would be of no use (RFC 8598), so both or none come.
    link = ladder(asking(), giving(FULL)).establish()
    answer = link.say(link.a, [request(1, 2, 6, 3, 8, 12, 10, 25)])
    assert values(answer.first(CP), 25) == [b"corp.example"]
    assert values(answer.first(CP), 2) == []
    answer = link.say(link.a, [request(1, 25)])
    assert values(answer.first(CP), 25) == []


@pytest.mark.parametrize("who", ["a", "b"])
def test_the_version_is_told_and_nothing_else(ladder, who):
    # RFC 7296 section 2.20; nobody needs pools for that.
    link = ladder().establish()
    side = getattr(link, who)
    answer = link.say(side, [request(CfgAttribute.APPLICATION_VERSION)])
    assert answer.first(CP) == CP(CfgType.REPLY, (Attribute(CfgAttribute.APPLICATION_VERSION, b"rhp"),))
    answer = link.say(side, [request(CfgAttribute.SUPPORTED_ATTRIBUTES)])
    (listed,) = values(answer.first(CP), CfgAttribute.SUPPORTED_ATTRIBUTES)
    assert IP4.to_bytes(2) in {listed[at : at + 2] for at in range(0, len(listed), 2)}


def test_without_pools_a_request_for_addresses_is_passed_over(ladder):
    link = ladder().establish()
    assert link.say(link.a, [request(IP4, CfgAttribute.APPLICATION_VERSION)]).first(CP) is None


def test_set_is_answered_and_changes_nothing(ladder):
    link = ladder(asking(), giving(FULL)).establish()
    answer = link.say(link.b, [request(Attribute(IP4, bytes((10, 9, 9, 9))), kind=CfgType.SET)])
    assert answer.first(CP) == CP(CfgType.ACK, ())
    assert link.a.status().assigned.addresses == (ip_interface("10.88.0.2/32"),)


@pytest.mark.parametrize("kind", [CfgType.REPLY, CfgType.ACK, 0, 77])
def test_other_kinds_in_a_request_are_passed_over(ladder, kind):
    link = ladder(asking(), giving(FULL)).establish()
    answer = link.say(link.b, [request(Attribute(IP4, bytes((10, 9, 9, 9))), kind=kind)])
    assert answer.payloads == ()
    assert link.a.status().assigned.addresses == (ip_interface("10.88.0.2/32"),)


def test_other_pools_while_clients_are_there(ladder):
    link = ladder(asking(), giving(pool())).establish()
    link.b.engine.set_config(giving(pool("10.99.0.1", "10.99.0.9")))
    link.call(link.a, "rekey_child", link.a.child().child_id)
    link.settle()
    link.check_established()
    link.call(link.a, "close_all")
    link.settle()
    link.establish()
    assert leased(link.b) == ["10.99.0.1"]


def test_an_extension_has_attributes_of_its_own(ladder, monkeypatch):
    monkeypatch.setattr(attributes, "_answers", dict(attributes._answers))
    monkeypatch.setattr(attributes, "_readers", dict(attributes._readers))
    monkeypatch.setattr(attributes, "_private", dict(attributes._private))

    @attributes.answers(RockhopperAttribute.IP4_GATEWAY)
    def give(grant):
        yield grant.leases[0][1].dns[0].packed

    @attributes.reads(RockhopperAttribute.IP4_GATEWAY)
    def read(draft, value):
        draft.others.append(Attribute(RockhopperAttribute.IP4_GATEWAY, value))

    link = ladder(asking(), giving(FULL)).establish()
    (other,) = link.a.status().assigned.others
    assert other.value == FULL.dns[0].packed


def test_the_task_asks_in_ike_auth_only(ladder):
    link = ladder(asking(), giving(pool())).establish()
    link.call(link.a, "rekey_child", link.a.child().child_id)
    assert link.read(link.flight[0]).exchange == ExchangeType.CREATE_CHILD_SA
    assert link.read(link.flight[0]).first(CP) is None


def test_a_reauthentication_keeps_the_address(ladder):
    """A new IKE SA takes the old one's place: the address goes with it, and nobody hears of it twice."""
    link = ladder(asking(), giving(FULL)).establish()
    before = link.a.status().assigned, link.b.status().leased
    link.call(link.a, "reauthenticate", link.a.status().ike_id)
    link.settle()
    link.check_established()
    assert (link.a.status().assigned, link.b.status().leased) == before
    assert len(link.a.happened(AddressesAssigned)) == len(link.b.happened(AddressLeased)) == 1
    assert link.b.happened(LeaseEnded) == link.a.happened(IkeClosed) == []
    link.call(link.a, "close", link.a.status().ike_id)
    link.settle()
    assert len(link.b.happened(LeaseEnded)) == 1
    assert [usage.online for usage in link.b.engine._ctx.pools.usage()] == [0]


def test_strangers_get_addresses_of_their_own(ladder):
    """Who has no name (RFC 7619) is not taken for the one who had an address before and has it still."""

    def nameless(made):
        (one,) = made.connections
        local = LocalAuth("null", ANONYMOUS)
        remote = RemoteAuth("null", IdentityPattern.parse("%null"))
        return replace(made, connections=(replace(one, local=local, remote=remote),))

    link = ladder(nameless(asking()), nameless(giving(FULL)), c=nameless(asking()))
    link.initiate(link.a)
    link.initiate(link.c, to=link.b)
    link.settle()
    leased = [one.leased for one in link.b.engine.status()]
    assert len(leased) == len(set(leased)) == 2
    assert link.a.status().assigned.addresses != link.c.status().assigned.addresses
    # Nor does somebody without a name say where names are looked up (RFC 8598 section 8).
    assert (link.a.status().assigned.domains, link.a.status().assigned.dns) == ((), ())
