"""The node's small parts: MAC addresses, selectors as text, the queue in front of the guard, lanes."""

import asyncio
from ipaddress import ip_address, ip_network

import pytest

from rhp.guard.protocol import AddRoute, Done, Refused, RemoveRoute
from rhp.ike import events
from rhp.node.children import covers
from rhp.node.edges import families, lane_count
from rhp.node.network import NetworkQueue
from rhp.node.pseudomac import PseudoMacs, interface_mac, pseudo_gateway, pseudo_mac
from rhp.node.selectors import format_selector, format_selectors, networks
from rhp.node.stopwatch import MOST_RUNNING, Stopwatch
from rhp.node.tally import Tally
from rhp.wire.ts import TrafficSelector

LOWEST = "0.0.0.0"  # noqa: S104


def ts(start, end, protocol=0, ports=(0, 65535)):
    low, high = ip_address(start), ip_address(end)
    return TrafficSelector(7 if low.version == 4 else 8, protocol, *ports, low, high)


def test_a_pseudo_mac_is_local_unicast_and_stable():
    macs = [pseudo_mac("office", "lan", (2, f"peer{number}".encode())) for number in range(500)]
    assert all(len(mac) == 6 and mac[0] & 3 == 2 for mac in macs)
    assert len(set(macs)) == 500
    assert macs[0] == pseudo_mac("office", "lan", (2, b"peer0"))
    assert pseudo_mac("office", "lan", (2, b"x")) != pseudo_mac("office", "lan2", (2, b"x"))
    assert pseudo_mac("office", "lan", (2, b"x")) != pseudo_mac("office", "lan", (3, b"x"))
    assert pseudo_mac("ab", "c", (2, b"x")) != pseudo_mac("a", "bc", (2, b"x"))


def test_a_taken_pseudo_mac_is_stepped_over():
    first = pseudo_mac("office", "lan", (2, b"x"))
    second = pseudo_mac("office", "lan", (2, b"x"), {first}.__contains__)
    assert second != first
    assert second[0] & 3 == 2

    with pytest.raises(ValueError, match="no pseudo-MAC is left"):
        pseudo_mac("office", "lan", (2, b"x"), lambda mac: True)


def test_a_tally_holds_what_is_there_once_or_more():
    tally = Tally()
    assert tally.add("a") and not tally.add("a") and tally.add("b")
    assert sorted(tally) == ["a", "b"] and len(tally) == 2
    assert not tally.remove("a")
    assert "a" in tally
    assert tally.remove("a") and tally.remove("b")
    assert "a" not in tally and not list(tally)
    with pytest.raises(KeyError):
        tally.remove("a")


def test_pseudo_macs_are_one_peer_s_each_until_they_are_given_back(monkeypatch):
    # Every derivation collides, as if the hash had four values.
    monkeypatch.setattr("rhp.node.pseudomac._derive", lambda parts: bytes((2, 0, 0, 0, 0, parts[3][1] % 4)))
    macs, one, other = PseudoMacs(), (2, b"one"), (2, b"other")
    first = macs.take("office", "lan", one)
    # A peer that connects anew has two tunnels for a moment, at the same MAC.
    assert macs.take("office", "lan", one) == first
    second = macs.take("office", "lan", other)
    assert second != first
    macs.give_back(first)
    assert macs.take("office", "lan", (2, b"third")) not in (first, second)
    macs.give_back(first)
    assert macs.take("office", "lan", (2, b"fourth")) == first
    macs.give_back(second)
    with pytest.raises(KeyError):
        macs.give_back(second)


def test_the_interface_s_mac_depends_on_machine_name_and_identities():
    base = interface_mac(b"m", "rhp0", [b"a", b"b"])
    assert base[0] & 3 == 2
    assert base == interface_mac(b"m", "rhp0", [b"b", b"a"])
    assert len({base, interface_mac(b"n", "rhp0", [b"a", b"b"]), interface_mac(b"m", "rhp1", [b"a", b"b"])}) == 3
    assert base != interface_mac(b"m", "rhp0", [b"a"])


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (ts("10.0.0.0", "10.0.0.255"), "10.0.0.0/24"),
        (ts("10.0.0.1", "10.0.0.1"), "10.0.0.1/32"),
        (ts("10.0.0.1", "10.0.0.9"), "10.0.0.1-10.0.0.9"),
        (ts(LOWEST, "255.255.255.255", 97), "0.0.0.0/0[etherip]"),
        (ts("10.0.0.0", "10.0.0.255", 6, (443, 443)), "10.0.0.0/24[tcp/443]"),
        (ts("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, (1, 2)), "::/0[0/1-2]"),
        (ts("10.0.0.0", "10.0.0.255", 200), "10.0.0.0/24[200]"),
    ],
)
def test_a_selector_as_text(selector, text):
    assert format_selector(selector) == text


def test_selectors_as_networks():
    selectors = [ts("10.0.0.1", "10.0.0.2"), ts("10.1.0.0", "10.1.255.255"), ts("10.0.0.1", "10.0.0.2", 6)]
    assert [str(net) for net in networks(selectors)] == ["10.0.0.1/32", "10.0.0.2/32", "10.1.0.0/16"]
    assert format_selectors(selectors[:2]) == "10.0.0.1-10.0.0.2, 10.1.0.0/16"


@pytest.mark.parametrize(
    ("destination", "ip", "caught"),
    [
        ("0.0.0.0/0", "192.0.2.1", True),
        ("::/0", "192.0.2.1", False),
        ("192.0.2.0/24", "192.0.2.1", True),
        ("192.0.3.0/24", "192.0.2.1", False),
        ("2001:db8::/32", "2001:db8::1", True),
    ],
)
def test_which_route_would_catch_the_tunnel(destination, ip, caught):
    assert covers(ip_network(destination), ip_address(ip)) is caught


@pytest.mark.parametrize(("cores", "lanes"), [(1, 1), (2, 1), (3, 2), (4, 3), (9, 8), (64, 8)])
def test_lanes_by_cores(cores, lanes):
    assert lane_count(None, cores=cores) == lanes
    assert lane_count(5, cores=cores) == 5
    assert lane_count(None, (3, 4), cores) == 2


def test_without_ipv6_only_ipv4_is_opened(tmp_path):
    assert len(families()) in (1, 2)
    assert len(families(tmp_path / "none")) == 1


def test_questions_are_asked_in_order_and_a_broken_guard_is_an_answer(run):
    class Guard:
        def __init__(self):
            self.asked = []

        async def ask(self, question):
            self.asked.append(question)
            if question.destination == "10.0.0.0/8":
                raise RuntimeError("secret")
            return Done()

    async def body():
        guard = Guard()
        queue = NetworkQueue(guard)
        queue.start()
        answers = []
        questions = [
            AddRoute("10.1.0.0/16", "rhp0"),
            AddRoute("10.0.0.0/8", "rhp0"),
            RemoveRoute("10.1.0.0/16", "rhp0"),
        ]
        for question in questions:
            queue.submit(question, answers.append)
        await queue.drained()
        await queue.close()
        await queue.close()
        assert guard.asked == questions
        assert answers == [Done(), Refused("the guard failed: RuntimeError"), Done()]

    run(body())


def test_who_cannot_take_an_answer_takes_no_other_along(run, caplog):
    class Guard:
        async def ask(self, question):
            return Done()

    async def body():
        queue = NetworkQueue(Guard())
        queue.start()
        answers = []
        queue.submit(AddRoute("10.1.0.0/16", "rhp0"), {}.__getitem__)
        queue.submit(AddRoute("10.2.0.0/16", "rhp0"), answers.append)
        await asyncio.wait_for(queue.drained(), 10)
        await queue.close()
        assert answers == [Done()]

    run(body())
    assert "answer not taken" in caplog.text
    assert "KeyError" in caplog.text


def test_networks_of_a_default_route():
    assert networks([ts(LOWEST, "255.255.255.255")]) == [ip_network("0.0.0.0/0")]


def test_a_stopwatch_runs_from_the_first_state_to_the_first_child():
    watch = Stopwatch()

    def state(ike_id):
        return events.StateChanged(ike_id, "office", "a", "b")

    def child(ike_id):
        return events.ChildEstablished(9, ike_id, "office", "lan", None, "tunnel", 1, 2, "x", (), ())

    assert watch.heard(state(1), 10.0) is None
    assert watch.heard(state(1), 10.2) is None
    assert watch.heard(child(1), 10.5) == 500.0
    assert watch.heard(state(1), 11.0) is None
    assert watch.heard(child(1), 12.0) is None
    assert watch.established_ms == {1: 500.0}
    watch.heard(events.IkeClosed(1, "office", None, "closed", None), 13.0)
    assert watch.established_ms == {}
    assert watch.heard(child(77), 1.0) is None
    for number in range(MOST_RUNNING * 2):
        watch.heard(state(1000 + number), 1.0)
    assert len(watch._began) == MOST_RUNNING


def test_a_peer_s_gateway_is_link_local_and_its_own():
    one, other = bytes.fromhex("021122334455"), bytes.fromhex("0211223344fe")
    assert str(pseudo_gateway(one, 4)) == "169.254.69.85"
    assert str(pseudo_gateway(one, 6)) == "fe80::11:22ff:fe33:4455"
    assert pseudo_gateway(one, 4) != pseudo_gateway(other, 4)
    # RFC 3927 keeps the first and the last 256 addresses of the range for itself.
    for octet in range(256):
        assert 1 <= pseudo_gateway(bytes((2, 0, 0, 0, octet, 0)), 4).packed[2] <= 254
