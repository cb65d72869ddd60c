"""The kernel's word of this machine's addresses: which count, and that changes are told, once for several."""

import asyncio
from ipaddress import ip_address

import pytest

from rhp.lab.lab import Lab
from rhp.lab.process import wait_until
from rhp.lab.topology import cable
from rhp.net import netlink
from rhp.net.monitor import FakeMonitor, NetlinkMonitor, Told, usable_addresses

A, A6, OTHER = map(ip_address, ("192.0.2.1", "2001:db8::1", "198.51.100.1"))


@pytest.fixture
def lab():
    with Lab() as made:
        yield made


@pytest.mark.netns
def test_what_counts_as_an_address(lab):
    host, far = cable(lab)
    found = lambda ignored=(): set(host.call(lambda: usable_addresses(ignored)))  # noqa: E731
    # Neither 127.0.0.1 and ::1 nor the link-local ones.
    assert found() == {A, A6}
    assert found(("eth0",)) == set()
    host.address("eth0", "198.51.100.1/32")
    host.address("lo", "203.0.113.9/32")
    assert found() == {A, A6, OTHER, ip_address("203.0.113.9")}
    # No carrier, and switched off: the kernel keeps the addresses, and nothing can be sent from them.
    far.ip("link set eth0 down")
    assert found() == {ip_address("203.0.113.9")}
    far.ip("link set eth0 up")
    wait_until(lambda: A in found(), 30, "the carrier")
    host.ip("link set eth0 down")
    assert found() == {ip_address("203.0.113.9")}


@pytest.mark.netns
def test_an_address_on_trial_does_not_count(lab):
    host, _ = cable(lab)
    host.sysctl("net.ipv6.conf.eth0.accept_dad", 1)
    host.sysctl("net.ipv6.conf.eth0.dad_transmits", 60)
    host.address("eth0", "2001:db8::77/64")
    on_trial = ip_address("2001:db8::77")
    assert on_trial not in host.call(usable_addresses)
    host.ip("address del 2001:db8::77/64 dev eth0", "address add 2001:db8::77/64 dev eth0 nodad")
    assert on_trial in host.call(usable_addresses)
    host.ip("address change 2001:db8::77/64 dev eth0 preferred_lft 0")
    assert on_trial not in host.call(usable_addresses)


@pytest.mark.netns
def test_a_change_is_told_once_for_several(lab):
    host, _ = cable(lab)
    told = []

    async def listen():
        monitor = NetlinkMonitor(("rhp0",))
        try:
            assert set(monitor.addresses()) == {A, A6}
            monitor.listen(asyncio.get_running_loop(), lambda *news: told.append(news))
            host.ip("address del 192.0.2.1/24 dev eth0", "address add 198.51.100.1/32 dev eth0")
            for _ in range(200):
                await asyncio.sleep(0.02)
                if told:
                    break
        finally:
            monitor.close()
            monitor.close()

    host.call(lambda: asyncio.run(listen()))
    ((addresses, kinds),) = told
    assert set(addresses) == {A6, OTHER} and Told.ADDRESSES in kinds


@pytest.mark.netns
def test_what_a_change_was_about_is_told(lab):
    host, _ = cable(lab)
    told = []

    async def heard(*commands):
        for command in commands:
            host.run(["ip", *command.split()])
        before = len(told)
        for _ in range(100):
            await asyncio.sleep(0.02)
            if len(told) > before:
                return told[-1]
        return None

    async def listen():
        monitor = NetlinkMonitor(("rhp0",))
        try:
            monitor.listen(asyncio.get_running_loop(), lambda *news: told.append(news))
            _, kinds = await heard("route add 203.0.113.0/24 dev eth0", "route del 203.0.113.0/24 dev eth0")
            assert kinds == Told.ROUTES
            for version in ("", "-6 "):
                _, kinds = await heard(f"{version}rule add priority 5209 table 5210")
                assert Told.RULES in kinds and Told.RULES_GONE not in kinds
                _, kinds = await heard(f"{version}rule del priority 5209")
                assert Told.RULES_GONE in kinds
            # Gone and back before anybody looked.
            addresses, kinds = await heard("address del 192.0.2.1/24 dev eth0", "address add 192.0.2.1/24 dev eth0")
            assert set(addresses) == {A, A6} and Told.ADDRESSES in kinds
        finally:
            monitor.close()

    host.call(lambda: asyncio.run(listen()))


@pytest.mark.netns
def test_addresses_are_read_again_when_they_changed_and_not_for_routes(lab, monkeypatch):
    host, _ = cable(lab)
    dumps = []
    dump = netlink.dump
    monkeypatch.setattr(netlink, "dump", lambda kind, body: (dumps.append(kind), dump(kind, body))[1])

    def story():
        monitor = NetlinkMonitor(("eth0",))
        assert set(monitor.everywhere()) == {A, A6} and monitor.addresses() == ()
        first = len(dumps)
        host.ip("route add 203.0.113.0/24 dev eth0", "route del 203.0.113.0/24 dev eth0")
        assert set(monitor.everywhere()) == {A, A6} and monitor.addresses() == ()
        assert len(dumps) == first
        # No loop runs here: what waits at the socket is looked at with every question.
        host.address("eth0", "198.51.100.1/32")
        assert set(monitor.everywhere()) == {A, A6, OTHER}
        host.ip("address del 198.51.100.1/32 dev eth0", "route add 203.0.113.0/24 dev eth0")
        assert set(monitor.everywhere()) == {A, A6}
        assert len(dumps) == 3 * first
        # More at once than are read in a turn, and more than the socket holds.
        for count in (100, 3000):
            host.ip(*(f"route add 203.0.113.{n % 256}/32 dev eth0 metric {n + 1}" for n in range(count)))
            host.address("eth0", "198.51.100.1/32")
            assert OTHER in monitor.everywhere()
            host.ip("address del 198.51.100.1/32 dev eth0")
            assert OTHER not in monitor.everywhere()
            host.ip(*(f"route del 203.0.113.{n % 256}/32 dev eth0 metric {n + 1}" for n in range(count)))
        monitor.close()
        assert set(monitor.everywhere()) == {A, A6}

    host.call(story)


def test_the_fake_tells_the_same_way():
    told = []
    fake = FakeMonitor(A)
    fake.listen(None, lambda *news: told.append(news))
    fake.change(A6, OTHER)
    assert fake.addresses() == (A6, OTHER) and told == [((A6, OTHER), Told.ADDRESSES)]
    fake.close()
    fake.change(A)
    assert len(told) == 1 and fake.closed
