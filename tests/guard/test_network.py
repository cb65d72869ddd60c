"""Network administration in a namespace of its own: what changes, what is refused, and that all of it is taken back."""

import errno
import fcntl
import os
import re
import select
import socket
import struct
import subprocess
from dataclasses import replace

import pytest

from rhp.guard import network, routes, taps
from rhp.guard.brief import Brief, Identities, Revision, Shares
from rhp.guard.local import LocalGuard
from rhp.guard.nftables import NftError
from rhp.guard.policy import FirewallPolicy, GuardPolicy
from rhp.guard.protocol import (
    AddAddress,
    AddRoute,
    AddTapQueue,
    AdoptConfiguration,
    ConfigureLink,
    Descriptors,
    Done,
    OpenIcmp,
    OpenRawEsp,
    OpenTap,
    OpenUdp,
    ReadConfiguration,
    Refused,
    ReleaseAll,
    RemoveRoute,
)

pytestmark = pytest.mark.netns


def ip(*arguments):
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


def ruleset():
    shown = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True).stdout
    return re.sub(r"\s+", " ", shown)


@pytest.fixture
def guard(own_network):
    ip("link", "set", "lo", "up")
    return LocalGuard(GuardPolicy(interfaces=("rhpt0", "dummy0"), bridges=("br0",), assigned=True))


@pytest.fixture
def tap(guard, ask):
    answer = ask(guard, OpenTap("rhpt0", 2))
    assert isinstance(answer, Descriptors)
    assert answer.offloads == 0
    return answer.fds


def test_a_tap_is_configured_and_taken_back(guard, ask, tap):
    ip("link", "add", "br0", "type", "bridge")
    mac = bytes.fromhex("020000000001")
    question = ConfigureLink("rhpt0", 1400, True, mac, ("10.77.0.1/24", "fd00:77::1/64"), "br0")
    assert ask(guard, question) == Done()
    shown = ip("address", "show", "rhpt0")
    for word in ("mtu 1400", "02:00:00:00:00:01", "10.77.0.1/24", "fd00:77::1/64", "master br0", "UP"):
        assert word in shown
    assert ask(guard, AddRoute("10.78.0.0/16", "rhpt0", "10.77.0.1", "10.77.0.2")) == Done()
    assert "10.78.0.0/16 via 10.77.0.2 dev rhpt0" in ip("route")
    assert ask(guard, ReleaseAll()) == Done()
    assert "rhpt0" not in ip("link")
    assert "10.78" not in ip("route")
    assert "br0" in ip("link")


def test_configuring_twice_changes_what_is_given(guard, ask, tap):
    assert ask(guard, ConfigureLink("rhpt0", 1400, addresses=("10.77.0.1/24",))) == Done()
    assert ask(guard, ConfigureLink("rhpt0", 1300, addresses=("10.77.0.1/24",))) == Done()
    shown = ip("address", "show", "rhpt0")
    assert "mtu 1300" in shown
    assert shown.count("10.77.0.1") == 1


def test_the_offloads_in_use_are_told(guard, ask):
    answer = ask(guard, OpenTap("rhpt0", 2, offload=True))
    assert isinstance(answer, Descriptors)
    assert answer.offloads == taps.STEPS[0]
    assert len(answer.fds) == 2


@pytest.mark.parametrize("offload", [True, False])
def test_one_more_queue_of_a_tap(guard, ask, offload):
    before = ask(guard, OpenTap("rhpt0", 1, offload=offload))
    answer = ask(guard, AddTapQueue("rhpt0"))
    assert isinstance(answer, Descriptors)
    assert answer.offloads == before.offloads
    (fd,) = answer.fds
    assert fd not in before.fds
    assert not os.get_blocking(fd)
    # TUNGETIFF: the flags of this queue's interface.
    name, flags = struct.unpack("16sH22x", fcntl.ioctl(fd, 0x800454D2, bytes(40)))
    assert name.rstrip(b"\0") == b"rhpt0"
    assert bool(flags & 0x4000) == offload


def test_no_queue_of_what_is_not_there(guard, ask):
    assert ask(guard, AddTapQueue("rhpt0")) == Refused("the interface rhpt0 was not made here")
    assert ask(guard, AddTapQueue("lo")) == Refused("the interface lo is not in the configuration")


def test_no_queue_of_a_tap_that_has_vanished(guard, ask, tap):
    ip("link", "del", "rhpt0")
    assert isinstance(ask(guard, AddTapQueue("rhpt0")), Refused)
    assert "rhpt0" not in ip("link")


def test_a_tap_has_as_many_queues_as_there_may_be_lanes(guard, ask):
    guard = LocalGuard(GuardPolicy(interfaces=("rhpt0",), lanes=3))
    ask(guard, OpenTap("rhpt0", 2))
    assert isinstance(ask(guard, AddTapQueue("rhpt0")), Descriptors)
    assert ask(guard, AddTapQueue("rhpt0")) == Refused("the interface rhpt0 has a queue for each lane already")
    # One that was made again is another one.
    ip("link", "del", "rhpt0")
    ask(guard, OpenTap("rhpt0", 2))
    assert isinstance(ask(guard, AddTapQueue("rhpt0")), Descriptors)


def test_what_is_held_for_a_node_has_a_bound(guard, ask, tap, monkeypatch):
    """Each route takes a moment to be taken back, and the service has a minute to end in."""
    monkeypatch.setattr(network, "MOST_CHANGES", 4)
    ask(guard, ConfigureLink("rhpt0", addresses=("10.77.0.1/24",)))
    answers = [ask(guard, AddRoute(f"10.79.{number}.0/24", "rhpt0")) for number in range(4)]
    too_many = Refused("there are more routes and addresses of this node than any node has")
    assert answers == [Done(), Done(), too_many, too_many]
    # Not how many there ever were: tunnels come and go.
    assert ask(guard, RemoveRoute("10.79.0.0/24", "rhpt0")) == Done()
    assert ask(guard, AddRoute("10.79.9.0/24", "rhpt0")) == Done()


def test_an_interface_that_is_made_again_holds_no_more_than_before(guard, ask, tap):
    """Its routes and addresses went with it, and are set again each time."""
    held = set()
    for _ in range(3):
        ask(guard, ConfigureLink("rhpt0", addresses=("10.77.0.1/24",)))
        assert ask(guard, AddAddress("rhpt0", "10.77.9.1/32")) == Done()
        assert ask(guard, AddRoute("10.79.0.0/24", "rhpt0")) == Done()
        held.add(len(guard._network._undo))
        ip("link", "del", "rhpt0")
        assert isinstance(ask(guard, OpenTap("rhpt0", 1)), Descriptors)
    assert held == {4}
    assert ask(guard, ReleaseAll()) == Done()


@pytest.mark.parametrize("question", [OpenUdp("127.0.0.1", 0), OpenUdp("::1", 0, True), OpenRawEsp(4), OpenIcmp(6)])
def test_sockets_are_counted(guard, ask, monkeypatch, question):
    monkeypatch.setattr(network, "MOST_SOCKETS", 2)
    assert isinstance(ask(guard, OpenRawEsp(5)), Refused)
    for _ in range(2):
        assert isinstance(ask(guard, question), Descriptors)
    assert ask(guard, question) == Refused("this node has had more sockets than any node has")


def test_queue_and_super_frames_have_a_length(guard, ask, tap):
    assert ask(guard, ConfigureLink("rhpt0", queue_length=500, segments=44)) == Done()
    shown = ip("-d", "link", "show", "rhpt0")
    assert "qlen 500" in shown
    assert "gso_max_segs 44" in shown


def test_a_link_may_stay_down(guard, ask, tap):
    assert ask(guard, ConfigureLink("rhpt0", up=False)) == Done()
    assert "state DOWN" in ip("link", "show", "rhpt0")


def test_an_interface_that_was_there_is_left_alone(guard, ask):
    ip("link", "add", "dummy0", "type", "veth", "peer", "name", "dummy1")
    before = ip("address", "show", "dummy0")
    answer = ask(guard, ConfigureLink("dummy0", 1400, addresses=("10.81.0.1/24",)))
    assert answer == Refused("the interface dummy0 was not made here")
    assert ip("address", "show", "dummy0") == before


def test_what_was_taken_back_is_not_set_up_again(guard, ask, tap):
    """Where a service manager keeps the interface it is still there, without the firewall that it had."""
    assert ask(guard, ReleaseAll()) == Done()
    ip("link", "add", "rhpt0", "type", "veth", "peer", "name", "other0")
    assert ask(guard, ConfigureLink("rhpt0")) == Refused("the interface rhpt0 was not made here")
    assert ask(guard, AddTapQueue("rhpt0")) == Refused("the interface rhpt0 was not made here")
    assert "state DOWN" in ip("link", "show", "rhpt0")


def test_an_interface_that_a_reload_brings_is_kept_apart_too(own_network, ask, tmp_path):
    policy = GuardPolicy(interfaces=("rhpt0",), firewall=FirewallPolicy(isolate=True), state_dir=str(tmp_path))
    guard = LocalGuard(policy)
    assert isinstance(ask(guard, OpenTap("rhpt0", 1)), Descriptors)
    assert 'iifname "rhpt0" oifname "rhpt0" drop' in ruleset()
    guard._network.policy = replace(policy, interfaces=("rhpt0", "rhpt1"), bridges=("br0",))
    assert isinstance(ask(guard, OpenTap("rhpt1", 1)), Descriptors)
    names = '{ "br0", "rhpt0", "rhpt1" }'
    assert f"iifname {names} oifname {names} drop" in ruleset()
    assert ask(guard, ReleaseAll()) == Done()
    assert ruleset() == ""


def test_a_reload_puts_back_a_firewall_that_was_flushed(own_network, ask, tmp_path, monkeypatch):
    policy = GuardPolicy(interfaces=("rhpt0",), firewall=FirewallPolicy(isolate=True), state_dir=str(tmp_path))
    brief = Brief("/etc/rhp/rhp.toml", policy, Identities(), "/run/rhp", str(tmp_path), "info", (), "", 500)
    shares = Shares(brief, Revision(b"", (), ()))

    async def read():
        return shares

    guard = LocalGuard(policy, read, shares)
    assert guard.keep_guarded() is None
    assert isinstance(ask(guard, OpenTap("rhpt0", 1)), Descriptors)
    before = ruleset()
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    # Where it cannot be put back nothing is adopted.
    with monkeypatch.context() as patched:
        patched.setattr("rhp.guard.nftables.run", _refuse)
        assert "the table has been removed, and the firewall of" in guard.keep_guarded()
        found = ask(guard, ReadConfiguration(1))
        assert "cannot be set: no memory" in ask(guard, AdoptConfiguration(found.generation)).reason
    assert ask(guard, AdoptConfiguration(found.generation)) == Done()
    assert ruleset() == before
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    assert guard.keep_guarded() == "the table had been removed, and stands again"
    assert ruleset() == before
    assert guard.keep_guarded() is None
    assert ask(guard, ReleaseAll()) == Done()
    assert guard.keep_guarded() is None


def _refuse(commands, dry=False):
    raise NftError("no memory")


def test_routes_come_and_go(guard, ask, tap):
    ask(guard, ConfigureLink("rhpt0", addresses=("10.77.0.1/24", "fd00:77::1/64")))
    four, six = AddRoute("10.79.0.0/24", "rhpt0", "10.77.0.1"), AddRoute("fd01::/64", "rhpt0", None, "fd00:77::2")
    assert ask(guard, four) == ask(guard, six) == Done()
    assert "10.79.0.0/24 dev rhpt0" in ip("route")
    assert "fd01::/64 via fd00:77::2" in ip("-6", "route")
    # Who cannot know whether it is still there may ask again; another one to the same destination is refused.
    assert ask(guard, four) == ask(guard, six) == Done()
    other = replace(four, source=None)
    assert ask(guard, other) == Refused("the route to 10.79.0.0/24 cannot be added: File exists")
    assert ask(guard, RemoveRoute("10.79.0.0/24", "rhpt0", "10.77.0.1")) == Done()
    assert "10.79" not in ip("route")
    again = ask(guard, RemoveRoute("10.79.0.0/24", "rhpt0", "10.77.0.1"))
    assert again == Refused("the route to 10.79.0.0/24 was not made by this node")
    assert ask(guard, ReleaseAll()) == Done()
    assert "fd01::" not in ip("-6", "route")


def test_what_an_address_took_with_it_is_added_again(guard, ask, tap):
    """The kernel takes IPv4 routes with the address that they are sourced from, and from IPv6 ones the source."""
    ip("link", "add", "lan", "type", "bridge")
    ip("link", "set", "lan", "up")
    ask(guard, ConfigureLink("rhpt0", up=True))
    four, six = AddRoute("10.79.0.0/24", "rhpt0", "10.78.0.1"), AddRoute("fd01::/64", "rhpt0", "fd78::1")
    lan = [("10.78.0.1/24", "10.79.0.0/24"), ("fd78::1/64", "fd01::/64")]
    for address, _ in lan:
        ip("address", "add", address, "dev", "lan", "nodad")
    assert ask(guard, four) == ask(guard, six) == Done()
    for address, _ in lan:
        ip("address", "del", address, "dev", "lan")
    assert ip("route", "show", "10.79.0.0/24") == ""
    assert "src" not in ip("-6", "route", "show", "fd01::/64")
    assert isinstance(ask(guard, four), Refused) and isinstance(ask(guard, six), Refused)
    for address, _ in lan:
        ip("address", "add", address, "dev", "lan", "nodad")
    for _ in range(2):
        assert ask(guard, four) == ask(guard, six) == Done()
        assert "src 10.78.0.1" in ip("route", "show", "10.79.0.0/24")
        assert "src fd78::1" in ip("-6", "route", "show", "fd01::/64")
        assert len(ip("-6", "route", "show", "fd01::/64").splitlines()) == 1
    assert ask(guard, ReleaseAll()) == Done()
    assert "10.79" not in ip("route") and "fd01" not in ip("-6", "route")


def test_a_route_is_said_to_be_set_by_hand_and_leads_everywhere(guard, ask, tap):
    ask(guard, ConfigureLink("rhpt0", up=True, addresses=("10.77.0.1/24", "fd00:77::1/64")))
    questions = [AddRoute("0.0.0.0/0", "rhpt0", "10.77.0.1"), AddRoute("10.79.0.9/32", "rhpt0", None, "10.77.0.2")]
    questions += [AddRoute("::/0", "rhpt0", None, "fd00:77::2"), AddRoute("fd01::9/128", "rhpt0")]
    for question in questions:
        assert ask(guard, question) == Done()
    four, six = ip("-d", "route"), ip("-d", "-6", "route")
    assert "unicast default dev rhpt0 proto static scope global src 10.77.0.1" in four
    assert "unicast 10.79.0.9 via 10.77.0.2 dev rhpt0 proto static scope global" in four
    assert "unicast default via fd00:77::2 dev rhpt0 proto static scope global" in six
    assert "unicast fd01::9 dev rhpt0 proto static scope global" in six
    for question in questions:
        removal = RemoveRoute(question.destination, question.interface, question.source, question.gateway)
        assert ask(guard, removal) == Done()
    assert "static" not in ip("-d", "route") + ip("-d", "-6", "route")


def test_a_route_that_somebody_else_removed_is_no_trouble(guard, ask, tap):
    ask(guard, ConfigureLink("rhpt0", addresses=("10.77.0.1/24",)))
    ask(guard, AddRoute("10.79.0.0/24", "rhpt0"))
    ask(guard, AddRoute("10.80.0.0/24", "rhpt0"))
    ip("route", "del", "10.79.0.0/24")
    ip("route", "del", "10.80.0.0/24")
    assert ask(guard, RemoveRoute("10.79.0.0/24", "rhpt0")) == Done()
    assert ask(guard, ReleaseAll()) == Done()


@pytest.mark.parametrize(
    "removal",
    [
        RemoveRoute("10.79.0.0/24", "br0", None, "10.78.0.2"),
        RemoveRoute("10.79.0.0/24", "br0", "None", "10.78.0.2"),
        RemoveRoute("10.79.0.0/24", "br0", None, "10.78.0.2 "),
    ],
)
def test_no_removal_makes_a_route_outlive_the_guard(guard, ask, removal, monkeypatch):
    """Whatever the node calls it, and whatever the kernel says to its removal: the bridge is there after us."""
    ip("link", "add", "br0", "type", "bridge")
    ip("address", "add", "10.78.0.1/24", "dev", "br0")
    ip("link", "set", "br0", "up")
    assert ask(guard, AddRoute("10.79.0.0/24", "br0", None, "10.78.0.2")) == Done()

    def refuse(question, index):
        raise OSError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patched:
        patched.setattr(routes, "delete", refuse)
        assert isinstance(ask(guard, removal), Refused)
    assert "10.79.0.0/24 via 10.78.0.2" in ip("route")
    assert ask(guard, ReleaseAll()) == Done()
    assert "10.79" not in ip("route")


def test_release_after_the_interface_vanished(guard, ask, tap):
    ask(guard, ConfigureLink("rhpt0", addresses=("10.77.0.1/24",)))
    ask(guard, AddRoute("10.79.0.0/24", "rhpt0"))
    ip("link", "del", "rhpt0")
    assert ask(guard, ReleaseAll()) == Done()
    assert ask(guard, ReleaseAll()) == Done()


def test_after_release_one_may_begin_again(guard, ask, tap):
    assert ask(guard, ReleaseAll()) == Done()
    assert isinstance(ask(guard, OpenTap("rhpt0", 1)), Descriptors)


@pytest.mark.parametrize(
    ("question", "word"),
    [
        (OpenTap("other", 1), "the interface other is not in the configuration"),
        (OpenTap("lo", 1), "the interface lo is not in the configuration"),
        (ConfigureLink("lo", 1400), "the interface lo is not in the configuration"),
        (ConfigureLink("rhpt0", bridge="br9"), "joining the bridge br9 is not in the configuration"),
        (
            ConfigureLink("rhpt0", bridge="br0"),
            "there is no bridge br0: make it first, with ip link add br0 type bridge",
        ),
        (ConfigureLink("dummy0", 1400), "the interface dummy0 was not made here"),
        (ConfigureLink("rhpt0", mtu=20), "rhpt0: mtu 20 cannot be set: Invalid argument"),
        (ConfigureLink("rhpt0", addresses=("10.0.0.300/24",)), "10.0.0.300"),
        (AddRoute("10.79.0.0/24", "lo"), "the interface lo is not in the configuration"),
        (AddRoute("10.79.0.1/24", "rhpt0"), "host bits"),
        (AddRoute("10.79.0.0/24", "dummy0"), "there is no interface dummy0"),
        (AddRoute("10.79.0.0/24", "rhpt0", None, "10.99.0.1"), "cannot be added"),
        (OpenRawEsp(5), "5 is not an address family"),
        (OpenIcmp(5), "5 is not an address family"),
        (OpenUdp("192.0.2.1", 500), "192.0.2.1 is not an address of this machine"),
        (OpenUdp("nonsense", 500), "nonsense"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_refused_is_refused_with_a_sentence(guard, ask, tap, question, word):
    answer = ask(guard, question)
    assert isinstance(answer, Refused)
    assert word in answer.reason
    assert "\n" not in answer.reason


def test_an_interface_that_is_no_bridge_is_named_as_such(guard, ask, tap):
    ip("link", "add", "br0", "type", "veth", "peer", "name", "other0")
    answer = ask(guard, ConfigureLink("rhpt0", bridge="br0"))
    assert answer == Refused("br0 is no bridge: write the name of one that is there")


def test_a_second_node_does_not_join_the_ports_of_the_first(guard, ask):
    second = LocalGuard(GuardPolicy())
    for address in ("0.0.0.0", "::"):  # noqa: S104
        for _ in range(3):
            assert isinstance(ask(guard, OpenUdp(address, 4500, True)), Descriptors)
        answer = ask(second, OpenUdp(address, 4500, True))
        assert answer == Refused(f"UDP port 4500 on {address} is in use already: is another IKE daemon running?")


def test_a_second_node_does_not_join_the_tap_of_the_first(guard, ask, tap):
    second = LocalGuard(GuardPolicy(interfaces=("rhpt0",)))
    answer = ask(second, OpenTap("rhpt0", 1))
    assert isinstance(answer, Refused)
    assert answer.reason.startswith("the interface rhpt0 exists already: is another node running?")
    assert "interface.name" in answer.reason
    assert ask(second, ReleaseAll()) == Done()
    assert socket.if_nametoindex("rhpt0")


def test_raw_sockets_are_handed_out(guard, ask):
    for question in (OpenRawEsp(4), OpenRawEsp(6), OpenIcmp(4), OpenIcmp(6)):
        answer = ask(guard, question)
        assert isinstance(answer, Descriptors)
        assert len(answer.fds) == 1
        assert not os.get_blocking(answer.fds[0])


def test_without_root_the_sentence_says_so(guard, ask, tap, as_nobody):
    import asyncio

    import pyroute2  # noqa: F401  # Imported before root is given up: the child may not read the library.

    def attempts():
        questions = (ConfigureLink("rhpt0", 1400), AddRoute("10.79.0.0/24", "rhpt0"), OpenTap("dummy0", 1))
        return [asyncio.run(guard.ask(question)) for question in questions]

    answers = as_nobody(attempts)
    assert [type(answer) for answer in answers] == [Refused] * 3
    assert all("root (CAP_NET_ADMIN)" in answer.reason for answer in answers)


def test_descriptors_frames_and_the_wire(guard, ask, tap):
    """A frame that the kernel sends to the TAP comes out of one of the queues."""
    ask(guard, ConfigureLink("rhpt0", addresses=("10.77.0.1/24",)))
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", ("10.77.0.2", 9))
    frames = []
    while not any(frame[12:14] == b"\x08\x06" for frame in frames):
        ready = select.select(tap, [], [], 30)[0]
        assert ready
        frames += [os.read(descriptor, 2000) for descriptor in ready]
