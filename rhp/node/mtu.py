"""How large an inner packet may be, so that what it becomes outside fits in one packet.

Outside in: the outer IP header (20 octets, or 40), a UDP header where ESP travels in UDP (RFC 3948), the ESP header of
SPI and sequence number (RFC 4303 section 2), the IV, the inner data padded so that it ends on the cipher's block and on
four octets together with the two octets of pad length and next header, and the ICV. In the Ethernet mode the inner data
begin with two octets of EtherIP (RFC 3378 section 2) and the Ethernet header.

A VLAN tag is not counted, as with every Ethernet card: an interface for one VLAN on top of the TAP has the TAP's MTU,
and its longest frames are four octets longer than what fits. So that TCP does not pay for that with two fragments for
every segment, the data plane takes tags off the MSS; other tagged packets of full length travel in fragments.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rhp.crypto.proposal import EspProposal
from rhp.crypto.suite import EspSuite
from rhp.ike.config import ConnectionConfig

OUTER_MTU = 1500
SMALLEST_MTU = 576
LEAST_TAP_MTU = 1280

_OUTER_HEADER = {4: 20, 6: 40}
_UDP_HEADER = 8
_ESP_HEADER = 8
_ESP_TRAILER = 2
_ETHERIP_HEADER = 2
_ETHERNET_HEADER = 14
_TCP_AND_IPV4_HEADERS = 40


@dataclass(frozen=True, slots=True)
class Carriage:
    """How packets travel: mode "ethernet" or "tunnel", encapsulation "udp" or "esp", outer IP version 4 or 6."""

    mode: str
    encapsulation: str
    version: int


def inner_mtu(suite: EspSuite, carriage: Carriage, outer_mtu: int = OUTER_MTU) -> int:
    """The largest inner IP packet in octets (the MTU of the TAP), at least `SMALLEST_MTU`."""
    icv = suite.integrity.icv_bytes if suite.integrity is not None else suite.encryption.icv_bytes
    room = outer_mtu - outer_headers(carriage) - _ESP_HEADER - suite.encryption.iv_bytes - icv
    alignment = max(4, suite.encryption.block_bytes)
    inside = room - room % alignment - _ESP_TRAILER
    if carriage.mode == "ethernet":
        inside -= _ETHERIP_HEADER + _ETHERNET_HEADER
    return max(inside, SMALLEST_MTU)


def preferred_suite(proposal: EspProposal) -> EspSuite:
    """The first choice of each kind in a proposal: what two nodes of the same configuration agree on."""
    encryption = proposal.encryptions[0]
    integrity = None if encryption.aead or not proposal.integrities else proposal.integrities[0]
    return EspSuite(encryption, integrity, proposal.esn[0] if proposal.esn else False)


def configured_mtu(connections: Iterable[ConnectionConfig], outer_mtu: int = OUTER_MTU) -> int:
    """What every configured child can carry with its preferred suite, over IPv6 where a peer has an IPv6 address.

    A peer may choose another suite, or sit behind a NAT; the node follows when the tunnel is up.
    """
    found = []
    for connection in connections:
        version = max((net.version for net in connection.remote_addrs), default=4)
        carried = "udp" if connection.encapsulation == "udp" else "esp"
        for child in connection.children:
            suite = preferred_suite(child.proposals[0])
            found.append(inner_mtu(suite, Carriage(child.mode, carried, version), outer_mtu))
    return min(found, default=outer_mtu)


def outer_headers(carriage: Carriage) -> int:
    """Octets in front of ESP: the IP header, and UDP's where ESP travels in it."""
    return _OUTER_HEADER[carriage.version] + (_UDP_HEADER if carriage.encapsulation == "udp" else 0)


def longest_frame(mtu: int) -> int:
    """Octets of the longest Ethernet frame for an inner MTU."""
    return mtu + _ETHERNET_HEADER


def tcp_mss(mtu: int) -> int:
    """The largest IPv4 TCP segment for an inner MTU; the data plane takes another 20 octets off for IPv6."""
    return mtu - _TCP_AND_IPV4_HEADERS
