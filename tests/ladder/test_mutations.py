"""Damaged messages in every state. Those that the seal protects change nothing at all; those of a peer that seals
nonsense may end its own IKE SA, but never raise, never leave a fault, and never leave anything behind.
"""

import random
from dataclasses import replace

import pytest
from ladder_mutate import mutate
from ladder_net import LadderNet
from ladder_world import child, config, connection, pubkey_side

from rhp.ike.events import EngineFault, IkeClosed
from rhp.wire.delete import Delete
from rhp.wire.iana import ExchangeType, NotifyType
from rhp.wire.message import build_payloads
from rhp.wire.notify import Notify
from rhp.wire.sa import SA, Proposal

INIT = ExchangeType.IKE_SA_INIT
ESP = ("aes128gcm16-x25519-ecp256-modpnone", "aes256-sha256-x25519")
IKE = ("aes128gcm16-prfsha256-x25519-ecp256", "aes256-sha256-x25519")


def psk_link(seed=1):
    children = (child(esp=ESP),)
    return LadderNet(
        config(connection("a@x", "b@x", ike=IKE, children=children)),
        config(connection("b@x", "a@x", ike=IKE, children=children)),
        seed=seed,
    )


def pubkey_link(seed=1):
    a, policy_a = pubkey_side("a.x.org", "b.x.org")
    b, policy_b = pubkey_side("b.x.org", "a.x.org")
    return LadderNet(config(a), config(b), policy_a, policy_b, seed=seed)


def further_child(link):
    link.call(link.a, "create_child", link.a.status().ike_id, "ethernet")


def rekey_child(link):
    link.call(link.b, "rekey_child", link.b.child().child_id)


def rekey_ike(link):
    link.call(link.a, "rekey_ike", link.a.status().ike_id)


def delete_child(link):
    link.call(link.b, "delete_child", link.b.child().child_id)


def check(link):
    link.advance(90)


def close(link):
    link.call(link.a, "close", link.a.status().ike_id)


STEPS = [rekey_child, rekey_ike, further_child, check]
EXCHANGES = {
    "rekey_child": (rekey_child, 4),
    "rekey_ike": (rekey_ike, 4),
    "further_child": (further_child, 2),
    "delete_child": (delete_child, 2),
    "close": (close, 2),
}


def no_faults(link):
    for side in link.sides:
        assert side.happened(EngineFault) == [], link.diagram()
        assert side.count("internal-error") == 0


def inject_damaged(link, chance, packet, times):
    """Damaged copies of a packet to its addressee; what they provoke is thrown away."""
    side = next(one for one in link.sides if one.address == packet.target.ip)
    kept = list(link.flight)
    for _ in range(times):
        link.inject(side, mutate(chance, packet.datagram), packet.source, natt=packet.natt)
    link.flight = kept


@pytest.mark.parametrize("make", [psk_link, pubkey_link])
@pytest.mark.parametrize("seed", range(4))
def test_damage_to_sealed_messages_changes_nothing(make, seed):
    link, chance = make(seed), random.Random(seed)

    def settle():
        while link.flight:
            packet = link.flight[0]
            if packet.header.exchange != INIT:
                inject_damaged(link, chance, packet, 25)
            link.deliver()

    link.initiate()
    settle()
    for step in [rekey_child, rekey_ike, rekey_child]:
        step(link)
        settle()
        link.check_established()
    further_child(link)
    settle()
    link.check_established(children=2)
    no_faults(link)
    assert link.a.happened(IkeClosed) == link.b.happened(IkeClosed) == []
    assert all(side.count("integrity-check-failed") > 30 for side in link.sides)
    close(link)
    settle()
    link.advance(100)
    link.check_empty()


@pytest.mark.parametrize("seed", range(6))
def test_damaged_first_messages(seed):
    # Nothing protects IKE_SA_INIT but what follows: a damaged one may cost its handshake, never more.
    chance = random.Random(seed)
    good = LadderNet(seed=99).establish()
    for index in range(60):
        good.initiate()
        request = good.drop()
        good.inject(good.b, mutate(chance, request.datagram), request.source)
        good.flight.clear()
        if index % 10 == 0:
            good.advance(40)
            good.flight.clear()
    no_faults(good)
    good.advance(200)
    good.check_established()
    assert good.b.table.half_open == 0


@pytest.mark.parametrize("seed", range(6))
def test_damaged_first_answers(seed):
    chance = random.Random(seed)
    for _ in range(40):
        link = psk_link(seed)
        link.initiate()
        link.deliver()
        answer = link.drop()
        link.inject(link.a, mutate(chance, answer.datagram), answer.source)
        link.settle()
        if link.a.states() == ["connecting"]:
            link.hand_over(answer)
            link.settle()
        no_faults(link)
        link.advance(200)
        no_faults(link)
        if link.a.states() or link.b.states():
            link.check_established()
        else:
            link.check_empty()


# A peer that has the keys and seals nonsense.


def resealed(link, chance, packet):
    """The packet with its sealed content damaged, and a right seal."""
    message = link.read(packet)
    first, inside = build_payloads(message.payloads)
    if chance.random() < 0.1:
        first = chance.randrange(256)
    return link.seal_raw(replace(message, payloads=()), first, mutate(chance, inside))


def replace_in_flight(link, chance):
    """Swap the first message in flight for a damaged one with a right seal."""
    packet = link.flight[0]
    link.flight[0] = replace(packet, datagram=resealed(link, chance, packet))


def check_end(link):
    """Whatever became of the IKE SA, it is the same on both sides after a while, and nobody keeps a rest of it."""
    no_faults(link)
    link.settle()
    link.advance(250)
    no_faults(link)
    for side in link.sides:
        sizes = side.sizes()
        assert sizes["pending"] == sizes["tombstones"] == sizes["first"] == 0
        assert sizes["ike"] == sizes["ids"] == len(side.states())
        assert sizes["children"] == sizes["installed"]
        if not side.states():
            side.check_empty()
    assert len(link.a.states()) == len(link.b.states())


@pytest.mark.parametrize("make", [psk_link, pubkey_link])
@pytest.mark.parametrize("index", [2, 3])
def test_sealed_nonsense_in_ike_auth(make, index):
    chance = random.Random(index)
    for seed in range(150):
        link = make(seed)
        link.initiate()
        for _ in range(index):
            link.deliver()
        replace_in_flight(link, chance)
        link.settle()
        check_end(link)


@pytest.mark.parametrize(
    ("name", "index"), [(name, index) for name, (_, most) in EXCHANGES.items() for index in range(most)]
)
def test_sealed_nonsense_in_later_exchanges(name, index):
    chance = random.Random(f"{name} {index}")
    for seed in range(100):
        link = psk_link(seed).establish()
        EXCHANGES[name][0](link)
        for _ in range(index):
            link.deliver()
        replace_in_flight(link, chance)
        link.settle()
        check_end(link)


# A peer that has the keys and says well-formed things at the wrong moment.


def vocabulary():
    """Every payload of every message of an eventful life, and some that never occur in one."""
    link = psk_link().establish()
    for step in STEPS:
        step(link)
        link.settle()
    words = [payload for packet in link.sent for payload in link.read(packet).payloads]
    spi = max(link.a.sas).to_bytes(4)
    for kind in NotifyType:
        words.append(Notify(kind))
        words.append(Notify(kind, b"\x00\x13", 3, spi))
    words += [
        Delete(1, ()),
        Delete(3, ()),
        Delete(3, (spi, b"\x00\x00\x00\x01")),
        Delete(2, (b"1234",)),
    ]
    words += [SA(()), SA((Proposal(1, 1, b"", ()),)), SA((Proposal(1, 3, b"", ()), Proposal(2, 1, b"12345678", ())))]
    return words


WORDS = vocabulary()


@pytest.mark.parametrize("seed", range(80))
def test_wrong_words(seed):
    """Requests made of any payloads, in any exchange, from either side, between orderly exchanges."""
    chance = random.Random(seed)
    link = psk_link(seed).establish()
    for _ in range(25):
        if not (link.a.states() == link.b.states() == ["established"]):
            break
        side = chance.choice(link.sides)
        words = chance.sample(WORDS, chance.randrange(1, 7))
        if chance.random() < 0.5 and side.sas:
            words = [renamed(word, chance.choice(list(side.sas))) for word in words]
        exchange = chance.choice((36, 36, 37, 37, 35, 34, 43))
        try:
            answer = link.say(side, words, exchange)
        except ValueError:
            continue
        assert answer is None or answer.response
        link.flight.clear()
        no_faults(link)
    # The sides' views differ by now, as the true engines never said what was said: only rests are of interest.
    link.fate = lambda packet: "lose"
    link.advance(400)
    no_faults(link)
    link.check_empty()


def renamed(word, spi):
    """A REKEY_SA or DELETE about a pair that there is."""
    if isinstance(word, Delete) and word.protocol == 3:
        return Delete(3, (spi.to_bytes(4),))
    if isinstance(word, Notify) and word.type == NotifyType.REKEY_SA:
        return Notify(word.type, b"", 3, spi.to_bytes(4))
    return word
