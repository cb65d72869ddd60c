"""Which of this machine's addresses leads where, and what a link tells."""

from ipaddress import ip_address

import pytest

from rhp.net.addresses import source_address
from rhp.net.link import link_mac, link_mtu, link_up


def test_the_routing_table_names_the_source():
    assert source_address(ip_address("127.0.0.5")) == ip_address("127.0.0.1")


def test_a_link_tells_its_address_and_mtu():
    assert link_mac("lo") == bytes(6)
    assert link_mtu("lo") == 65536
    assert isinstance(link_up("lo"), bool)
    with pytest.raises(OSError, match="No such device"):
        link_mac("no-such-link")
    with pytest.raises(OSError, match="No such device"):
        link_mtu("no-such-link")
    with pytest.raises(OSError, match="No such device"):
        link_up("no-such-link")
