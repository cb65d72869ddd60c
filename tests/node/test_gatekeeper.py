"""The gate follows the engine's rule: it is told once, and again only when the rule has changed."""

from rhp.ike.admission import Admission
from rhp.node.gatekeeper import Gatekeeper

RULE = Admission(False, 100, 0, bytes(32), None, bytes(range(32)))
OTHER = Admission(True, 100, 1, bytes(range(32)), bytes(32), bytes(range(32)))


class Gate:
    """Notes what it is told and asked."""

    def __init__(self):
        self.told = []
        self.asked = []

    def set_rule(self, *rule):
        self.told.append(rule)

    def read(self, *asked):
        self.asked.append(asked)
        return [(b"x", "192.0.2.1", 500, "192.0.2.2", 500)]


def test_the_rule_is_told_before_a_turn_and_when_it_has_changed():
    rules = [RULE, RULE, OTHER, OTHER]
    gate, times = Gate(), iter(range(10))
    keeper = Gatekeeper(gate, lambda now: rules[now], lambda: next(times))
    read, read_natt = keeper.reader(natt=False), keeper.reader(natt=True)
    assert read(7, 500) == read_natt(8, 4500) == [(b"x", "192.0.2.1", 500, "192.0.2.2", 500)]
    assert gate.told == [(False, 0, bytes(32), None, bytes(range(32)), 100)]
    read(7, 500)
    read_natt(8, 4500)
    assert gate.told[1:] == [(True, 1, bytes(range(32)), bytes(32), bytes(range(32)), 100)]
    assert gate.asked == [(7, 500, False), (8, 4500, True)] * 2
