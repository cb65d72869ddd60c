"""Gateways with pools of inner addresses and clients that ask for one, for the ladder tests."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

from ladder_world import config, connection, net, psk_policy, tunnel

from rhp.realm.pool import PoolConfig, Span
from rhp.wire.cp import CP, Attribute
from rhp.wire.iana import CfgAttribute, CfgType

IP4, IP6 = CfgAttribute.INTERNAL_IP4_ADDRESS, CfgAttribute.INTERNAL_IP6_ADDRESS
LAN, LAN6 = "10.1.0.0/16", "fd01::/32"


def pool(first="10.88.0.2", last="10.88.0.9", *, name="p", prefix=24, **more):
    return PoolConfig(name, (Span(ip_address(first), ip_address(last)),), prefix, **more)


FULL = pool(
    dns=(ip_address("10.1.0.53"),),
    nbns=(ip_address("10.1.0.137"),),
    subnets=(ip_network(LAN),),
    domains=("corp.example",),
)
FULL6 = pool("fd88::2", "fd88::ffff", name="q", prefix=64, dns=(ip_address("fd01::53"),), subnets=(ip_network(LAN6),))


def asking(local="a@x", children=None, **more):
    """A client that asks for its address."""
    return config(
        connection(local, "b@x", children=children or (tunnel("net", (), (LAN, LAN6)),), request_addresses=True, **more)
    )


def giving(*pools, children=None, remote="*@x", names=None, **more):
    """A gateway that lends addresses to whoever has the key."""
    made = connection(
        "b@x",
        remote,
        children=children or (tunnel("net", (LAN, LAN6), ()),),
        pools=tuple(one.name for one in pools) if names is None else names,
        **more,
    )
    return config(made, pools=pools)


def hosts(*texts):
    return tuple(net(text) for text in texts)


def leased(side):
    return [str(one) for one in side.status().leased]


def request(*kinds, kind=CfgType.REQUEST):
    return CP(kind, tuple(one if isinstance(one, Attribute) else Attribute(one) for one in kinds))


def values(payload, kind):
    return [one.value for one in payload.attributes if one.type == kind]


def with_cp(link, side, payload):
    """The request that `side` has on the way, with a configuration payload in it: what the other side answers."""
    message = link.read(link.flight.pop(0))
    return link.ask(link.other(side), link.seal(replace(message, payloads=(*message.payloads, payload))))


def three(ladder, *pools, **more):
    """Two clients, a and c, of one gateway b."""
    return ladder(asking(), giving(*pools, **more), c=asking("c@x"), policy_c=psk_policy())
