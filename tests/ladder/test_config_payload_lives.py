"""Inner addresses over a long life: reauthentication, resumption, lanes, and damaged messages."""

import random
from dataclasses import replace

import pytest
from ladder_addresses import FULL, FULL6, asking, giving, hosts, leased
from ladder_mutate import mutate
from ladder_tickets import crash, resumed

from rhp.ike.events import AddressesAssigned, AddressLeased, IkeClosed, LeaseEnded
from rhp.wire.iana import ExchangeType

BOTH = ["10.88.0.2", "fd88::2"]


def settled(link, pairs=1):
    """The address is lent once, the child is narrowed to it, and nobody has heard of an end."""
    link.check_established(children=pairs)
    assert leased(link.b) == BOTH
    assert {sa.local_ts for sa in link.a.sas.values()} == {hosts("10.88.0.2/32", "fd88::2/128")}
    assert [one.online for one in link.b.engine.pools()] == [1, 1]
    assert len(link.a.happened(AddressesAssigned)) == len(link.b.happened(AddressLeased)) == 1
    assert link.b.happened(LeaseEnded) == []


def test_reauthentication_keeps_the_address(ladder):
    link = ladder(asking(), giving(FULL, FULL6)).establish()
    for _ in range(3):
        link.call(link.a, "reauthenticate", link.a.status().ike_id)
        link.settle()
        link.advance(15)
        settled(link)
    assert link.b.count("ike-reauthenticated") == 3
    link.call(link.a, "close_all")
    link.settle()
    assert len(link.b.happened(LeaseEnded)) == 1
    link.advance(100)
    link.check_empty()


@pytest.mark.parametrize("lost", range(8))
def test_a_message_of_the_reauthentication_is_lost(ladder, lost):
    link = ladder(asking(), giving(FULL, FULL6)).establish()
    first = len(link.sent)
    link.lost = lambda packet: packet.number == first + lost
    link.call(link.a, "reauthenticate", link.a.status().ike_id)
    link.settle()
    link.advance(40)
    settled(link)


def test_a_day_of_rekeys_and_reauthentications(ladder):
    link = ladder(asking(reauth_time=7200.0), giving(FULL, FULL6)).establish()
    link.advance(86400)
    settled(link)
    assert link.b.count("ike-reauthenticated") > 10
    assert link.b.count("child-rekeyed") > 20


def test_a_resumed_ike_sa_has_its_address(resuming):
    link = resuming(a=asking(resumption=True), b=giving(FULL, FULL6, resumption=True)).establish()
    # The path is lost, so a gives up, and resumes with its ticket before b has missed it.
    link.lost = lambda packet: True
    link.call(link.a, "rekey_child", link.a.status().children[0].child_id)
    link.advance(40)
    link.lost = lambda packet: False
    link.establish()
    link.check_established()
    assert resumed(link.b) == [False, True]
    assert leased(link.b) == BOTH
    assert [one.online for one in link.b.engine.pools()] == [1, 1]
    assert link.a.child().local_ts == hosts("10.88.0.2/32", "fd88::2/128")


def test_a_crashed_gateway_that_forgot_its_loans_gives_the_same(resuming):
    link = resuming(a=asking(resumption=True), b=giving(FULL, FULL6, resumption=True)).establish()
    crash(link)
    link.establish()
    assert resumed(link.b) == [False, True]
    assert leased(link.b) == BOTH


def test_each_lane_has_its_pair_for_the_one_address(ladder):
    link = ladder(replace(asking(), lanes=3), replace(giving(FULL, FULL6), lanes=2)).establish()
    for _ in range(20):
        link.advance(1)
    settled(link, pairs=3)
    assert len({sa.group for sa in link.b.sas.values()}) == 1
    link.call(link.a, "rekey_ike", link.a.status().ike_id)
    link.settle()
    link.advance(20)
    settled(link, pairs=3)


@pytest.mark.parametrize("seed", range(6))
def test_damage_to_sealed_messages_changes_nothing(ladder, seed):
    link, chance = ladder(asking(), giving(FULL, FULL6), seed=seed), random.Random(seed)
    link.initiate()
    while link.flight:
        packet = link.flight[0]
        side = next(one for one in link.sides if one.address == packet.target.ip)
        if packet.header.exchange != ExchangeType.IKE_SA_INIT:
            kept = list(link.flight)
            for _ in range(25):
                link.inject(side, mutate(chance, packet.datagram), packet.source, natt=packet.natt)
            link.flight = kept
        link.deliver()
    settled(link)
    assert link.a.happened(IkeClosed) == link.b.happened(IkeClosed) == []


@pytest.mark.parametrize("seed", range(12))
def test_a_peer_that_seals_damaged_payloads_harms_itself_alone(ladder, seed):
    """Whatever it says in a configuration payload, it gets an answer or loses its IKE SA, and then its address."""
    chance = random.Random(seed)
    link = ladder(asking(), giving(FULL, FULL6)).establish()
    payload = link.read(next(packet for packet in link.sent if packet.header.message_id == 1)).payloads
    (asked,) = [one for one in payload if type(one).__name__ == "CP"]
    for _ in range(60):
        if link.b.states() != ["established"]:
            break
        body = mutate(chance, asked.build())
        frame = link.frame(link.a)
        inside = bytes((0, 0)) + (len(body) + 4).to_bytes(2) + body
        link.ask(link.b, link.seal_raw(frame, 47, inside))
    if link.b.states() == ["established"]:
        assert leased(link.b) == BOTH
    else:
        assert [one.online for one in link.b.engine.pools()] == [0, 0]
    assert link.b.count("internal-error") == 0
