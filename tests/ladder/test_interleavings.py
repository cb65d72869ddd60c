"""Two and three wishes of both sides meet in every order, over networks that lose, double and delay each message.

Whatever happens: both sides end with the same pairs, one of each Child SA that is wanted, one IKE SA, and nothing half
done. The orders are generated (`ladder_orders`); a run that fails says which one it was.
"""

import random
from dataclasses import dataclass
from itertools import combinations_with_replacement, product

import pytest
from ladder_net import LOSE, TWICE, LadderNet
from ladder_orders import WIDER, Choices, every, play, some
from ladder_world import ESP_PROPOSAL, IKE_PROPOSAL, child, config, connection

from rhp.ike.errors import LocalError
from rhp.ike.events import ChildClosed, ChildFailed, EngineFault, IkeClosed

VERBS = ("rekey_child", "rekey_ike", "create_child", "delete_child", "close")
PAIRS = list(product(VERBS, VERBS))
TRIPLES = [
    (first, second, third)
    for (first, second) in combinations_with_replacement(VERBS[:4], 2)
    for third in VERBS[:4]
]  # fmt: skip
MOST = 60 * WIDER
PLAIN = (IKE_PROPOSAL,), (ESP_PROPOSAL,)
FURTHER = (f"{IKE_PROPOSAL}-ke1_ecp256",), (f"{ESP_PROPOSAL}-x25519-ke1_ecp256",)
"""With one more key exchange a rekey takes three exchanges (RFC 9370), so there is more to come between."""
EITHER = (*FURTHER[0], IKE_PROPOSAL), (*FURTHER[1], f"{ESP_PROPOSAL}-x25519")
MIXED = EITHER, tuple(one[::-1] for one in EITHER)
"""Each side prefers something else: the rekeys of one take three exchanges, those of the other two."""
SUITES = {"plain": (PLAIN, PLAIN), "further": (FURTHER, FURTHER), "mixed": MIXED}
WITH_FURTHER = ["further", "mixed"]
LATE = "late"


@dataclass(eq=False)
class Wish:
    """One verb of one side; `granted` tells whether the engine took it."""

    verb: str
    side: str
    granted: bool = False

    def begin(self, link):
        side = getattr(link, self.side)
        try:
            link.call(side, self.verb, *self._of(link))
            self.granted = True
        except LocalError as error:
            assert error.reason in {"unknown-ike-sa", "ike-sa-not-established", "unknown-child-sa", "child-busy"}

    def _of(self, link):
        ike_id, child_id = link.firsts[self.side]
        if self.verb == "create_child":
            return ike_id, "ethernet"
        return (child_id,) if self.verb in ("rekey_child", "delete_child") else (ike_id,)


class Orders(LadderNet):
    """A network that knows which SAs it began with, and may do something to the message of one number."""

    def __init__(self, fault=None, seed=1, lanes=1, suites=None):
        ends = zip((("a@x", "b@x"), ("b@x", "a@x")), suites or (PLAIN, PLAIN), strict=True)
        super().__init__(
            *(
                config(connection(*end, ike=ike, children=(child(esp=esp),)), lanes=lanes, fragment_size=0)
                for end, (ike, esp) in ends
            ),
            seed=seed,
        )
        self.establish()
        self.advance(1 if lanes == 1 else 20)
        self.fault = fault
        self.kept = []
        self.firsts = {
            side.name: (side.status().ike_id, min(pair.child_id for pair in side.sas.values())) for side in self.sides
        }
        self.began = len(self.sent)

    def arrive(self, index):
        """Deliver one message, or do to it what its number says."""
        kind, number = self.fault or (None, -1)
        if self.flight[index].number - self.began != number:
            self.deliver(index)
        elif kind == LOSE:
            self.drop(index)
        else:
            packet = self.deliver(index)
            if kind == TWICE:
                self.hand_over(packet, "again")
            else:
                self.kept.append(packet)

    def rest(self):
        """Let everything come to its end; what was kept back arrives once more when all seems over."""
        self.advance(3)
        for packet in self.kept:
            self.hand_over(packet, "late")
        self.advance(200 if self.fault else 130)


def check(link, wishes, lanes=1):
    """Both sides have what was wanted, and nothing else."""
    granted = [wish.verb for wish in wishes if wish.granted]
    closed, deleted = "close" in granted, "delete_child" in granted
    assert not [event for side in link.sides for event in side.happened(EngineFault)]
    for side in link.sides:
        assert len(side.happened(IkeClosed)) == closed
        ended = len(side.happened(ChildClosed))
        assert ended <= 1 + granted.count("create_child") if closed else ended == deleted
    if closed:
        link.check_empty()
        return
    children = granted.count("create_child") + lanes - deleted
    link.check_established(children=children)
    for side in link.sides:
        assert side.happened(ChildFailed) == []
        assert all(sa.outbound_active for sa in side.sas.values())
        assert all(pair.state == "installed" for pair in side.status().children)
        sizes = side.sizes()
        assert (sizes["ike"], sizes["ids"], sizes["peers"], sizes["tombstones"]) == (1, 1, 1, 0)
        assert (sizes["children"], sizes["lineages"], sizes["pending"]) == (children, children, 0)
        # The IKE SA's lifetime, its liveness check, and the lifetime of each pair.
        assert sizes["timers"] == 2 + children
        sa = side.sa()
        assert (sa.turn, sa.queue or [], sa.rival, sa.successor) == (None, [], None, None)


def one_run(verbs, choices, fault=None, seed=1, lanes=1, suites=None):
    """Play one order and check its end; the network, and how many messages it carried."""
    link = Orders(fault, seed, lanes, suites)
    wishes = [Wish(verb, side) for verb, side in verbs]
    try:
        play(link, wishes, choices)
        link.rest()
        check(link, wishes, lanes)
    except BaseException:
        print(f"{verbs} in the order {choices.numbers()} with {fault}, seed {seed}")
        print(link.diagram())
        raise
    return link


def ids(found):
    return ["-".join(verbs) for verbs in found]


@pytest.mark.parametrize("verbs", PAIRS, ids=ids(PAIRS))
def test_two_wishes_in_every_order(verbs):
    meant = list(zip(verbs, "ab", strict=True))
    seeds = random.Random(str(verbs))
    complete = every(lambda choices: one_run(meant, choices, seed=seeds.randrange(1000)), MOST)
    if not complete:
        some(lambda choices: one_run(meant, choices, seed=seeds.randrange(1000)), MOST, verbs)


@pytest.mark.parametrize("kind", [LOSE, TWICE, LATE])
@pytest.mark.parametrize("verbs", PAIRS, ids=ids(PAIRS))
def test_two_wishes_and_a_fault_of_each_message(verbs, kind):
    meant = list(zip(verbs, "ab", strict=True))
    number, messages = 0, 1
    while number < messages:
        for turn in range(WIDER):
            chance = random.Random(f"{verbs} {kind} {number} {turn}")
            link = one_run(meant, Choices(chance=chance), (kind, number), seed=chance.randrange(1000))
            messages = max(messages, min(12, len(link.sent) - link.began))
        number += 1


@pytest.mark.parametrize("verbs", TRIPLES, ids=ids(TRIPLES))
def test_three_wishes(verbs):
    meant = list(zip(verbs, "aba", strict=True))
    seeds = random.Random(str(verbs))
    some(lambda choices: one_run(meant, choices, seed=seeds.randrange(1000)), 12 * WIDER, verbs)


REKEYS = list(product(VERBS[:2], VERBS[:2]))


@pytest.mark.parametrize("suites", SUITES)
@pytest.mark.parametrize("verbs", REKEYS, ids=ids(REKEYS))
def test_two_rekeys_with_a_pair_for_each_lane(verbs, suites):
    meant, chosen = list(zip(verbs, "ab", strict=True)), SUITES[suites]
    seeds = random.Random(str(verbs))
    some(lambda choices: one_run(meant, choices, seed=seeds.randrange(1000), lanes=2, suites=chosen), 30 * WIDER, verbs)


@pytest.mark.parametrize("suites", WITH_FURTHER)
@pytest.mark.parametrize("verbs", PAIRS, ids=ids(PAIRS))
def test_two_wishes_with_further_key_exchanges(verbs, suites):
    meant, chosen = list(zip(verbs, "ab", strict=True)), SUITES[suites]
    seeds = random.Random(str(verbs))
    count = MOST if verbs in REKEYS else 12 * WIDER
    some(lambda choices: one_run(meant, choices, seed=seeds.randrange(1000), suites=chosen), count, verbs)


@pytest.mark.parametrize("suites", WITH_FURTHER)
@pytest.mark.parametrize("kind", [LOSE, TWICE, LATE])
@pytest.mark.parametrize("verbs", REKEYS, ids=ids(REKEYS))
def test_two_rekeys_with_further_key_exchanges_and_a_fault_of_each_message(verbs, kind, suites):
    meant = list(zip(verbs, "ab", strict=True))
    number, messages = 0, 1
    while number < messages:
        for turn in range(WIDER):
            chance = random.Random(f"{verbs} {kind} {suites} {number} {turn}")
            fault, seed = (kind, number), chance.randrange(1000)
            link = one_run(meant, Choices(chance=chance), fault, seed, suites=SUITES[suites])
            messages = max(messages, min(16, len(link.sent) - link.began))
        number += 1
