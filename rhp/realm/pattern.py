"""Patterns: which identities are meant by one text of the configuration (RFC 7296 section 3.5).

A pattern is exact, a domain ("*@x" of mail addresses, "*.x" of host names), a network of addresses, a distinguished
name, or "%any". There are two readings of a distinguished name. As the `remote.id` of a connection it is whole, and "*"
may stand for a value. In the `match` of a realm it lists parts: who has all of them fits, in whatever order and
whatever else there is.

Of two patterns that fit one identity the narrower one has the greater `specificity`. `rhp.realm.table` finds the
patterns that fit without trying each, and `rhp.realm.conflicts` finds two of which neither is the narrower one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_interface, ip_network
from typing import Literal

from rhp.pki.dn import Part, comparable, read_dn, split_dn
from rhp.pki.identity import ANONYMOUS, NAME, parse_identity, same_identity
from rhp.wire.iana import IdType
from rhp.wire.identity import Identity

Kind = Literal["any", "parts", "dn", "net", "name", "mail", "exact", "null"]
IpNetwork = IPv4Network | IPv6Network
Specificity = tuple[int, int, int]

_RANKS: dict[Kind, int] = {"any": 0, "parts": 1, "dn": 2, "net": 3, "name": 4, "mail": 5, "exact": 6, "null": 7}
# No identity and no name of an attribute begins like this.
_RULE = "match "
_ANY_TEXTS = ("%any", "*", "any")
_GRAMMAR = 'write "%any", "*@domain", "*.domain", a network or one identity'


@dataclass(frozen=True, slots=True)
class IdentityPattern:
    """What a peer's identity has to be: exact, "%any", "*@x" (mail), "*.x" (name), a network, a DN with "*" as a value.

    "%null" is a peer without a name, and no other pattern fits such a one: not "%any" either. `kind` says which of
    these it is, "parts" for a DN of a realm. `identity` is the exact one, `domain` what follows "*@" or "*.", in small
    letters, `network` holds addresses, and `parts` are those of a DN, in the form in which equal ones are equal.
    """

    text: str
    kind: Kind = field(default="any", repr=False)
    identity: Identity | None = field(default=None, repr=False, compare=False)
    domain: bytes = field(default=b"", repr=False, compare=False)
    parts: tuple[Part, ...] = field(default=(), repr=False, compare=False)
    network: IpNetwork | None = field(default=None, repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> IdentityPattern:
        """Read the `remote.id` of a connection; ValueError with a sentence when it is none."""
        text = text.strip()
        if text in _ANY_TEXTS:
            return cls("%any")
        if text == "%null":
            return cls(text, "null")
        if text.startswith(("*@", "*.")):
            if not NAME.match(text[2:]):
                raise ValueError(f'"{text}" is not a pattern: a domain has to follow "{text[:2]}"')
            return cls(text, "mail" if text[1] == "@" else "name", domain=text[2:].lower().encode("ascii"))
        if "=" in text and any(value == "*" for _, value in split_dn(text)):
            # By way of the encoding, which may refuse a value that no certificate can have.
            return cls(text, "dn", parts=comparable(read_dn(parse_identity(text).data)))
        if (network := _network(text)) is not None:
            return cls(text, "net", network=network)
        if "*" in text or text.startswith("%"):
            raise ValueError(f'"{text}" is not a pattern: {_GRAMMAR}')
        return cls(text, "exact", parse_identity(text))

    @classmethod
    def rule(cls, text: str) -> IdentityPattern:
        """Read one text of a realm's `match`; ValueError with a sentence when it is none."""
        text = text.strip()
        if text in _ANY_TEXTS:
            return cls("%any")
        if "=" not in text:
            return cls.parse(text)
        parts = comparable(read_dn(parse_identity(text).data))
        for number, part in enumerate(parts):
            if part in parts[:number]:
                raise ValueError(f'"{text}" has a part twice; leave one of them out')
        return cls(text, "parts", parts=parts)

    def export(self) -> str:
        """One text from which `restore` makes the same pattern, whichever of the two readings it had."""
        return f"{_RULE}{self.text}" if self.kind == "parts" else self.text

    @classmethod
    def restore(cls, text: str) -> IdentityPattern:
        """The pattern of which `export` gave that text; ValueError for another text."""
        return cls.rule(text.removeprefix(_RULE)) if text.startswith(_RULE) else cls.parse(text)

    @property
    def specificity(self) -> Specificity:
        """A rank by which the narrower of two patterns is the greater one."""
        fixed = sum(value != "*" for _, value in self.parts)
        if self.network is not None:
            return _RANKS[self.kind], self.network.prefixlen, 0
        return _RANKS[self.kind], len(self.parts) or len(self.domain), fixed

    def matches(self, identity: Identity) -> bool:
        """Whether the identity fits."""
        if self.kind == "null" or identity.id_type == IdType.NULL:
            return self.kind == "null" and identity == ANONYMOUS
        if self.kind == "any":
            return True
        if self.kind == "exact":
            return self.identity is not None and same_identity(self.identity, identity)
        if self.kind in ("dn", "parts"):
            return self._has_parts(identity)
        if self.network is not None:
            address = address_of(identity)
            return address is not None and address.version == self.network.version and address in self.network
        wanted = IdType.RFC822_ADDR if self.kind == "mail" else IdType.FQDN
        name, suffix = identity.data.lower(), (b"@" if self.kind == "mail" else b".") + self.domain
        return (
            identity.id_type == wanted
            and name.endswith(suffix)
            and len(name) > len(suffix)
            and name.count(b"@") == suffix.count(b"@")
        )

    def _has_parts(self, identity: Identity) -> bool:
        found = dn_parts(identity)
        if found is None:
            return False
        if self.kind == "parts":
            return with_wildcards(found).issuperset(self.parts)
        return len(self.parts) == len(found) and all(
            oid == other and value in ("*", given)
            for (oid, value), (other, given) in zip(self.parts, found, strict=True)
        )


def address_of(identity: Identity) -> IPv4Address | IPv6Address | None:
    """The address that an identity is; None for another identity or a malformed one."""
    if identity.id_type == IdType.IPV4_ADDR and len(identity.data) == 4:
        return IPv4Address(identity.data)
    if identity.id_type == IdType.IPV6_ADDR and len(identity.data) == 16:
        return IPv6Address(identity.data)
    return None


def _network(text: str) -> IpNetwork | None:
    """The network that a text is; None where it is none. ValueError for one with bits behind its prefix."""
    if "/" not in text:
        return None
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    if str(network.network_address) != str(ip_interface(text).ip):
        raise ValueError(f'"{text}" has bits set behind its prefix; write "{network}"')
    return network


def dn_parts(identity: Identity) -> tuple[Part, ...] | None:
    """The parts of a distinguished name, equal ones alike; None for another identity or a malformed one."""
    if identity.id_type != IdType.DER_ASN1_DN:
        return None
    try:
        return comparable(read_dn(identity.data))
    except ValueError:
        return None


def with_wildcards(parts: Iterable[Part]) -> set[Part]:
    """The parts of a name, and for each attribute that it has the part with "*" as its value."""
    return {one for oid, value in parts for one in ((oid, value), (oid, "*"))}
