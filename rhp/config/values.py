"""One function per kind of value that a configuration holds: what TOML gave in, the parsed value or ValueError out.

The error is one sentence that says what is wrong and what to write instead; the caller adds the key and the line.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_interface, ip_network
from pathlib import Path

from rhp.config.suggest import nearest, one_of
from rhp.node.metrics.address import MetricsAddress, parse_address
from rhp.node.paths import CONTROL_SOCKET
from rhp.node.subsystems import SUBSYSTEMS

IpNetwork = IPv4Network | IPv6Network
IpInterface = IPv4Interface | IPv6Interface

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SHIFTS = {"K": 10, "M": 20, "G": 30, "T": 40}
_OCTETS = re.compile(r"(\d{1,9})\s*([KkMmGgTt])")
_DURATION = re.compile(r"(\d{1,9})\s*([smhd]?)")
_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,14}")
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_LONGEST_SOCKET = 107
_LOG_LEVELS = ("debug", "info", "warning", "error")


def shown(value: object) -> str:
    """Write a value about as TOML does, and short."""
    written = json.dumps(value, default=str, ensure_ascii=False)
    return written if len(written) <= 80 else written[:77] + "..."


def text(value: object) -> str:
    """Return a string that is not empty."""
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not text; write it in quotes")
    if not value.strip():
        raise ValueError("the text is empty; write a value or leave the key out")
    return value


def as_list(value: object) -> object:
    """Let a single text stand for a list of one."""
    return [value] if isinstance(value, str) else value


def duration(value: object) -> int:
    """Read "90s", "30m", "4h", "1d" or a whole number of seconds; return seconds."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match:
        return int(match[1]) * _UNITS[match[2] or "s"]
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(
        f'{shown(value)} is not a time; write seconds, or a number with a unit such as "90s", "30m" or "4h"'
    )


def octets(value: object) -> int:
    """Read "500M", "64G" or a whole number of octets, where K is 1024; return octets, below 2^63."""
    match = _OCTETS.fullmatch(value.strip()) if isinstance(value, str) else None
    number = value if isinstance(value, int) and not isinstance(value, bool) else -1
    if match:
        number = int(match[1]) << _SHIFTS[match[2].upper()]
    if 0 <= number < 1 << 63:
        return number
    raise ValueError(
        f'{shown(value)} is not a number of octets; write one, or a number with a unit such as "500M" or "64G"'
    )


def address_text(value: object) -> str:
    """Return the text of an address, a network or a range; of a scope ("%eth0") no value here can make anything."""
    written = text(value).strip()
    if "%" in written:
        raise ValueError(f'"{written}" has a scope; write it without the "%" and the interface behind it')
    return written


def network(value: object) -> IpNetwork:
    """Read an IP address or network, "192.0.2.7" or "192.0.2.0/24"; return it as a network."""
    written = address_text(value)
    try:
        return ip_network(written)
    except ValueError:
        pass
    try:
        fitting = ip_network(written, strict=False)
    except ValueError:
        raise ValueError(
            f'"{written}" is not an IP address or network; write for example "192.0.2.7" or "192.0.2.0/24"'
        ) from None
    raise ValueError(f'"{written}" has bits set behind its prefix; write "{fitting}"')


def remote_address(value: object) -> IpNetwork | str:
    """Read an address, a network or a host name; return a host name as text."""
    written = text(value).strip()
    labels = written.rstrip(".").split(".")
    numeric = labels[-1].isdigit() or ":" in written or "/" in written
    if numeric:
        return network(written)
    if len(written) <= 253 and all(_HOST_LABEL.fullmatch(label) for label in labels):
        return written.rstrip(".")
    raise ValueError(f'"{written}" is neither an IP address nor a host name; write for example "192.0.2.7"')


def interface_address(value: object) -> IpInterface:
    """Read an address with its prefix length, "10.77.0.1/24"."""
    written = address_text(value)
    if "/" not in written:
        raise ValueError(f'"{written}" has no prefix length; write for example "{written}/24"')
    try:
        found = ip_interface(written)
    except ValueError:
        raise ValueError(f'"{written}" is not an address with a prefix; write for example "10.77.0.1/24"') from None
    ip, net = found.ip, found.network
    if ip.is_unspecified or ip.is_multicast or ip.is_loopback:
        raise ValueError(f'"{written}" cannot be the address of an interface; write for example "10.77.0.1/24"')
    # RFC 3021 and RFC 6164: with one bit left for hosts, both addresses are stations.
    if net.num_addresses > 2 and ip == net.network_address and ip.version == 4:
        first = f"{ip + 1}/{net.prefixlen}"
        raise ValueError(f'"{written}" is the network itself; write an address in it, such as "{first}"')
    if net.num_addresses > 2 and ip == net.broadcast_address and ip.version == 4:
        raise ValueError(f'"{written}" is the broadcast address; write an address below it')
    return found


def mac(value: object) -> bytes:
    """Read six hexadecimal octets, "02:00:5e:00:00:01"; return 6 octets, never a multicast address."""
    written = text(value).strip()
    if not re.fullmatch(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}", written):
        raise ValueError(f'"{written}" is not a MAC address; write for example "02:00:5e:00:00:01"')
    octets = bytes.fromhex(re.sub("[:-]", "", written))
    if octets[0] & 1:
        raise ValueError(f'"{written}" is a multicast address; make the first octet even, such as 02')
    if not any(octets):
        raise ValueError(f'"{written}" is no station\'s address; write for example "02:00:5e:00:00:01"')
    return octets


def device(value: object) -> str:
    """Read the name of a network interface: at most 15 characters."""
    written = text(value)
    if not _DEVICE.fullmatch(written):
        raise ValueError(f'"{written}" cannot name an interface; write up to 15 letters, digits, ".", "-" or "_"')
    return written


def run_folder(value: object) -> Path:
    """Read the folder of the control socket, whose path Linux bounds (unix(7))."""
    folder = Path(text(value))
    if len(os.fsencode(folder / CONTROL_SOCKET)) > _LONGEST_SOCKET:
        raise ValueError(f"this is too long for the path of a socket; write up to {_LONGEST_SOCKET - 13} characters")
    return folder


def name(value: object) -> str:
    """Read the name of a connection or a child."""
    written = text(value)
    if not _NAME.fullmatch(written):
        raise ValueError(
            f'"{written}" cannot be a name; write up to 63 letters, digits, ".", "-" or "_", not beginning with a sign'
        )
    return written


def ppk_id(value: object) -> str:
    """Read the name of a post-quantum preshared key, which travels as its octets (RFC 8784 section 5.1)."""
    written = text(value)
    if not written.isascii() or not written.isprintable() or len(written) > 255:
        raise ValueError("this cannot name a key; write up to 255 printable ASCII characters, the same at both ends")
    return written


def account(value: object) -> str:
    """Read the name of a user or a group of this machine; root is none of those that fit."""
    name = text(value)
    if not _ACCOUNT.fullmatch(name):
        raise ValueError(f'"{name}" is not the name of a user or a group; write one like "rhp"')
    if name == "root":
        raise ValueError("the processes of a node give up being root; write a user of their own")
    return name


def log_level(value: object) -> str:
    """Read one of the levels of logging."""
    written = text(value).lower()
    if written not in _LOG_LEVELS:
        hint = nearest(written, _LOG_LEVELS)
        raise ValueError(f'"{written}" is not a log level; write {hint or one_of(_LOG_LEVELS)}')
    return written


def log_levels(value: object) -> dict[str, str]:
    """Read a table of levels by subsystem."""
    if not isinstance(value, dict):
        raise ValueError('write a table of levels, such as {ike = "debug"}')
    for subsystem in value:
        if subsystem not in SUBSYSTEMS:
            hint = nearest(str(subsystem), SUBSYSTEMS)
            raise ValueError(f'"{subsystem}" is no part of the log; write {hint or one_of(SUBSYSTEMS)}')
    return {subsystem: log_level(level) for subsystem, level in value.items()}


def metrics_address(value: object) -> MetricsAddress:
    """Read where metrics are served."""
    return parse_address(text(value))


def whole(low: int, high: int, noun: str, *words: str | bool) -> Callable[[object], int | str | bool]:
    """Make a reader of whole numbers from `low` to `high`, or one of `words`; `noun` says what the number is."""
    hint = f"write a whole number from {low} to {high}"
    if words:
        hint += f" or {one_of(json.dumps(word) for word in words)}"

    def read(value: object) -> int | str | bool:
        if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value) and low <= int(value) <= high:
            raise ValueError(f'"{value}" is text and not {noun}; write {int(value)} without quotes')
        for word in words:
            if type(value) is type(word) and value == word:
                return word
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{shown(value)} is not {noun}; {hint}")
        return value

    return read
