"""Pools of inner addresses: who gets which, what rests, what is given away, and that nobody shares one by accident."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from rhp.pki.identity import parse_identity
from rhp.realm import pool as pool_module
from rhp.realm.pool import PoolConfig, Span
from rhp.realm.pools import Pools, Remembered


def span(text):
    first, _, last = text.partition("-")
    return Span(ip_address(first), ip_address(last or first))


def pool(*ranges, name="p", fixed=(), **more):
    pairs = tuple((parse_identity(who), ip_address(address)) for who, address in dict(fixed).items())
    return PoolConfig(name, tuple(map(span, ranges)), 24, fixed=pairs, **more)


def who(number):
    return parse_identity(f"client{number}.example.org")


def take(pools, identity, version=4, names=("p", "q"), **more):
    lease = pools.take(names, identity, version, **more)
    return lease and str(lease.address)


def test_addresses_come_in_order_and_over_all_ranges():
    pools = Pools([pool("10.0.0.8-10.0.0.9", "10.0.1.1")])
    assert [take(pools, who(number)) for number in range(4)] == ["10.0.0.8", "10.0.0.9", "10.0.1.1", None]


def test_the_same_identity_gets_its_address_again():
    pools = Pools([pool("10.0.0.1-10.0.0.9")])
    first = pools.take(("p",), who(1), 4)
    take(pools, who(2))
    pools.release(first)
    take(pools, who(3))
    assert take(pools, parse_identity("CLIENT1.example.org")) == "10.0.0.1"


def test_a_newcomer_gets_what_rested_longest_when_nothing_else_is_left():
    pools = Pools([pool("10.0.0.1-10.0.0.3")])
    leases = [pools.take(("p",), who(number), 4) for number in range(3)]
    for lease in (leases[1], leases[0]):
        pools.release(lease)
    assert take(pools, who(7)) == "10.0.0.2"
    # Its earlier owner has lost it, and gets the other one; then there is no more.
    assert take(pools, who(1)) == "10.0.0.1"
    assert take(pools, who(0)) is None


def test_coming_back_makes_an_address_young_again():
    pools = Pools([pool("10.0.0.1-10.0.0.2")])
    for number in (0, 1, 0):
        pools.release(pools.take(("p",), who(number), 4))
    assert take(pools, who(7)) == "10.0.0.2"


def test_a_second_ike_sa_of_one_identity_shares_or_does_not():
    pools = Pools([pool("10.0.0.1-10.0.0.9")])
    first = pools.take(("p",), who(1), 4)
    assert pools.take(("p",), who(1), 4) is first
    assert first.holders == 2
    other = pools.take(("p",), who(1), 4, share=False)
    assert str(other.address) == "10.0.0.2"
    pools.release(first)
    assert pools.usage()[0].online == 2
    pools.release(first)
    assert pools.usage()[0].online == 1
    pools.release(first)
    assert first.holders == 0


def test_an_address_in_use_goes_before_one_that_rests_in_an_earlier_pool():
    pools = Pools([pool("10.0.0.1"), pool("10.1.0.1", name="q")])
    rests = pools.take(("p",), who(1), 4)
    pools.take(("q",), who(1), 4, share=False)
    pools.release(rests)
    assert take(pools, who(1)) == "10.1.0.1"
    assert take(pools, who(1), share=False) == "10.0.0.1"


def test_fixed_addresses_are_for_their_identity_alone():
    pools = Pools([pool("10.0.0.1-10.0.0.2", fixed={"client5.example.org": "10.0.0.1"})])
    assert take(pools, who(1)) == "10.0.0.2"
    assert take(pools, who(2)) is None
    assert take(pools, who(5)) == "10.0.0.1"
    assert take(pools, who(3), wanted=ip_address("10.0.0.1")) is None


def test_a_fixed_address_is_found_by_a_dn_in_other_letters():
    fixed = {"C=CH, O=Example, CN=a": "10.0.0.1"}
    pools = Pools([pool("10.0.0.1-10.0.0.2", fixed=fixed)])
    assert take(pools, parse_identity("C=ch, O=EXAMPLE, CN=A")) == "10.0.0.1"


def test_reserved_addresses_are_nobodys():
    pools = Pools([pool("10.0.0.1-10.0.0.2", reserved=frozenset({ip_address("10.0.0.1"), ip_address("10.9.9.9")}))])
    assert take(pools, who(1), wanted=ip_address("10.0.0.1")) == "10.0.0.2"
    assert take(pools, who(2)) is None


def test_a_wish_is_granted_where_it_is_free():
    pools = Pools([pool("10.0.0.1-10.0.0.9")])
    assert take(pools, who(1), wanted=ip_address("10.0.0.7")) == "10.0.0.7"
    assert take(pools, who(2), wanted=ip_address("10.0.0.7")) == "10.0.0.1"
    assert take(pools, who(3), wanted=ip_address("192.0.2.1")) == "10.0.0.2"


def test_the_next_pool_helps_out_and_versions_are_apart():
    pools = Pools([pool("10.0.0.1"), pool("10.1.0.1", name="q"), pool("fd00::1-fd00::ffff", name="r")])
    assert [take(pools, who(number)) for number in range(2)] == ["10.0.0.1", "10.1.0.1"]
    assert take(pools, who(1), 6) is None
    assert take(pools, who(1), 6, names=("p", "r")) == "fd00::1"
    assert pools.serves(("p", "r"), 6)
    assert not pools.serves(("p", "q"), 6)


def test_a_rested_address_is_given_away_only_when_every_pool_is_full():
    pools = Pools([pool("10.0.0.1"), pool("10.1.0.1", name="q")])
    pools.release(pools.take(("p",), who(1), 4))
    assert take(pools, who(2)) == "10.1.0.1"
    assert take(pools, who(3)) == "10.0.0.1"


def test_a_huge_pool_costs_nothing_and_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(pool_module, "MAX_RESTING", 10)
    huge = PoolConfig("p", (Span(*(ip_network("fd00::/16")[at] for at in (0, -1))),), 64)
    pools = Pools([huge])
    for number in range(100):
        pools.release(pools.take(("p",), who(number), 6))
    (usage,) = pools.usage()
    assert (usage.size, usage.online, usage.resting) == (2**112, 0, 10)
    assert len(pools.remembered()) == 10
    assert take(pools, who(95), 6) == "fd00::5f"
    assert take(pools, who(1), 6) == "fd00::64"


def test_what_is_remembered_is_taken_up_after_a_restart():
    config = pool("10.0.0.1-10.0.0.3", fixed={"client5.example.org": "10.0.0.3"})
    pools = Pools([config])
    pools.release(pools.take(("p",), who(2), 4))
    pools.take(("p",), who(5), 4)
    kept = pools.remembered()
    assert [str(one.address) for one in kept] == ["10.0.0.1", "10.0.0.3"]
    again = Pools([config])
    strange = [Remembered("gone", who(1), ip_address("10.0.0.1")), Remembered("p", who(9), ip_address("10.7.0.1"))]
    again.restore([*kept, *strange, Remembered("p", who(9), ip_address("10.0.0.3"))])
    assert take(again, who(9)) == "10.0.0.2"
    assert take(again, who(2)) == "10.0.0.1"
    assert take(again, who(5)) == "10.0.0.3"


def test_other_pools_keep_what_still_fits():
    pools = Pools([pool("10.0.0.1-10.0.0.4"), pool("10.1.0.1", name="q")])
    held, rested, moved = (pools.take(("p",), who(number), 4) for number in range(3))
    pools.release(rested)
    pools.update([pool("10.0.0.1-10.0.0.2", fixed={"client1.example.org": "10.0.0.9"})])
    assert take(pools, who(0)) == "10.0.0.1"
    assert take(pools, who(1)) == "10.0.0.9"
    # The address of the third has gone from the pool: giving it back changes nothing.
    pools.release(moved)
    assert held.holders == 2
    assert [(one.online, one.resting) for one in pools.usage()] == [(2, 1)]


FIXED = ip_address("10.0.0.2")


@settings(max_examples=60, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
class PoolMachine(RuleBasedStateMachine):
    """Ten clients, five addresses, one of them fixed: whatever they do, no address has two identities."""

    held = Bundle("held")

    def __init__(self):
        super().__init__()
        self.pools = Pools(
            [pool("10.0.0.1-10.0.0.3", fixed={"client0.example.org": "10.0.0.2"}), pool("10.1.0.1-10.1.0.2", name="q")]
        )
        self.open = []

    @rule(target=held, number=st.integers(0, 9), share=st.booleans(), wish=st.integers(0, 5))
    def come(self, number, share, wish):
        busy = {lease.address for lease in self.open}
        lease = self.pools.take(("p", "q"), who(number), 4, wanted=ip_address("10.0.0.0") + wish, share=share)
        if lease is None:
            assert len(busy) >= 4
            assert {one.address for one in self.pools.remembered()} <= {*busy, FIXED}
            return multiple()
        assert lease.identity == who(number)
        if not share:
            assert lease.address not in busy
        own = {one.address for one in self.open if one.identity == who(number)}
        if share and own:
            assert lease.address in own or (number == 0 and lease.address == FIXED)
        self.open.append(lease)
        return lease

    @rule(lease=consumes(held))
    def go(self, lease):
        self.open.remove(lease)
        self.pools.release(lease)

    @invariant()
    def nobody_shares(self):
        owners = {}
        for lease in self.open:
            assert owners.setdefault(lease.address, lease.identity) == lease.identity
        assert owners.get(FIXED) in (None, who(0))

    @invariant()
    def the_books_are_right(self):
        usage = self.pools.usage()
        assert sum(one.online for one in usage) == len({lease.address for lease in self.open})
        assert all(one.online + one.resting <= one.size for one in usage)
        addresses = [one.address for one in self.pools.remembered()]
        assert len(addresses) == len(set(addresses))


TestPoolMachine = PoolMachine.TestCase


def test_leases_say_what_they_are():
    pools = Pools([pool("10.0.0.1")])
    assert repr(pools.take(("p",), who(1), 4)) == "Lease(p 10.0.0.1 x1)"
    assert not Pools()


@pytest.mark.parametrize("names", [(), ("nothing",)])
def test_names_without_a_pool_give_nothing(names):
    assert Pools([pool("10.0.0.1")]).take(names, who(1), 4) is None
