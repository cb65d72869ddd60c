"""Where metrics are served: a TCP port at one address, or a Unix socket."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

UNIX = "unix:"
LOWEST_PORT = 1024
"""The node has no privilege to open a port below."""
LONGEST_PATH = 107
"""Octets that Linux has for the path of a socket (unix(7))."""
EXAMPLES = '"127.0.0.1:9469" or "unix:/run/rhp/metrics.sock"'


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """An address of this machine and a port of at least 1024."""

    ip: IPv4Address | IPv6Address
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if self.ip.version == 6 else f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The path of a Unix stream socket."""

    path: Path

    def __str__(self) -> str:
        return f"{UNIX}{self.path}"


MetricsAddress = TcpAddress | UnixAddress


def parse_address(text: str) -> MetricsAddress:
    """Read "ADDRESS:PORT", "[IPV6]:PORT" or "unix:PATH"; ValueError with a sentence."""
    if text.startswith(UNIX):
        path = Path(text.removeprefix(UNIX))
        if not path.name or len(str(path).encode()) > LONGEST_PATH:
            raise ValueError(f"a socket needs a path of up to {LONGEST_PATH} octets; write {EXAMPLES}")
        return UnixAddress(path)
    host, colon, number = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ip_address(bare)
    except ValueError:
        raise ValueError(f"{text!r} is no address with a port; write {EXAMPLES}") from None
    if not colon or (address.version == 6 and bare == host):
        raise ValueError(f'an IPv6 address stands in brackets before its port; write "[{bare}]:9469"')
    if not (number.isascii() and number.isdigit() and LOWEST_PORT <= int(number[:6]) <= 65535):
        raise ValueError(f"{number!r} is no port that a node may open; write a number from {LOWEST_PORT} to 65535")
    return TcpAddress(address, int(number))
