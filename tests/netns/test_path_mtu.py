"""A link in the middle of the path that carries less than either end: nothing is lost, and both ends soon fit it.

a ---1500--- router ---1400--- router ---1500--- b
"""

import socket
from contextlib import suppress

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.packet import Raw

from rhp.lab.pair import CONNECTION, TAP, PairOptions, start_pair
from rhp.lab.ping import ping
from rhp.lab.process import wait_until
from rhp.lab.topology import cable, narrow
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.netns

MIDDLE = 1400
# What is left of 1400 and of 1500 octets for the inner packet, by outer IP version and encapsulation.
INNER = {(4, "udp"): (1322, 1422), (6, "udp"): (1302, 1402), (4, "auto"): (1330, 1430)}
MEGABYTE = 1 << 20


def started(lab, version=4, encapsulation="udp", silent=False, **tables):
    network = narrow(lab, mtu=MIDDLE)
    if silent:
        network.silence()
    options = PairOptions(version=version, connection={"encapsulation": encapsulation}, more=tables)
    pair = start_pair(lab, (network.a, network.b), options)
    pair.wait_established()
    return network, pair


def child(node):
    return node.connection(CONNECTION)["children"][0]


def wait_path(node, mtu, seconds=30.0):
    wait_until(lambda: child(node)["path_mtu"] == mtu, seconds, f"a path MTU of {mtu}: {child(node)}")


def counters(node):
    return node.status()["counters"]["dataplane"]


def datagrams(pair, size, count=20):
    """How many UDP datagrams of so many octets arrive unchanged."""
    with (
        pair.b.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        pair.a.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.bind((pair.inner[1], 0))
        server.settimeout(5)
        arrived = 0
        for number in range(count):
            sent = number.to_bytes(2, "big") * (size // 2)
            client.sendto(sent, server.getsockname())
            with suppress(TimeoutError):
                arrived += server.recv(65535) == sent
        return arrived


def transfers(pair, size=4 * MEGABYTE):
    a, b = pair.a.namespace, pair.b.namespace
    return [Transfer(a, b, pair.inner[1]).run(size), Transfer(b, a, pair.inner[0]).run(size)]


@pytest.mark.parametrize(("version", "encapsulation"), INNER)
def test_both_ends_find_out_and_fit(lab, version, encapsulation):
    _, pair = started(lab, version, encapsulation)
    fits, _ = INNER[version, encapsulation]
    for node in (pair.a, pair.b):
        wait_path(node, MIDDLE)
        shown = child(node)
        assert (shown["mtu"], shown["path_mtu_from"]) == (fits, "icmp")
        wait_until(lambda node=node: node.status()["interface"]["mtu"] == fits, 30, "the interface to follow")
        node.process.wait_for("path mtu changed connection=cable", 30)
    before = counters(pair.a)["frames-oversized"]
    assert transfers(pair) == [True, True]
    for size in (100, 1272, 1400, 8000):
        assert datagrams(pair, size) == 20
    assert counters(pair.a)["frames-oversized"] == before
    assert ping(pair.a.namespace, pair.inner[1], count=3).received == 3


@pytest.mark.parametrize("silent", [False, True], ids=["told", "filtered"])
def test_over_ipv4_nothing_is_lost_before_anybody_knows(lab, silent):
    """Routers fragment in the middle, also where their ICMP never arrives."""
    network, pair = started(lab, silent=silent)
    assert transfers(pair, MEGABYTE) == [True, True]
    for size in (1300, 1394, 8000):
        assert datagrams(pair, size) == 20
    if silent:
        fragmented = network.routers[0].run(["nstat", "-asz", "IpFragOKs"])
        assert int(fragmented.split("IpFragOKs")[1].split()[0]) > 500


def test_over_ipv6_silence_is_noticed_and_the_width_found(lab):
    """No router fragments and none is heard: at first long packets vanish, then both ends find out what passes."""
    _, pair = started(lab, 6, silent=True)
    for node in (pair.a, pair.b):
        wait_until(lambda node=node: child(node)["path_mtu_from"] == "silence", 30, "the silence to be noticed")
    assert child(pair.a)["path_mtu"] == 1280
    assert transfers(pair, MEGABYTE) == [True, True]
    assert datagrams(pair, 8000) == 20
    for node in (pair.a, pair.b):
        wait_until(lambda node=node: child(node)["path_mtu_from"] == "peer", 60, "the width to be found")
        assert MIDDLE - 8 <= child(node)["path_mtu"] <= MIDDLE
    assert transfers(pair) == [True, True]
    assert datagrams(pair, 8000) == 20


def test_over_ipv6_a_configured_path_needs_no_icmp(lab):
    _, pair = started(lab, 6, silent=True, node={"path_mtu": MIDDLE})
    shown = child(pair.a)
    assert (shown["mtu"], shown["path_mtu"], shown["path_mtu_from"]) == (1302, MIDDLE, "configuration")
    assert transfers(pair) == [True, True]
    assert datagrams(pair, 8000) == 20


def test_a_path_that_narrows_again_is_followed(lab):
    network, pair = started(lab)
    for node in (pair.a, pair.b):
        wait_path(node, MIDDLE)
    network.set_mtu(1340)
    assert transfers(pair) == [True, True]
    assert datagrams(pair, 8000) == 20


def test_a_frame_that_is_too_long_is_answered_where_that_is_configured(lab):
    """What a bridge would hand over: the host's own interface is wider than the path."""
    network = narrow(lab, mtu=MIDDLE)
    pair = start_pair(
        lab, (network.a, network.b), PairOptions(interface={"mtu": 1500}, more={"hub": {"oversize": "answer"}})
    )
    pair.wait_established()
    wait_path(pair.a, MIDDLE)
    a = pair.a.namespace
    said = a.run(["ping", "-c", "3", "-i", "0.2", "-W", "1", "-M", "do", "-s", "1400", pair.inner[1]], check=False)
    assert "mtu = 1322" in said or "mtu=1322" in said
    assert "mtu 1322" in a.run(["ip", "route", "get", pair.inner[1]])
    said = a.run(
        ["ping", "-6", "-c", "3", "-i", "0.2", "-W", "1", "-M", "do", "-s", "1400", pair.inner6[1]], check=False
    )
    assert "1322" in said
    counted = counters(pair.a)
    assert counted["too-big-answered"] >= 2
    assert counted["drop-too-big"] == counted["too-big-answered"]
    # Who does not ask (no DF) is carried all the same; and whoever heard the answer makes his packets fit.
    assert ping(a, pair.inner[1], count=3).received == 3
    assert datagrams(pair, 4000) == 20
    assert transfers(pair) == [True, True]


def test_in_a_bridge_the_interface_stays_as_wide_as_the_bridge(lab):
    network = narrow(lab, mtu=MIDDLE)
    for host, number in ((network.a, 1), (network.b, 2)):
        host.ip("link add br0 type bridge forward_delay 0", "link set br0 up")
        host.address("br0", f"10.88.0.{number}/24")
    interface = {"bridge": "br0", "addresses": []}
    pair = start_pair(lab, (network.a, network.b), PairOptions(interface=interface))
    pair.wait_established()
    wait_path(pair.a, MIDDLE)
    wait_path(pair.b, MIDDLE)
    for node in (pair.a, pair.b):
        assert node.status()["interface"]["mtu"] == 1500
        assert " mtu 1500 " in node.namespace.run(["ip", "link", "show", "br0"])
        assert TAP in node.namespace.run(["ip", "link", "show", "master", "br0"])
    a, b = network.a, network.b
    assert Transfer(a, b, "10.88.0.2").run(4 * MEGABYTE)
    assert a.run(["ping", "-c", "5", "-i", "0.1", "-W", "1", "-M", "do", "-s", "1472", "10.88.0.2"]).count("ttl=") == 5
    counted = counters(pair.a)
    # TCP's segments were made to fit; the long echoes went in fragments, and nothing was dropped for its length.
    assert counted["frames-oversized"] == 5
    assert counted["drop-too-big"] == counted["drop-send-too-big"] == 0


@pytest.mark.parametrize(("version", "encapsulation"), INNER)
def test_trains_that_do_not_fit_go_in_fragments(lab, version, encapsulation):
    """A host that clamps nothing behind an interface that is too wide: the kernel refuses such trains as a whole."""
    options = PairOptions(
        version=version,
        interface={"mtu": 1500},
        connection={"encapsulation": encapsulation},
        more={"hub": {"mss_clamp": False}},
    )
    pair = start_pair(lab, cable(lab), options)
    pair.wait_established()
    assert transfers(pair) == [True, True]
    counted = counters(pair.a)
    assert counted["frames-oversized"] > 50
    assert counted["drop-send-too-big"] == counted["drop-too-big"] == 0
    fragmented = pair.a.namespace.run(["nstat", "-asz", "IpFragCreates", "Ip6FragCreates"])
    assert sum(int(line.split()[1]) for line in fragmented.splitlines()[1:]) > 5000


def test_a_forged_word_changes_nothing_over_ipv4(lab):
    """Addresses and ports are right, as anybody can guess them, and the SPI is not: nobody believes it."""
    pair = start_pair(lab, cable(lab))
    pair.wait_established()
    quoted = IP(src="192.0.2.1", dst="192.0.2.2", len=1500) / UDP(sport=4500, dport=4500) / Raw(b"\x01\x02\x03\x04" * 8)
    forged = bytes(ICMP(type=3, code=4, nexthopmtu=600) / quoted)
    with pair.b.namespace.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as stranger:
        for _ in range(3):
            stranger.sendto(forged, ("192.0.2.1", 0))
    wait_until(lambda: pair.a.status()["counters"]["node"].get("icmp-unproven") == 3, 30, "the forgeries to be heard")
    assert "mtu" not in pair.a.namespace.run(["ip", "route", "get", "192.0.2.2"])
    assert (child(pair.a)["path_mtu"], child(pair.a)["path_mtu_from"]) == (1500, "interface")
    assert transfers(pair) == [True, True]
    assert pair.a.namespace.run(["nstat", "-asz", "IpFragCreates"]).split("IpFragCreates")[1].split()[0] == "0"


def test_a_forged_word_costs_fragments_over_ipv6(lab):
    """The kernel believes it, if it says at least 1280, and fragments; we do not, and nothing is lost."""
    pair = start_pair(lab, cable(lab), PairOptions(version=6))
    pair.wait_established()
    quoted = IPv6(src="2001:db8::1", dst="2001:db8::2", plen=1460) / UDP(sport=4500, dport=4500) / Raw(b"\x01\x02" * 16)
    forged = bytes(ICMPv6PacketTooBig(mtu=1300) / quoted)
    with pair.b.namespace.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as stranger:
        for _ in range(3):
            stranger.sendto(forged, ("2001:db8::1", 0))
    wait_until(lambda: pair.a.status()["counters"]["node"].get("icmp-unproven") == 3, 30, "the forgeries to be heard")
    assert "mtu 1300" in pair.a.namespace.run(["ip", "route", "get", "2001:db8::2"])
    assert (child(pair.a)["path_mtu"], child(pair.a)["path_mtu_from"]) == (1500, "interface")
    assert transfers(pair) == [True, True]
    assert counters(pair.a)["drop-send-too-big"] == 0
