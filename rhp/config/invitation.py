"""An invitation: all that one client needs to know of a gateway, as text that can be copied and pasted.

    -----BEGIN RHP INVITATION-----
    base64 of a JSON object
    -----END RHP INVITATION-----

It holds the client's secret, a shared key or a private key, so it travels over a safe way and is deleted afterwards.
What is read is anybody's text: it is bounded, and every value is judged before a file is written.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import asdict, dataclass, field, fields
from ipaddress import ip_network
from textwrap import wrap

from rhp.config.values import address_text, remote_address

BEGIN, END = "-----BEGIN RHP INVITATION-----", "-----END RHP INVITATION-----"
LARGEST = 64 * 1024
"""The longest text that is looked at, in characters."""

_VERSION = 1
_COLUMNS = 64
_MOST_NETWORKS = 64
_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
_CLIENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


@dataclass(frozen=True, slots=True)
class Invitation:
    """One client's: it calls `address`, expects the gateway `gateway` and is known there as `client`@`gateway`.

    Either `psk` is given, or `ca`, `certificate` and `key`, which are PEM. `networks` are what lies behind the gateway.
    """

    gateway: str
    address: str
    client: str
    networks: tuple[str, ...]
    psk: str = field(default="", repr=False)
    ca: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)

    @property
    def identity(self) -> str:
        """Who the client is towards the gateway."""
        return f"{self.client}@{self.gateway}"

    def text(self) -> str:
        """Write it, with a newline at the end."""
        packed = base64.b64encode(json.dumps({"version": _VERSION, **asdict(self)}).encode()).decode()
        return "\n".join((BEGIN, *wrap(packed, _COLUMNS), END)) + "\n"


def read_invitation(text: str) -> Invitation:
    """Read an invitation, whatever stands around it; ValueError with a sentence when there is none that is whole."""
    _, begin, rest = text[: LARGEST + 1].partition(BEGIN)
    body, end, _ = rest.partition(END)
    if not begin or not end:
        raise ValueError(f'there is no invitation in it; it goes from "{BEGIN}" to "{END}"')
    try:
        found = json.loads(base64.b64decode("".join(body.split()), validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise ValueError("the invitation is damaged; copy the whole of it again") from None
    if not isinstance(found, dict) or found.pop("version", None) != _VERSION:
        raise ValueError("the invitation is of another version of rhp; use the same one at both ends")
    return _judged(found)


def host_name(text: str) -> str:
    """Read the name of a gateway, a host name; ValueError with a sentence when it is none."""
    if not _NAME.fullmatch(text) or text.rpartition(".")[2].isdigit():
        raise ValueError(f"{json.dumps(text)} is not the name of a host; write for example vpn.example.org")
    return text.lower()


def host_to_call(text: str) -> str:
    """Read the address or host name of one gateway; ValueError with a sentence when it is none."""
    if not text.isprintable():
        raise ValueError(
            f"{json.dumps(text[:40])} is neither an IP address nor a host name; write for example 192.0.2.7"
        )
    found = remote_address(text)
    if isinstance(found, str):
        return found
    if found.num_addresses > 1:
        raise ValueError(f"{found} is a network; write the one address that clients call")
    return str(found[0])


def client_name(text: str) -> str:
    """Read the name of a client; ValueError with a sentence when it is none."""
    if not _CLIENT.fullmatch(text):
        raise ValueError(f"{json.dumps(text)} is not a client's name; write letters and digits, for example laptop")
    return text.lower()


def _judged(found: dict[str, object]) -> Invitation:
    names = {one.name for one in fields(Invitation)}
    networks = found.pop("networks", None)
    texts = {name: value for name, value in found.items() if isinstance(value, str)}
    if {*texts, "networks"} != names or len(texts) != len(found):
        raise ValueError("the invitation is not whole; copy it again")
    if not isinstance(networks, list) or not 1 <= len(networks) <= _MOST_NETWORKS:
        raise ValueError("the invitation names no network behind the gateway; ask for another one")
    host_name(texts["gateway"])
    client_name(texts["client"])
    host_to_call(texts["address"])
    try:
        behind = tuple(str(ip_network(address_text(one))) for one in networks)
    except ValueError:
        raise ValueError("the invitation names a network that is none; ask for another one") from None
    if bool(texts["psk"]) == bool(texts["ca"] and texts["certificate"] and texts["key"]):
        raise ValueError("the invitation has neither a shared key nor a certificate; ask for another one")
    return Invitation(networks=behind, **texts)
