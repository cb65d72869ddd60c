"""Which connection a peer means."""

from ipaddress import ip_address, ip_network

import pytest

from rhp.crypto.errors import NoProposalChosen
from rhp.crypto.proposal import parse_esp_proposal, parse_ike_proposal
from rhp.ike.candidates import Claim, NobodyFits, by_proposal, serves, still_means
from rhp.ike.candidates import by_identity as choose
from rhp.ike.config import ChildConfig, ConnectionConfig, EngineConfig, LocalAuth, RemoteAuth
from rhp.ike.directory import Directory
from rhp.ike.path import Endpoint, Path
from rhp.pki.identity import parse_identity
from rhp.realm.pattern import IdentityPattern
from rhp.wire.sa import SA

GCM, CBC = "aes128gcm16-prfsha256-x25519", "aes256-sha256-ecp256"


def make(name, local="gate@x", remote="%any", *, ike=GCM, method="psk", local_addrs=(), remote_addrs=()):
    return ConnectionConfig(
        name,
        LocalAuth("psk", parse_identity(local)),
        RemoteAuth(method, IdentityPattern.parse(remote)),
        (parse_ike_proposal(ike),),
        (ChildConfig("c", "ethernet", (), (), (parse_esp_proposal("aes128gcm16"),)),),
        local_addrs=tuple(map(ip_network, local_addrs)),
        remote_addrs=tuple(map(ip_network, remote_addrs)),
    )


def path(local, remote):
    return Path(Endpoint(ip_address(local), 500), Endpoint(ip_address(remote), 500), False)


HERE = path("192.0.2.1", "198.51.100.9")


def by_identity(connections, suite, peer, wanted, method, *names):
    """The connection that is chosen, None where there is none."""
    claim = Claim(peer, wanted, method, suite, lambda: tuple(map(parse_identity, names)))
    try:
        return choose(Directory(tuple(connections)), HERE, claim)
    except NobodyFits:
        return None


def suite(ike=GCM):
    offered = SA((parse_ike_proposal(ike).to_wire(1),))
    return by_proposal([make("x", ike=ike)], offered, 31, intermediate=True)[2]


@pytest.mark.parametrize(
    ("local", "remote", "names"),
    [
        ("192.0.2.1", "198.51.100.9", ["any", "net", "host"]),
        ("192.0.2.1", "198.51.100.1", ["any", "net"]),
        ("192.0.2.1", "203.0.113.1", ["any"]),
        ("2001:db8::1", "2001:db8::2", ["any", "six"]),
        ("10.0.0.1", "2001:db8::2", ["any"]),
    ],
)
def test_by_address(local, remote, names):
    config = EngineConfig(
        (
            make("any"),
            make("net", remote_addrs=["198.51.100.0/24"]),
            make("host", remote_addrs=["203.0.113.77/32", "198.51.100.9/32"], local_addrs=["192.0.2.1/32"]),
            make("six", remote_addrs=["2001:db8::/64"], local_addrs=["2001:db8::1/128"]),
        )
    )
    way = path(local, remote)
    directory = Directory(config.connections)
    assert [one.name for one in config.connections if serves(one, way)] == names
    assert sorted(one.name for one in directory.serving(way)) == sorted(names)
    # All have the same proposals, so each pair of address lists has the first of it tried, in order.
    assert [one.name for one in directory.offers(way)] == names


def test_by_proposal_takes_the_first_connection_that_fits():
    offered = SA((parse_ike_proposal(CBC).to_wire(1), parse_ike_proposal(GCM).to_wire(2)))
    other = make("a", ike="chacha20poly1305-prfsha256-x25519")
    connection, number, chosen = by_proposal([other, make("b")], offered, 31, intermediate=True)
    assert (connection.name, number, chosen.name) == ("b", 2, GCM)
    with pytest.raises(NoProposalChosen, match=r"the peer offers .*; configured is aes256gcm16-prfsha384-x448"):
        by_proposal(
            [make("a", ike="aes256gcm16-prfsha384-x448"), make("b", ike="aes256-sha512-x448")],
            offered,
            31,
            intermediate=True,
        )
    with pytest.raises(NoProposalChosen, match="no connection serves these addresses"):
        by_proposal([], offered, 31, intermediate=True)


def test_by_identity_the_pattern_that_says_most_wins():
    connections = [make("any"), make("domain", remote="*@x"), make("one", remote="a@x"), make("other", remote="b@x")]
    peer = parse_identity("a@x")
    assert by_identity(connections, suite(), peer, None, "psk").name == "one"
    assert by_identity(connections[:2], suite(), peer, None, "psk").name == "domain"
    assert by_identity(connections, suite(), parse_identity("z@y"), None, "psk").name == "any"
    assert by_identity(connections[1:], suite(), parse_identity("z@y"), None, "psk") is None


def test_by_identity_the_first_of_equals_wins():
    connections = [make("first"), make("second")]
    assert by_identity(connections, suite(), parse_identity("a@x"), None, "psk").name == "first"


def test_who_was_told_from_others_by_the_suite_is_still_meant():
    first, second = make("first", ike=CBC), make("second")
    claim = Claim(parse_identity("a@x"), None, "psk", suite())
    assert still_means(Directory((first, second)), HERE, claim, second)
    # Other proposals of its own cut nothing; but the peer is another one's that it could come to.
    changed = make("second", ike=CBC)
    assert still_means(Directory((changed,)), HERE, claim, changed)
    assert not still_means(Directory((make("first"), changed)), HERE, claim, changed)


def test_by_identity_whom_the_peer_wants():
    connections = [make("g", local="gate@x"), make("h", local="Hall.example.org")]
    peer = parse_identity("a@x")
    assert by_identity(connections, suite(), peer, parse_identity("hall.example.ORG"), "psk").name == "h"
    assert by_identity(connections, suite(), peer, parse_identity("cellar@x"), "psk") is None


def test_by_identity_the_method_comes_first_and_a_wrong_one_is_better_than_none():
    connections = [make("key", remote="a@x"), make("cert", method="pubkey")]
    peer = parse_identity("a@x")
    assert by_identity(connections, suite(), peer, None, "pubkey").name == "cert"
    assert by_identity(connections, suite(), peer, None, "psk").name == "key"
    assert by_identity(connections[:1], suite(), peer, None, "pubkey").name == "key"


def test_by_identity_a_key_of_many_does_not_stand_for_a_name_of_its_own():
    """Who has a pre-shared key of "%any" may not call itself what another connection names more narrowly."""
    own = make("own", remote="a@x", method="pubkey")
    peer = parse_identity("a@x")
    for connections in ([own, make("any")], [make("domain", remote="*@x"), own], [make("any"), own]):
        assert by_identity(connections, suite(), peer, None, "psk").name == "own"
        assert by_identity(connections, suite(), parse_identity("b@x"), None, "psk").name != "own"
    # Nor by choosing a suite that the narrower connection does not have.
    strict = make("own", remote="a@x", method="pubkey", ike=CBC)
    assert by_identity([strict, make("any")], suite(GCM), peer, None, "psk") is None
    # A certificate proves the name itself, whatever connection it comes by.
    both = [make("key", remote="a@x"), make("cert", method="pubkey")]
    assert by_identity(both, suite(), peer, None, "pubkey").name == "cert"


def test_by_identity_the_suite_must_be_one_of_its_own():
    connections = [make("a", ike=CBC), make("b")]
    assert by_identity(connections, suite(GCM), parse_identity("a@x"), None, "psk").name == "b"
    assert by_identity(connections[:1], suite(GCM), parse_identity("a@x"), None, "psk") is None


def test_by_identity_more_key_exchanges_than_asked_for_are_welcome():
    hybrid = suite(f"{GCM}-ke1_mlkem768")
    peer = parse_identity("a@x")
    assert by_identity([make("plain")], hybrid, peer, None, "psk").name == "plain"
    assert by_identity([make("hybrid", ike=f"{GCM}-ke1_mlkem768")], suite(), peer, None, "psk") is None
    assert by_identity([make("other", ike=CBC)], hybrid, peer, None, "psk") is None
