"""All traffic through a tunnel, but for the tunnel's own: rules and a table, seen with the kernel's own eyes."""

import asyncio
import errno
import subprocess

import pytest

from rhp.guard import capture
from rhp.guard.local import LocalGuard
from rhp.guard.policy import GuardPolicy
from rhp.guard.protocol import (
    AddAddress,
    CaptureTraffic,
    ConfigureLink,
    Descriptors,
    Done,
    MendCaptures,
    OpenTap,
    Refused,
    ReleaseAll,
    ReleaseTraffic,
    SetDns,
)
from rhp.net import netlink

pytestmark = pytest.mark.netns

ALL = CaptureTraffic("rhpt0", "0.0.0.0/0", ("192.0.2.2",), "10.88.0.2", "169.254.7.8")
ALL6 = CaptureTraffic("rhpt0", "::/0", ("192.0.2.2",), "fd88::2", "fe80::7:8")
FAR, FAR6, GATE = "203.0.113.9", "2001:db8:99::9", "192.0.2.2"


def ip(*arguments, check=True):
    return subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True).stdout


def made_for_peers(policy):
    return policy.get("assigned", True)


@pytest.fixture
def make_guard(own_network, tmp_path, ask):
    ip("link", "set", "lo", "up")
    ip("link", "add", "eth0", "type", "veth", "peer", "name", "other")
    for name in ("eth0", "other"):
        ip("link", "set", name, "up")
    ip("address", "add", "198.51.100.7/24", "dev", "eth0")
    ip("route", "add", "default", "via", "198.51.100.1")

    def make(**more):
        files = {"resolv_conf": str(tmp_path / "conf"), "resolved": str(tmp_path / "no"), "state_dir": str(tmp_path)}
        made = LocalGuard(GuardPolicy(interfaces=("rhpt0", "rhpt1"), **{"assigned": True, **files, **more}))
        assert asyncio.run(made.recover()) == Done()
        ask(made, OpenTap("rhpt0", 1))
        assert ask(made, ConfigureLink("rhpt0")) == Done()
        for address in ("10.88.0.2/32", "fd88::2/128") if made_for_peers(more) else ():
            assert ask(made, AddAddress("rhpt0", address)) == Done()
        return made

    return make


@pytest.fixture
def guard(make_guard):
    return make_guard()


def way(address):
    """The interface by which a packet to that address leaves, or None where it goes nowhere."""
    words = ip("route", "get", address, check=False).split()
    return words[words.index("dev") + 1] if "dev" in words else None


def rules():
    own = [line for version in ("-4", "-6") for line in ip(version, "rule").splitlines()]
    return [line for line in own if line.startswith("52")]


def test_everything_but_the_tunnel_itself_and_what_is_near(guard, ask):
    assert way(FAR) == "eth0"
    assert ask(guard, ALL) == Done()
    assert way(FAR) == "rhpt0"
    assert "src 10.88.0.2" in ip("route", "get", FAR)
    assert way(GATE) == "eth0"
    # A network of our own stays where it is, and so does the other IP version.
    assert way("198.51.100.99") == "eth0"
    assert way(FAR6) is None
    assert ask(guard, ALL6) == Done()
    assert way(FAR6) == "rhpt0"
    assert ask(guard, ReleaseTraffic("rhpt0", "0.0.0.0/0")) == Done()
    assert (way(FAR), way(FAR6)) == ("eth0", "rhpt0")
    assert ask(guard, ReleaseTraffic("rhpt0", "::/0")) == Done()
    assert (way(FAR), way(FAR6), rules()) == ("eth0", None, [])


def test_the_tunnel_never_goes_through_itself(guard, ask):
    """The default route vanishes, as when a cable is pulled: packets to the other end go nowhere."""
    ask(guard, ALL)
    ip("route", "del", "default")
    assert way(FAR) == "rhpt0"
    assert way(GATE) is None
    ip("route", "add", "default", "via", "198.51.100.1")
    assert way(GATE) == "eth0"


def test_the_other_end_moves(guard, ask):
    ask(guard, ALL)
    moved = CaptureTraffic("rhpt0", "0.0.0.0/0", ("192.0.2.77",), "10.88.0.2", "169.254.7.8")
    assert ask(guard, moved) == Done()
    assert way("192.0.2.77") == "eth0"
    assert way(GATE) == "rhpt0"
    assert len(rules()) == 4


def test_two_halves_and_a_second_tunnel(guard, ask):
    ask(guard, CaptureTraffic("rhpt0", "128.0.0.0/1", ("192.0.2.2",), "10.88.0.2", "169.254.7.8"))
    ask(guard, CaptureTraffic("rhpt0", "0.0.0.0/1", ("192.0.2.3",), "10.88.0.2", "169.254.7.9"))
    assert way(FAR) == way("9.9.9.9") == "rhpt0"
    assert way("192.0.2.2") == way("192.0.2.3") == "eth0"
    ask(guard, ReleaseTraffic("rhpt0", "128.0.0.0/1"))
    assert (way(FAR), way("9.9.9.9")) == ("eth0", "rhpt0")


def test_every_address_of_the_other_end_is_spared(guard, ask):
    ends = (GATE, "192.0.2.3", "2001:db8::2")
    assert ask(guard, CaptureTraffic("rhpt0", "0.0.0.0/0", ends, "10.88.0.2", "169.254.7.8")) == Done()
    assert way(GATE) == way("192.0.2.3") == "eth0"
    assert way("192.0.2.4") == "rhpt0"


@pytest.mark.parametrize("end", ["release", "vanish"])
def test_all_of_it_is_taken_back(guard, ask, end):
    assert ask(guard, ALL) == ask(guard, ALL6) == Done()
    if end == "vanish":
        ip("link", "del", "rhpt0")
        assert way(FAR) == "eth0"
    assert ask(guard, ReleaseAll()) == Done()
    assert rules() == []
    assert way(FAR) == "eth0"


def test_a_killed_node_s_successor_cleans_up(make_guard, ask):
    ask(make_guard(), ALL)
    # kill -9: the interface goes with the process, the rules stay.
    ip("link", "del", "rhpt0")
    assert len(rules()) == 4
    make_guard()
    assert rules() == []


def test_destinations_have_a_bound(guard, ask, monkeypatch):
    monkeypatch.setattr(capture, "_MOST_HELD", 1)
    assert ask(guard, ALL) == Done()
    assert ask(guard, ALL6) == Refused("traffic to too many destinations is captured already")
    assert ask(guard, ALL) == Done()


def test_a_successor_that_asks_for_no_addresses_cleans_up_too(make_guard, ask, tmp_path):
    ask(make_guard(), ALL)
    ip("link", "del", "rhpt0")
    make_guard(assigned=False)
    assert rules() == []
    assert list(tmp_path.iterdir()) == []


def test_another_node_leaves_alone_what_is_in_force(guard, ask, tmp_path):
    ask(guard, ALL)
    before = rules()
    other = LocalGuard(GuardPolicy(interfaces=("rhpt2",), assigned=True, state_dir=str(tmp_path / "other")))
    assert asyncio.run(other.recover()) == Done()
    assert rules() == before


@pytest.mark.parametrize("end", [ReleaseTraffic("rhpt0", "0.0.0.0/0"), ReleaseAll()])
def test_what_is_taken_back_is_not_noted_any_more(guard, ask, tmp_path, end):
    ask(guard, ALL)
    assert (tmp_path / "capture.before").exists()
    assert ask(guard, end) == Done()
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_released_is_taken_back_at_the_end(guard, ask, tmp_path, monkeypatch):
    """Else the rules would outlive the node, and lead everything to where nobody listens."""
    ask(guard, ALL)

    async def refuse(netlink, version):
        raise OSError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patched:
        patched.setattr(capture, "_flush", refuse)
        assert isinstance(ask(guard, ReleaseTraffic("rhpt0", "0.0.0.0/0")), Refused)
    assert len(rules()) == 4
    assert (tmp_path / "capture.before").exists()
    assert ask(guard, ReleaseAll()) == Done()
    assert rules() == []
    assert list(tmp_path.iterdir()) == []


def test_one_more_interface_leaves_alone_what_is_in_force(guard, ask, tmp_path):
    """As when a reload adds a hub, or when an interface that was taken away is made again."""
    assert ask(guard, ALL) == ask(guard, SetDns("rhpt0", ("10.1.0.53",))) == Done()
    before = rules()
    assert isinstance(ask(guard, OpenTap("rhpt1", 1)), Descriptors)
    assert rules() == before
    assert way(FAR) == "rhpt0"
    assert "nameserver 10.1.0.53" in (tmp_path / "conf").read_text()
    assert ask(guard, ReleaseAll()) == Done()
    assert rules() == []
    assert not (tmp_path / "conf").exists()


def test_setting_the_same_again_changes_nothing(guard, ask):
    ask(guard, ALL)
    before = rules()
    assert ask(guard, ALL) == Done()
    assert rules() == before


def test_rules_that_somebody_took_away_are_set_again(guard, ask):
    """As systemd-networkd takes those that it does not know, where it is told to manage them."""
    assert ask(guard, MendCaptures()) == Done() and rules() == []
    assert ask(guard, ALL) == ask(guard, ALL6) == Done()
    before = rules()
    for taken in (["5209"], ["5206"], ["5207", "5209"], ["5206", "5207", "5208", "5209"]):
        for priority in taken:
            ip("rule", "del", "priority", priority)
        ip("-6", "rule", "del", "priority", "5208")
        assert rules() != before
        assert ask(guard, MendCaptures()) == Done()
        assert rules() == before
        assert (way(FAR), way(FAR6), way(GATE)) == ("rhpt0", "rhpt0", "eth0")


def test_rules_that_stand_are_not_touched(guard, ask):
    """Else the word of our own changes would have us make them again, for ever."""
    assert ask(guard, ALL) == Done()
    with netlink.opened(0x80 | 0x40000) as ear:
        ear.setblocking(False)
        assert ask(guard, MendCaptures()) == Done()
        with pytest.raises(BlockingIOError):
            ear.recv(4096)
        ip("rule", "del", "priority", "5209")
        assert ask(guard, MendCaptures()) == Done()
        kinds = [kind for kind, _ in netlink.messages(ear.recv(65536) + ear.recv(65536))]
        assert kinds == [33, 32]


def test_what_is_not_captured_is_released_without_a_word(guard, ask):
    assert ask(guard, ReleaseTraffic("rhpt0", "0.0.0.0/0")) == Done()


@pytest.mark.parametrize(
    "question",
    [
        CaptureTraffic("rhpt0", "0.0.0.0/0", ("192.0.2.2",), "fd88::2", "169.254.7.8"),
        CaptureTraffic("rhpt0", "0.0.0.0/0", ("192.0.2.2",), "10.99.0.9", "169.254.7.8"),
        CaptureTraffic("rhpt0", "rubbish", ("192.0.2.2",), "10.88.0.2", "169.254.7.8"),
        CaptureTraffic("rhpt0", "0.0.0.0/0", ("here",), "10.88.0.2", "169.254.7.8"),
        CaptureTraffic("rhpt0", "0.0.0.0/0", (), "10.88.0.2", "169.254.7.8"),
        CaptureTraffic("rhpt0", "0.0.0.0/0", ("192.0.2.2", "fe80::1%x y"), "10.88.0.2", "169.254.7.8"),
        CaptureTraffic("rhpt0", "::/0", ("192.0.2.2",), "fd88::2", "fe80::7:8%x\ny"),
        CaptureTraffic("eth0", "0.0.0.0/0", ("192.0.2.2",), "10.88.0.2", "169.254.7.8"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(guard, ask, question):
    assert isinstance(ask(guard, question), Refused)
    assert rules() == []
    assert way(FAR) == "eth0"


def test_only_where_a_connection_asks_for_addresses(make_guard, ask):
    answer = ask(make_guard(assigned=False), ALL)
    assert answer == Refused("no connection of the configuration asks its peer for addresses")


def test_an_address_may_come_later(make_guard, ask):
    guard = make_guard()
    ask(guard, AddAddress("rhpt0", "10.99.0.9/32"))
    assert ask(guard, CaptureTraffic("rhpt0", "0.0.0.0/0", ("192.0.2.2",), "10.99.0.9", "169.254.7.8")) == Done()
    assert "src 10.99.0.9" in ip("route", "get", FAR)
