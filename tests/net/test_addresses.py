"""This machine's addresses, and which one leads where."""

from ipaddress import ip_address

import pytest

from rhp.net.addresses import local_addresses, source_address
from rhp.net.link import link_mac, link_mtu, link_up

FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.9.0.0/24 2 0 2
        |-- 10.9.0.0
           /24 link UNICAST
        |-- 10.9.0.1
           /32 host LOCAL
        |-- 10.9.0.255
           /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
"""
IF_INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
fd000000000000000000000000000001 02 40 00 80     rhp0
"""


def test_addresses_are_read_from_proc(tmp_path):
    (tmp_path / "trie").write_text(FIB_TRIE)
    (tmp_path / "six").write_text(IF_INET6)
    found = local_addresses(tmp_path / "trie", tmp_path / "six")
    assert found == {ip_address(text) for text in ("10.9.0.1", "127.0.0.1", "::1", "fd00::1")}


def test_without_proc_there_are_none(tmp_path):
    assert local_addresses(tmp_path / "no", tmp_path / "nothing") == frozenset()


def test_this_machine_has_a_loopback():
    assert ip_address("127.0.0.1") in local_addresses()
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
