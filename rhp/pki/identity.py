"""Identities as text: what a configuration writes and what a log shows (RFC 7296 section 3.5)."""

from __future__ import annotations

import re
from ipaddress import ip_address

from rhp.pki.dn import comparable, format_dn, parse_dn, read_dn
from rhp.wire.iana import IdType
from rhp.wire.identity import Identity

_LONGEST_TEXT = 256
_ADDRESS_BYTES = {int(IdType.IPV4_ADDR): 4, int(IdType.IPV6_ADDR): 16}
NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\Z")
"""A host or domain name, as identities have them."""
_NUMBERS = re.compile(r"\d+(\.\d+){3}\Z")
_MAIL = re.compile(r"[!-?A-~]+@[A-Za-z0-9_.-]+\Z")

ANONYMOUS = Identity(IdType.NULL, b"")
"""Nobody in particular: ID_NULL, whose data is empty (RFC 7619 section 2.2). Two who call themselves so are two."""


def parse_identity(text: str) -> Identity:
    """Read "a@x" (RFC822), "a.b" (FQDN), an IP address, "C=.., O=.." (DN) or "@#hex" (KEY_ID); ValueError otherwise.

    "@a" is an FQDN whatever it looks like.
    """
    text = text.strip()
    if text.startswith("@#"):
        try:
            return Identity(IdType.KEY_ID, bytes.fromhex(text[2:]))
        except ValueError:
            raise ValueError(f'"{text}" is not a key ID: hexadecimal digits in pairs follow "@#"') from None
    if "=" in text:
        return Identity(IdType.DER_ASN1_DN, parse_dn(text))
    # No other text is an address, and to have it refused as one takes longer than all the rest.
    if ":" not in text and not text[:1].isdigit():
        return _parse_name(text)
    try:
        address = ip_address(text)
    except ValueError:
        return _parse_name(text)
    return Identity(IdType.IPV4_ADDR if address.version == 4 else IdType.IPV6_ADDR, address.packed)


def _parse_name(text: str) -> Identity:
    if text.startswith("@") and NAME.match(text[1:]):
        return Identity(IdType.FQDN, text[1:].encode("ascii"))
    if _MAIL.match(text):
        return Identity(IdType.RFC822_ADDR, text.encode("ascii"))
    if NAME.match(text) and not _NUMBERS.match(text):
        return Identity(IdType.FQDN, text.encode("ascii"))
    raise ValueError(
        f'"{text}" is not an identity: write a name like "gate.example.org", a mail address, an IP address, '
        'a distinguished name like "C=CH, CN=gate" or a key ID like "@#0a1b"'
    )


def format_identity(identity: Identity) -> str:
    """Return printable text for any identity, at most a few hundred characters; never raises."""
    text = _format(int(identity.id_type), identity.data)
    if text.isprintable() and len(text) <= _LONGEST_TEXT:
        return text
    printable = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return printable if len(printable) <= _LONGEST_TEXT else printable[: _LONGEST_TEXT - 3] + "..."


def _format(id_type: int, data: bytes) -> str:
    if id_type == IdType.NULL and not data:
        return "%null"
    if _ADDRESS_BYTES.get(id_type) == len(data):
        return str(ip_address(data))
    if id_type in (IdType.FQDN, IdType.RFC822_ADDR):
        return data[:_LONGEST_TEXT].decode("utf-8", "backslashreplace")
    if id_type == IdType.DER_ASN1_DN:
        try:
            return format_dn(data)
        except ValueError:
            return f"malformed DN #{data[:_LONGEST_TEXT].hex()}"
    if id_type == IdType.KEY_ID:
        return f"@#{data[:_LONGEST_TEXT].hex()}"
    return f"ID type {id_type} #{data[:_LONGEST_TEXT].hex()}" if data else f"ID type {id_type}, empty"


def same_identity(one: Identity, other: Identity) -> bool:
    """Whether two identities mean the same: names whatever their letter case, DNs by their parts, else by octets."""
    if one.id_type != other.id_type:
        return False
    if one.data == other.data:
        return True
    if one.id_type in (IdType.FQDN, IdType.RFC822_ADDR):
        return one.data.lower() == other.data.lower()
    if one.id_type == IdType.DER_ASN1_DN:
        try:
            return comparable(read_dn(one.data)) == comparable(read_dn(other.data))
        except ValueError:
            return False
    return False
