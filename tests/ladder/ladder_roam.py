"""Hosts whose addresses change, for tests of MOBIKE and multihoming: their world, and what can happen to it."""

from ipaddress import ip_address

from ladder_net import A, B
from ladder_world import config, connection

from rhp.wire.iana import NotifyType
from rhp.wire.notify import Notify

A2, A3, B2 = ip_address("198.51.100.1"), ip_address("203.0.113.1"), ip_address("198.51.100.2")
A6, B6 = ip_address("2001:db8::1"), ip_address("2001:db8::2")
NOWHERE = ip_address(0)
UPDATE, COOKIE2 = NotifyType.UPDATE_SA_ADDRESSES, NotifyType.COOKIE2


def roaming(ladder, *, at_a=None, at_b=None, both=None, a=(A,), b=(B,), **more):
    """Two sides with these addresses, which know them; `at_a` and `at_b` are settings of their connections."""
    both = {"encapsulation": "auto", **(both or {})}
    link = ladder(
        config(connection("a@x", "b@x", **both, **(at_a or {}))),
        config(connection("b@x", "a@x", **both, **(at_b or {}))),
        **more,
    )
    has(link, link.a, *a)
    has(link, link.b, *b)
    return link


def has(link, side, *addresses):
    """From now on a side has these addresses, and knows it."""
    side.address, side.also = (*addresses, NOWHERE)[0], addresses[1:]
    link.call(side, "addresses_changed", addresses)


def silence(link, *pairs):
    """Nothing passes between these pairs of addresses any more, in either direction."""
    cut = {frozenset(pair) for pair in pairs}
    link.lost = lambda packet: frozenset((packet.source.ip, packet.target.ip)) in cut


def ends(path):
    return path.local.ip, path.remote.ip


def traffic(side):
    """The pairs of addresses between which a side's ESP goes."""
    return {ends(sa.path) for sa in side.sas.values()}


def notifies(link, packet, kind):
    """The data of a message's notifies of one kind."""
    return [one.data for one in link.read(packet).all(Notify) if one.type == kind]


def sent(link, side, kind, since=0):
    """The messages of a side that hold such a notify."""
    return [
        packet
        for packet in link.sent[since:]
        if packet.sender == side.name and packet.header.exchange != 34 and notifies(link, packet, kind)
    ]


def check_at(link, local, remote):
    """Both sides agree on the two ends, for IKE and for ESP, and traffic passes."""
    assert ends(link.a.status().path) == (local, remote)
    assert ends(link.b.status().path) == (remote, local)
    assert traffic(link.a) == {(local, remote)}
    assert traffic(link.b) == {(remote, local)}
    link.check_pairs()
