"""The first configuration of a gateway and of its client: as short as it can be, with a word on each part.

Names, addresses and networks have been judged by the time they come here; they are written as TOML strings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from rhp.config.invitation import Invitation
from rhp.config.values import address_text

IpNetwork = IPv4Network | IPv6Network

CA_CERTIFICATE, CA_KEY = "ca/ca.pem", "ca/ca.key"
CLIENTS = "clients"
"""The connection for everybody whom the gateway's CA vouches for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a gateway is to be: its name, where clients call it, the pool of their addresses, the networks behind it."""

    name: str
    address: str
    pool: IpNetwork
    networks: tuple[IpNetwork, ...] = ()

    @property
    def reachable(self) -> tuple[str, ...]:
        """What clients may reach: the gateway, each other's addresses, and what lies behind."""
        return (str(self.pool), *map(str, self.networks))


def pool_network(text: str) -> IpNetwork:
    """Read the network that clients get addresses of; ValueError with a sentence when it is none or too small."""
    try:
        found = ip_network(address_text(text))
    except ValueError:
        raise ValueError(f"{json.dumps(text)} is not a network; write for example 10.88.0.0/24") from None
    if found.num_addresses < 4:
        raise ValueError(f"{found} has no room for clients; write a larger network, for example 10.88.0.0/24")
    return found


def networks_behind(text: str, pool: IpNetwork) -> tuple[IpNetwork, ...]:
    """Read networks with commas or spaces between them, or "none"; ValueError with a sentence."""
    found: list[IpNetwork] = []
    if text.strip().lower() == "none":
        return ()
    for word in text.replace(",", " ").split():
        try:
            found.append(ip_network(address_text(word)))
        except ValueError:
            raise ValueError(f"{json.dumps(word)} is not a network; write for example 192.168.1.0/24") from None
        if found[-1].version != pool.version:
            told = f"{word} is an IPv{found[-1].version} network, and clients get IPv{pool.version} addresses"
            raise ValueError(f"{told} of {pool}; write networks of the same kind")
    return tuple(found)


def gateway_psk(plan: Plan, client: str, psk_file: str) -> str:
    """A gateway that knows one client by a shared key."""
    who = f"""\
[connections.{_key(client)}]
pools = ["clients"]
psk_file = {_quoted(psk_file)}
local.id = {_quoted(plan.name)}
remote.id = {_quoted(f"{client}@{plan.name}")}
"""
    return _gateway(plan, who, client)


def gateway_certificates(plan: Plan, certificate: str, key: str) -> str:
    """A gateway that knows its clients by certificates of its own CA."""
    who = f"""\
[connections.{CLIENTS}]
pools = ["clients"]
local.id = {_quoted(plan.name)}
local.certs = [{_quoted(certificate)}]
local.key = {_quoted(key)}
# Everybody with a certificate of this CA: rhp init invite NAME makes one.
remote.id = {_quoted(f"*@{plan.name}")}
remote.cas = [{_quoted(CA_CERTIFICATE)}]
"""
    return _gateway(plan, who, CLIENTS)


def client_configuration(invitation: Invitation, psk_file: str, certificate: str, key: str, ca: str) -> str:
    """A client of the gateway that invited it; the files are named as they will stand beside it."""
    if invitation.psk:
        ours, theirs = f"psk_file = {_quoted(psk_file)}\n", ""
    else:
        ours = f"local.certs = [{_quoted(certificate)}]\nlocal.key = {_quoted(key)}\n"
        theirs = f"remote.cas = [{_quoted(ca)}]\n"
    return f"""\
# Written by rhp init client. "rhp config check" says what it does; docs/configuration.md has every key.

[connections.gateway]
remote_addrs = [{_quoted(invitation.address)}]
# Our address, and what lies behind the gateway, come from there.
request_addresses = true
local.id = {_quoted(invitation.identity)}
{ours}remote.id = {_quoted(invitation.gateway)}
{theirs}
[connections.gateway.children.net]
mode = "tunnel"
remote_ts = {_listed(invitation.networks)}
"""


def _gateway(plan: Plan, who: str, connection: str) -> str:
    subnets = f"# What clients are told to reach through here.\nsubnets = {_listed(plan.reachable)}\n"
    return f"""\
# Written by rhp init gateway. "rhp config check" says what it does; docs/configuration.md has every key.

[interface]
# Our own address in the network of the clients.
addresses = ["{plan.pool[1]}/{plan.pool.prefixlen}"]

[pools.clients]
# Each client has the same address again when it comes back. Ours is never lent.
addresses = ["{plan.pool}"]
{subnets if plan.networks else ""}
{who}
[connections.{_key(connection)}.children.net]
mode = "tunnel"
# What clients may reach.
local_ts = {_listed(plan.reachable)}
"""


def _listed(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _quoted(text: str) -> str:
    """JSON's strings are TOML's, for what has been judged to be a name."""
    return json.dumps(text)


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() else _quoted(name)
