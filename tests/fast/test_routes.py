"""Which peer owns an address: longest prefix first, the newest of equals first, and never a linear search."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhp._fast.routes import RouteTable


def table(*ranges):
    made = RouteTable()
    for owner, (start, end) in enumerate(ranges, 1):
        made.add(start, end, owner)
    return made


def test_nothing_is_owned_at_first():
    assert RouteTable().find("10.0.0.1") == []


def test_a_range_has_both_ends():
    made = table(("10.1.0.0", "10.1.0.255"))
    assert made.find("10.1.0.0") == made.find("10.1.0.255") == [1]
    assert made.find("10.0.255.255") == made.find("10.1.1.0") == []


def test_the_narrower_range_comes_first():
    made = table(("10.1.2.0", "10.1.2.255"), ("10.0.0.0", "10.255.255.255"), ("10.1.0.0", "10.1.255.255"))
    assert made.find("10.1.2.3") == [1, 3, 2]
    assert made.find("10.1.3.3") == [3, 2]


def test_the_newest_of_equals_comes_first():
    assert table(("10.0.0.0", "10.0.0.255"), ("10.0.0.0", "10.0.0.255")).find("10.0.0.9") == [2, 1]


def test_what_is_removed_owns_nothing_and_the_others_stay():
    made = table(("10.0.0.0", "10.0.0.255"), ("10.0.0.0", "10.0.255.255"))
    made.remove(1)
    assert made.find("10.0.0.1") == [2]
    made.remove(2)
    assert made.find("10.0.0.1") == []


def test_both_families_have_a_place():
    made = table(("fd00::", "fd00::ffff"), ("0.0.0.0", "255.255.255.254"))  # noqa: S104
    assert made.find("fd00::1") == [1]
    assert made.find("fd01::1") == []
    assert made.find("255.255.255.254") == [2]
    assert made.find("255.255.255.255") == []


def test_an_awkward_range_takes_many_prefixes_and_no_more():
    made = RouteTable()
    assert made.add("10.0.0.1", "10.255.255.254", 1) == 46
    assert made.add("2000::1", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 2) == 248
    assert made.find("10.128.0.0") == [1]
    assert made.find("3000::") == [2]


def test_a_thousand_peers_with_one_range_are_not_all_asked():
    made = table(*[("10.0.0.0", "10.0.0.255")] * 1000)
    assert made.find("10.0.0.1") == list(range(1000, 936, -1))


def test_ten_thousand_networks_are_told_apart():
    nets = [ipaddress.ip_network((0x0A000000 + (number << 8), 24)) for number in range(10_000)]
    made = table(*((str(net[0]), str(net[-1])) for net in nets))
    for number in range(0, 10_000, 97):
        assert made.find(str(nets[number][77])) == [number + 1]


address = st.integers(0, 2**32 - 1)


@given(st.lists(st.tuples(address, address), max_size=12), address)
def test_as_a_plain_search_would_find(pairs, wanted):
    ranges = [sorted(pair) for pair in pairs]
    made = table(*((str(ipaddress.IPv4Address(a)), str(ipaddress.IPv4Address(b))) for a, b in ranges))
    expected = {owner for owner, (start, end) in enumerate(ranges, 1) if start <= wanted <= end}
    assert set(made.find(str(ipaddress.IPv4Address(wanted)))) == expected


@pytest.mark.parametrize("length", [0, 1, 32, 63, 64, 65, 96, 127])
def test_every_length_of_ipv6(length):
    net = ipaddress.ip_network((int(ipaddress.IPv6Address("2001:db8::")) >> 128 - length << 128 - length, length))
    made = table((str(net[0]), str(net[-1])))
    assert made.find(str(net[-1])) == [1]
    if length:
        assert made.find("ffff::") == []
