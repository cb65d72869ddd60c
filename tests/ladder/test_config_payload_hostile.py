"""Inner addresses and peers that mean no good, or do not know what they say: bounded, counted, and of no harm."""

from ipaddress import ip_address, ip_interface

import pytest
from ladder_addresses import FULL, IP4, IP6, LAN, LAN6, asking, giving, hosts, pool, request, three
from ladder_world import psk_policy, tunnel

from rhp.ike import attributes
from rhp.ike.events import AddressesAssigned, AddressLeased, ChildFailed, IkeClosed, LeaseEnded
from rhp.wire.cp import CP, MAX_ATTRIBUTES, Attribute
from rhp.wire.iana import CfgAttribute, CfgType, NotifyType
from rhp.wire.notify import Notify


def test_a_client_that_claims_another_s_address_gets_its_own(ladder):
    link = three(ladder, pool()).establish()
    wish = Attribute(IP4, ip_address("10.88.0.2").packed)
    real = attributes.request
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attributes, "request", lambda *had: CP(CfgType.REQUEST, (wish, *real(*had).attributes[1:])))
        link.initiate(link.c, to=link.b)
        link.settle()
    assert link.c.child().local_ts == hosts("10.88.0.3/32")
    assert link.a.child().local_ts == hosts("10.88.0.2/32")
    assert {one.remote_ts for one in link.b.sas.values()} == {hosts("10.88.0.2/32"), hosts("10.88.0.3/32")}


def test_a_client_that_claims_another_s_address_by_its_selectors_gets_no_child(ladder, monkeypatch):
    link = three(ladder, pool()).establish()
    monkeypatch.setattr("rhp.ike.selectors.ANYTHING", hosts("10.88.0.2/32"))
    link.initiate(link.c, to=link.b)
    link.settle()
    assert link.c.sas == {}
    assert len(link.b.sas) == 1
    assert link.b.happened(ChildFailed)[0].reason == "ts-unacceptable"


def test_the_last_address_goes_to_one_and_the_other_may_come_later(ladder):
    link = three(ladder, pool("10.88.0.2", "10.88.0.2")).establish()
    link.initiate(link.c, to=link.b)
    link.settle()
    assert link.c.happened(AddressesAssigned) == []
    link.call(link.a, "close_all")
    link.settle()
    link.initiate(link.c, to=link.b)
    link.settle()
    assert link.c.child().local_ts == hosts("10.88.0.2/32")


def test_hundreds_of_attributes_get_one_address_and_a_short_answer(ladder):
    link = ladder(asking(), giving(FULL)).establish()
    many = request(*[IP4] * 200, *[CfgAttribute.INTERNAL_IP4_DNS] * 200, *range(20000, 20000 + MAX_ATTRIBUTES - 400))
    answer = link.say(link.a, [many])
    assert [one.type for one in answer.first(CP).attributes] == [IP4, CfgAttribute.INTERNAL_IP4_DNS]
    assert link.b.engine.pools()[0].online == 1


def test_more_than_the_bound_is_a_syntax_error(ladder):
    link = ladder(asking(), giving(FULL)).establish()
    answer = link.say(link.a, [request(*[IP4] * (MAX_ATTRIBUTES + 1))])
    assert answer.payloads == (Notify(NotifyType.INVALID_SYNTAX),)
    assert link.b.happened(LeaseEnded) != []


@pytest.mark.parametrize("octets", [1, 3, 5, 17, 4000])
def test_wishes_that_are_no_addresses_are_counted_and_served(ladder, octets):
    link = ladder(asking(), giving(FULL))
    real = attributes.request
    wish = Attribute(IP4, bytes(octets))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attributes, "request", lambda *had: CP(CfgType.REQUEST, (wish, *real(*had).attributes[1:])))
        link.establish()
    link.check_established()
    assert link.b.count("cp-bad-attribute-length") == 1


BAD = [
    Attribute(IP4, bytes((0, 0, 0, 0))),
    Attribute(IP4, bytes((127, 0, 0, 1))),
    Attribute(IP4, bytes((224, 0, 0, 1))),
    Attribute(IP4, bytes((255, 255, 255, 255))),
    Attribute(IP4, bytes((169, 254, 1, 1))),
    Attribute(IP4, b"\x0a"),
    Attribute(IP4, b""),
    Attribute(IP6, bytes(16) + b"\x40"),
    Attribute(IP6, bytes((0xFF, 2)) + bytes(14) + b"\x40"),
    Attribute(IP6, bytes(3)),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda one: f"{one.type}-{one.value.hex()}")
def test_an_address_that_cannot_be_ours_is_none(ladder, monkeypatch, bad):
    monkeypatch.setattr(attributes, "reply", lambda *asked: CP(CfgType.REPLY, (bad,)))
    link = ladder(asking(), giving(FULL)).establish()
    assert [one.reason for one in link.a.happened(IkeClosed)] == ["no-address-assigned"]
    assert link.a.happened(AddressesAssigned) == []
    assert link.a.sas == {}


def test_a_reply_full_of_rubbish_is_read_as_far_as_it_makes_sense(ladder, monkeypatch):
    first = (Attribute(IP4, bytes((10, 88, 0, 2))), Attribute(IP4, bytes((10, 88, 0, 3))))
    rubbish = (
        Attribute(CfgAttribute.INTERNAL_DNS_DOMAIN, b"evil\nnameserver 6.6.6.6"),
        Attribute(CfgAttribute.INTERNAL_DNS_DOMAIN, b"good.example"),
        Attribute(CfgAttribute.INTERNAL_IP4_DNS, bytes((127, 0, 0, 1))),
        Attribute(CfgAttribute.INTERNAL_IP4_SUBNET, bytes(7)),
        Attribute(CfgAttribute.INTERNAL_IP4_NETMASK, bytes((0, 255, 0, 0))),
        Attribute(CfgAttribute.APPLICATION_VERSION, b"\xff" * 4000),
        Attribute(CfgAttribute.INTERNAL_DNSSEC_TA, b"\0"),
    )
    many = tuple(Attribute(CfgAttribute.INTERNAL_IP4_DNS, bytes((10, 1, 1, at % 250 + 1))) for at in range(400))
    monkeypatch.setattr(attributes, "reply", lambda *asked: CP(CfgType.REPLY, (*first, *rubbish, *many)))
    link = ladder(asking(), giving(FULL)).establish()
    (told,) = link.a.happened(AddressesAssigned)
    given = told.assignment
    assert given.addresses == (ip_interface("10.88.0.2/32"),)
    assert given.domains == ("good.example",)
    assert len(given.dns) == 64
    assert len(given.version) == 128
    assert link.a.count("cp-bad-attribute-value") == 3
    assert link.a.count("cp-bad-attribute-length") == 1


def test_names_without_servers_are_dropped(ladder, monkeypatch):
    reply = (Attribute(IP4, bytes((10, 88, 0, 2))), Attribute(CfgAttribute.INTERNAL_DNS_DOMAIN, b"x.example"))
    monkeypatch.setattr(attributes, "reply", lambda *asked: CP(CfgType.REPLY, reply))
    link = ladder(asking(), giving(FULL)).establish()
    assert link.a.status().assigned.domains == ()


def test_a_responder_that_does_not_narrow_is_narrowed_here(ladder):
    # b grants all that was asked for; a uses its address alone.
    wide = (tunnel("net", (LAN, LAN6), ("0.0.0.0/0", "::/0")),)
    link = ladder(asking(), giving(pool(), children=wide)).establish()
    assert link.a.child().local_ts == hosts("10.88.0.2/32")
    assert link.a.child().remote_ts == hosts(LAN)


def test_a_responder_that_grants_another_address_than_it_gave_is_refused(ladder, monkeypatch):
    reply = (Attribute(IP4, bytes((10, 88, 0, 77))),)
    monkeypatch.setattr(attributes, "reply", lambda *asked: CP(CfgType.REPLY, reply))
    link = ladder(asking(), giving(pool())).establish()
    assert link.a.sas == {}
    assert [one.reason for one in link.a.happened(ChildFailed)] == ["selectors-not-offered"]
    link.check_established(children=0)


def test_addresses_are_lent_to_nobody_who_is_not_authenticated(ladder):
    link = ladder(asking(), giving(pool()), policy_a=psk_policy(b"another key")).establish()
    link.advance(100)
    assert link.b.happened(AddressLeased) == []
    assert link.b.engine.pools()[0].online == 0
    link.check_empty()
