"""What a key's value looks like, by the name of its type in the model."""

from __future__ import annotations

import re
from inspect import get_annotations
from typing import get_type_hints

from rhp.config import model

KINDS = {
    "Text": "text",
    "Texts": "list of texts",
    "Seconds": "time",
    "Octets": "octets",
    "Packets": "packets",
    "Port": "port",
    "Lanes": 'number, `"auto"`',
    "Spare": "number",
    "Cpus": "list of numbers",
    "Mtu": 'octets, `"auto"`',
    "QueueLength": "frames",
    "Segments": "number",
    "Mss": 'octets, `"auto"`, `false`',
    "Window": "packets",
    "Account": "name",
    "LogLevel": "level",
    "LogLevels": "table of levels",
    "MetricsPlace": "address",
    "Mac": "MAC address",
    "PpkId": "text",
    "Device": "name",
    "Folder": "path",
    "RunFolder": "path",
    "Networks": "list of networks",
    "Remotes": "list of addresses",
    "Addresses": "list of addresses",
    "Selectors": "list of selectors",
    "Ranges": "list of ranges",
    "Servers": "list of addresses",
    "Domains": "list of names",
    "IkeProposals": "list of proposals",
    "EspProposals": "list of proposals",
    "LocalId": "identity",
    "RemoteId": "pattern",
    "Match": "list of patterns",
    "AuthMethod": '`"psk"`, `"pubkey"`, `"null"`',
    "SecretStr": "secret",
    "bool": "`true`, `false`",
    "list[StaticEntry]": "list of tables",
    "dict[str, Text]": "table of files",
    "dict[str, Address]": "table of addresses",
}
"""A type of the model without an entry here has no page yet: `kind` raises `KeyError` with its name."""

FILES = {"certs": "list of files", "cas": "list of files", "key": "file", "psk_file": "file", "ppk_file": "file"}
"""Texts that are names of files."""

_LITERAL = re.compile(r"Literal\[(.*)\]$")


def kind(table: type[model.Table], key: str) -> str:
    """What may be written for a key, in a few words; raises `KeyError` where the words are missing."""
    if key in FILES:
        return FILES[key]
    written = _annotation(table, key).removesuffix(" | None")
    if literal := _LITERAL.match(written):
        return ", ".join(f"`{word.strip()}`" for word in literal[1].replace("'", '"').split(","))
    hint = get_type_hints(table)[key]
    if isinstance(hint, type) and issubclass(hint, model.Table):
        return "table"
    return KINDS[written]


def _annotation(table: type[model.Table], key: str) -> str:
    """A key's type as the model writes it, in whichever class of the table's line it stands."""
    for one in table.__mro__:
        if key in (own := get_annotations(one)):
            return str(own[key])
    raise KeyError(key)
