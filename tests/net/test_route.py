"""The first hop's MTU, asked of the kernel in a namespace: interfaces and routes count, and what ICMP said does not."""

from ipaddress import ip_address

import pytest

from rhp.lab.lab import Lab
from rhp.lab.topology import cable, narrow
from rhp.net.route import interface_mtu

FOUR, SIX = ip_address("192.0.2.2"), ip_address("2001:db8::2")

pytestmark = pytest.mark.netns


@pytest.fixture
def lab():
    with Lab() as made:
        yield made


def asked(host, remote):
    return host.call(lambda: interface_mtu(remote))


def test_it_is_the_interface_s(lab):
    host, _ = cable(lab)
    assert (asked(host, FOUR), asked(host, SIX)) == (1500, 1500)
    host.ip("link set eth0 mtu 1400")
    assert (asked(host, FOUR), asked(host, SIX)) == (1400, 1400)
    assert asked(host, ip_address("127.0.0.1")) == 65536


def test_a_route_may_say_less(lab):
    host, _ = cable(lab)
    host.ip("route add 192.0.2.2/32 dev eth0 mtu 1300", "route add 2001:db8::2/128 dev eth0 mtu 1290")
    assert (asked(host, FOUR), asked(host, SIX)) == (1300, 1290)


def test_a_link_local_address_is_one_of_its_interface(lab):
    host, _ = cable(lab)
    index = host.call(lambda: __import__("socket").if_nametoindex("eth0"))
    for scope in ("eth0", index):
        assert asked(host, ip_address(f"fe80::1%{scope}")) == 1500


@pytest.mark.parametrize("remote", [ip_address("203.0.113.1"), ip_address("2001:db8:9::1")])
def test_no_way_there_is_an_oserror(lab, remote):
    host, _ = cable(lab)
    with pytest.raises(OSError, match=r"."):
        asked(host, remote)


@pytest.mark.parametrize(("address", "remote"), [("192.0.2.2", FOUR), ("2001:db8::2", SIX)])
def test_what_icmp_said_does_not_count(lab, address, remote):
    network = narrow(lab)
    network.a.run(["ping", "-c", "2", "-W", "1", "-M", "do", "-s", "1440", address], check=False)
    assert "mtu 1400" in network.a.run(["ip", "route", "get", address])
    assert asked(network.a, remote) == 1500
