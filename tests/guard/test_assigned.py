"""Addresses that a peer assigned: given to our own interface, taken back, and refused where nobody asked for them."""

import errno
import subprocess

import pytest

from rhp.guard.local import LocalGuard
from rhp.guard.policy import GuardPolicy
from rhp.guard.protocol import (
    AddAddress,
    ClearDns,
    ConfigureLink,
    Done,
    OpenTap,
    Refused,
    ReleaseAll,
    RemoveAddress,
    SetDns,
)

pytestmark = pytest.mark.netns


def ip(*arguments):
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def make_guard(own_network, tmp_path, ask):
    ip("link", "set", "lo", "up")

    def make(**policy):
        files = {
            "resolv_conf": str(tmp_path / "resolv.conf"),
            "resolved": str(tmp_path / "no"),
            "state_dir": str(tmp_path),
        }
        made = LocalGuard(GuardPolicy(interfaces=("rhpt0",), **{"assigned": True, **files, **policy}))
        ask(made, OpenTap("rhpt0", 1))
        assert ask(made, ConfigureLink("rhpt0", addresses=("10.77.0.1/24",))) == Done()
        return made

    return make


@pytest.fixture
def guard(make_guard):
    return make_guard()


def test_addresses_come_and_go(guard, ask):
    for address in ("10.88.0.2/32", "fd88::2/128"):
        assert ask(guard, AddAddress("rhpt0", address)) == Done()
        assert address.removesuffix("/32") in ip("address", "show", "rhpt0")
    # An IPv6 address can be used at once: nobody looks for a second station with it.
    assert "tentative" not in ip("address", "show", "rhpt0", "to", "fd88::2")
    for address in ("10.88.0.2/32", "fd88::2/128"):
        assert ask(guard, RemoveAddress("rhpt0", address)) == Done()
        assert address.removesuffix("/32") not in ip("address", "show", "rhpt0")
    assert "10.77.0.1/24" in ip("address", "show", "rhpt0")


def test_release_takes_them_back(guard, ask):
    ask(guard, AddAddress("rhpt0", "10.88.0.2/32"))
    assert ask(guard, ReleaseAll()) == Done()
    assert "rhpt0" not in ip("link")


def test_an_address_that_could_not_be_removed_is_so_at_the_end(guard, ask, monkeypatch):
    assert ask(guard, AddAddress("rhpt0", "10.88.0.2/32")) == Done()
    links = guard._network._links

    async def refuse(name, address):
        raise OSError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patched:
        patched.setattr(links, "_remove_address", refuse)
        assert isinstance(ask(guard, RemoveAddress("rhpt0", "10.88.0.2/32")), Refused)
    assert ask(guard, RemoveAddress("rhpt0", "10.88.0.2/32")) == Done()
    assert "10.88.0.2" not in ip("address", "show", "rhpt0")


def test_an_address_that_vanished_is_taken_back_without_a_word(guard, ask):
    ask(guard, AddAddress("rhpt0", "10.88.0.2/32"))
    ip("address", "del", "10.88.0.2/32", "dev", "rhpt0")
    assert ask(guard, RemoveAddress("rhpt0", "10.88.0.2/32")) == Done()


@pytest.mark.parametrize("address", ["10.77.0.1/24", "10.99.0.1/32"])
def test_only_what_a_peer_assigned_is_taken_back(guard, ask, address):
    # 10.77.0.1 is the configuration's: the interface had it before anybody was asked.
    if address == "10.77.0.1/24":
        assert ask(guard, AddAddress("rhpt0", address)) == Done()
        assert ask(guard, RemoveAddress("rhpt0", address)) == Done()
        assert isinstance(ask(guard, RemoveAddress("rhpt0", address)), Refused)
    else:
        answer = ask(guard, RemoveAddress("rhpt0", address))
        assert answer == Refused(f"rhpt0: address {address} was not given by this node")


QUESTIONS = [
    AddAddress("lo", "10.88.0.2/32"),
    RemoveAddress("lo", "127.0.0.1/8"),
    SetDns("lo", ("10.1.0.53",)),
    ClearDns("lo"),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: type(one).__name__)
def test_other_interfaces_are_left_alone(guard, ask, question):
    assert ask(guard, question) == Refused("the interface lo is not in the configuration")
    assert "127.0.0.1" in ip("address", "show", "lo")


@pytest.mark.parametrize("question", [AddAddress("rhpt0", "10.88.0.2/32"), SetDns("rhpt0", ("10.1.0.53",))])
def test_without_a_connection_that_asks_nothing_is_assigned(make_guard, ask, tmp_path, question):
    guard = make_guard(assigned=False)
    answer = ask(guard, question)
    assert answer == Refused("no connection of the configuration asks its peer for addresses")
    assert not (tmp_path / "resolv.conf").exists()


@pytest.mark.parametrize("text", ["", "10.88.0.2/33", "rubbish", "10.88.0.2/32; reboot", "fe80::1%x y/64"])
def test_what_is_no_address_is_refused(guard, ask, text):
    assert isinstance(ask(guard, AddAddress("rhpt0", text)), Refused)
