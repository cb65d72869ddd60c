"""Invitations: what is written is read again, and nothing else is believed."""

import base64
import json

import pytest

from rhp.config.invitation import BEGIN, END, LARGEST, Invitation, client_name, host_name, host_to_call, read_invitation

GOOD = Invitation("vpn.example.org", "192.0.2.1", "laptop", ("10.88.0.0/24", "fd88::/64"), psk="a key")


def packed(value):
    return f"{BEGIN}\n{base64.b64encode(json.dumps(value).encode()).decode()}\n{END}\n"


def fields(**more):
    base = {"version": 1, "gateway": "vpn.example.org", "address": "192.0.2.1", "client": "laptop"}
    return {**base, "networks": ["10.88.0.0/24"], "psk": "k", "ca": "", "certificate": "", "key": "", **more}


def test_it_is_read_as_it_was_written():
    assert read_invitation(GOOD.text()) == GOOD
    assert GOOD.identity == "laptop@vpn.example.org"
    assert all(len(line) <= 64 for line in GOOD.text().splitlines())


def test_it_may_have_been_quoted_in_a_letter():
    letter = "Hello,\r\n" + GOOD.text().replace("\n", "\r\n  ") + "\nRegards\n"
    assert read_invitation(letter) == GOOD


def test_secrets_are_not_shown():
    assert "a key" not in repr(GOOD)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "there is no invitation in it"),
        (BEGIN, "there is no invitation in it"),
        ("x" * LARGEST + GOOD.text(), "there is no invitation in it"),
        (f"{BEGIN}\n%%%\n{END}", "damaged"),
        (f"{BEGIN}\n{base64.b64encode(b'[' * 9000).decode()}\n{END}", "damaged"),
        (GOOD.text().replace("\n", "\nAAAA", 1), "damaged"),
        (packed([]), "another version"),
        (packed(fields(version=2)), "another version"),
        (packed({"version": 1}), "not whole"),
        (packed(fields(more="x")), "not whole"),
        (packed(fields(psk=7)), "not whole"),
        (packed(fields(networks="10.0.0.0/8")), "names no network"),
        (packed(fields(networks=[])), "names no network"),
        (packed(fields(networks=["10.0.0.0/8"] * 65)), "names no network"),
        (packed(fields(networks=["fe80::%eth0/64"])), "names a network that is none"),
        (packed(fields(networks=[{}])), "names a network that is none"),
        (packed(fields(gateway='vpn"]\n[node]')), "not the name of a host"),
        (packed(fields(client="../../etc/passwd")), "not a client's name"),
        (packed(fields(address='1"\n[node]')), "neither an IP address nor a host name"),
        (packed(fields(address="192.0.2.0/24")), "is a network"),
        (packed(fields(psk="")), "neither a shared key nor a certificate"),
        (packed(fields(ca="x", certificate="y", key="z")), "neither a shared key nor a certificate"),
        (packed(fields(psk="", ca="x", certificate="y")), "neither a shared key nor a certificate"),
    ],
)
def test_what_is_no_invitation_is_one_sentence(text, told):
    with pytest.raises(ValueError, match=told) as caught:
        read_invitation(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "192.0.2.1", "a b", "-a", "a..b", ".", "x" * 254, "vpn.example.org\n", "ü.example"]
)
def test_no_names_of_hosts(text):
    with pytest.raises(ValueError, match="not the name of a host"):
        host_name(text)


def test_names():
    assert host_name("VPN.example.org") == "vpn.example.org"
    assert client_name("Anna.Laptop-2") == "anna.laptop-2"
    assert host_to_call("192.0.2.1") == "192.0.2.1"
    assert host_to_call("vpn.example.org") == "vpn.example.org"
