"""Traffic selectors: boxes and what two of them have in common."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhp.ike.selectors import ETHERNET, MAX_SELECTORS, common_families, contains, covered, intersection, narrow
from rhp.wire.iana import TsType
from rhp.wire.ts import TrafficSelector

TCP, UDP, ETHERIP = 6, 17, 97
OPAQUE = (65535, 0)


def box(network, protocol=0, ports=(0, 65535)):
    found = ip_network(network)
    kind = TsType.IPV4_ADDR_RANGE if found.version == 4 else TsType.IPV6_ADDR_RANGE
    return TrafficSelector(kind, protocol, *ports, found[0], found[-1])


ANY4, ANY6 = box("0.0.0.0/0"), box("::/0")


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (box("10.0.0.0/8"), box("10.1.0.0/16"), box("10.1.0.0/16")),
        (box("10.0.0.0/8"), box("11.0.0.0/8"), None),
        (box("10.0.0.0/8"), ANY6, None),
        (ANY4, box("10.0.0.1/32", TCP), box("10.0.0.1/32", TCP)),
        (box("10.0.0.0/8", UDP), box("10.0.0.0/8", TCP), None),
        (box("10.0.0.0/8", TCP, (80, 443)), box("10.1.0.0/16", TCP, (100, 65535)), box("10.1.0.0/16", TCP, (100, 443))),
        (box("10.0.0.0/8", TCP, (1, 2)), box("10.0.0.0/8", TCP, (3, 4)), None),
        (box("10.0.0.0/8", TCP, OPAQUE), box("10.0.0.0/8", TCP), box("10.0.0.0/8", TCP, OPAQUE)),
        (box("10.0.0.0/8", TCP, OPAQUE), box("10.0.0.0/8", TCP, OPAQUE), box("10.0.0.0/8", TCP, OPAQUE)),
        (box("10.0.0.0/8", TCP, OPAQUE), box("10.0.0.0/8", TCP, (80, 80)), None),
        (box("2001:db8::/32"), box("2001:db8:1::/48"), box("2001:db8:1::/48")),
    ],
)
def test_intersection(one, other, both):
    assert intersection(one, other) == intersection(other, one) == both


def test_overlapping_ranges_that_are_no_networks():
    one = TrafficSelector(TsType.IPV4_ADDR_RANGE, 0, 0, 65535, ip_address("10.0.0.5"), ip_address("10.0.0.20"))
    other = TrafficSelector(TsType.IPV4_ADDR_RANGE, 0, 0, 65535, ip_address("10.0.0.10"), ip_address("10.0.0.30"))
    both = intersection(one, other)
    assert (both.start, both.end) == (ip_address("10.0.0.10"), ip_address("10.0.0.20"))


def test_narrowing_keeps_the_order_offered():
    offered = [box("10.2.0.0/16"), box("10.1.0.0/16"), box("192.168.0.0/16")]
    assert narrow(offered, [box("10.0.0.0/8")]) == (box("10.2.0.0/16"), box("10.1.0.0/16"))


def test_narrowing_gives_no_box_twice():
    offered = [box("10.1.2.3/32", TCP, (80, 80)), box("10.1.0.0/16")]
    assert narrow(offered, [box("10.0.0.0/8")]) == (box("10.1.0.0/16"),)
    assert narrow(offered[::-1], [box("10.0.0.0/8")]) == (box("10.1.0.0/16"),)


def test_narrowing_to_nothing():
    assert narrow([box("10.0.0.0/8")], [box("172.16.0.0/12")]) == ()
    assert narrow([], [ANY4]) == ()
    assert narrow([ANY4], []) == ()


def test_narrowing_is_bounded():
    many = [box(f"10.{number}.0.0/16") for number in range(200)]
    assert len(narrow(many, [ANY4])) == MAX_SELECTORS


def test_an_answer_must_lie_within_one_box_of_the_offer():
    assert covered([box("10.1.0.0/16")], [box("10.0.0.0/8"), ANY6])
    assert not covered([box("10.1.0.0/16"), box("11.0.0.0/16")], [box("10.0.0.0/8")])
    assert not covered([ANY4], [box("10.0.0.0/8")])


def test_a_family_that_one_side_lacks_is_left_out():
    assert common_families((ANY4, ANY6), (ANY4,)) == ((ANY4,), (ANY4,))
    assert common_families((ANY6,), (ANY4,)) == ((), ())


def test_ethernet_meets_a_single_address():
    assert narrow([box("192.0.2.1/32", ETHERIP)], ETHERNET) == (box("192.0.2.1/32", ETHERIP),)
    assert narrow([box("192.0.2.1/32")], ETHERNET) == (box("192.0.2.1/32", ETHERIP),)
    assert narrow([box("192.0.2.1/32", TCP)], ETHERNET) == ()


ports = st.tuples(st.integers(0, 65535), st.integers(0, 65535)).map(sorted)
addresses = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)).map(sorted)
boxes = st.builds(
    lambda protocol, port, address: TrafficSelector(
        TsType.IPV4_ADDR_RANGE, protocol, *port, ip_address(address[0]), ip_address(address[1])
    ),
    st.sampled_from([0, TCP, UDP]),
    ports,
    addresses,
)


@given(st.lists(boxes, max_size=5), st.lists(boxes, max_size=5))
def test_narrowed_boxes_lie_within_both_sides(offered, configured):
    narrowed = narrow(offered, configured)
    assert covered(narrowed, offered) and covered(narrowed, configured)
    for one in narrowed:
        assert not any(contains(other, one) for other in narrowed if other is not one)


@given(boxes, boxes)
def test_a_box_contains_what_it_has_in_common_with_another(one, other):
    both = intersection(one, other)
    assert both is None or (contains(one, both) and contains(other, both))
    assert contains(one, one)
