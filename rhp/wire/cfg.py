"""What the attributes of a Configuration payload hold (RFC 7296 section 3.15.1, RFC 8598 section 4).

An empty value asks, so each reader gives None for it; one that is malformed raises DecodeError. A writer is the
inverse of the reader above it.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from rhp.wire.errors import DecodeError

_BAD_LENGTH = "bad-attribute-length"
_BAD_VALUE = "bad-attribute-value"
_LONGEST_NAME = 253
# What a resolver takes as a name: no octet of it can end a line or begin an option.
_LABEL = rb"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rb"%b(\.%b)*\.?" % (_LABEL, _LABEL))


def read_ip4(value: bytes) -> IPv4Address | None:
    """INTERNAL_IP4_ADDRESS, _DNS, _NBNS: four octets."""
    return IPv4Address(value) if _sized(value, 4) else None


def read_ip6(value: bytes) -> IPv6Address | None:
    """INTERNAL_IP6_DNS: sixteen octets."""
    return IPv6Address(value) if _sized(value, 16) else None


def read_interface6(value: bytes) -> IPv6Interface | None:
    """INTERNAL_IP6_ADDRESS: an address and its prefix length; some peers leave that out and mean 128."""
    if not value:
        return None
    if len(value) == 16:
        value += b"\x80"
    if len(value) != 17:
        raise DecodeError(_BAD_LENGTH)
    if value[16] > 128:
        raise DecodeError(_BAD_VALUE)
    return IPv6Interface((value[:16], value[16]))


def write_interface6(interface: IPv6Interface) -> bytes:
    """Seventeen octets."""
    return interface.ip.packed + bytes((interface.network.prefixlen,))


def read_netmask(value: bytes) -> int | None:
    """INTERNAL_IP4_NETMASK; returns the prefix length."""
    return _prefix(value) if _sized(value, 4) else None


def write_netmask(prefix: int) -> bytes:
    """Four octets."""
    return IPv4Network((0, prefix)).netmask.packed


def read_subnet4(value: bytes) -> IPv4Network | None:
    """INTERNAL_IP4_SUBNET: an address and a mask; bits behind the mask are dropped."""
    if not _sized(value, 8):
        return None
    return IPv4Network((value[:4], _prefix(value[4:])), strict=False)


def write_subnet4(network: IPv4Network) -> bytes:
    """Eight octets."""
    return network.network_address.packed + network.netmask.packed


def read_subnet6(value: bytes) -> IPv6Network | None:
    """INTERNAL_IP6_SUBNET: an address and a prefix length; bits behind the prefix are dropped."""
    if not _sized(value, 17):
        return None
    if value[16] > 128:
        raise DecodeError(_BAD_VALUE)
    return IPv6Network((value[:16], value[16]), strict=False)


def write_subnet6(network: IPv6Network) -> bytes:
    """Seventeen octets."""
    return network.network_address.packed + bytes((network.prefixlen,))


def read_domain(value: bytes) -> str | None:
    """INTERNAL_DNS_DOMAIN: a name in presentation format, A-labels only; returned in small letters without last dot."""
    if not value:
        return None
    if len(value) > _LONGEST_NAME or not _NAME.fullmatch(value):
        raise DecodeError(_BAD_VALUE)
    return value.decode("ascii").lower().rstrip(".")


def write_domain(name: str) -> bytes:
    """The name's octets, without a terminator."""
    return name.encode("ascii")


def write_supported(types: tuple[int, ...]) -> bytes:
    """SUPPORTED_ATTRIBUTES: attribute types of two octets each."""
    return b"".join(kind.to_bytes(2) for kind in types)


def _sized(value: bytes, octets: int) -> bool:
    """Whether there is a value; DecodeError when it has another length."""
    if value and len(value) != octets:
        raise DecodeError(_BAD_LENGTH)
    return bool(value)


def _prefix(mask: bytes) -> int:
    """The length of a mask whose ones all stand in front."""
    number = int.from_bytes(mask)
    length = number.bit_count()
    if number != (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF:
        raise DecodeError(_BAD_VALUE)
    return length
