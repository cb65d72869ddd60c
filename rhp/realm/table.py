"""Many patterns, and which of them fit an identity: found by looking up, not by trying each.

    exact               a dictionary by identity
    "*@sales.example"   a dictionary by domain
    "*.sales.example"   a dictionary by domain, asked for each domain that the name lies in
    "10.0.0.0/8"        a dictionary by network, asked once for each length of prefix
    "O=example, OU=x"   a dictionary by one part, the one that the fewest other patterns have
    "%any", "%null"     lists

What a look-up finds is tried once more by the pattern itself, so that the index can only be incomplete, never wrong.
A few hundred realms cost a handshake as much as one; a packet never comes here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import Generic, TypeVar

from rhp.pki.dn import Part
from rhp.realm.key import Key, identity_key
from rhp.realm.pattern import IdentityPattern, IpNetwork, address_of, dn_parts, with_wildcards
from rhp.wire.iana import IdType
from rhp.wire.identity import Identity

V = TypeVar("V")
Entry = tuple[IdentityPattern, V]


class PatternTable(Generic[V]):
    """Patterns and what each stands for. Entries that fit equally well come out in the order they were put in."""

    __slots__ = ("_anchored", "_any", "_exact", "_labels", "_mail", "_name", "_networks", "_null", "_prefixes", "tried")

    def __init__(self, entries: Iterable[Entry[V]] = ()) -> None:
        self._any: list[Entry[V]] = []
        self._null: list[Entry[V]] = []
        self._exact: dict[Key, list[Entry[V]]] = {}
        self._mail: dict[bytes, list[Entry[V]]] = {}
        self._name: dict[bytes, list[Entry[V]]] = {}
        self._labels = 0
        self._networks: dict[IpNetwork, list[Entry[V]]] = {}
        # The lengths of prefixes, by IP version.
        self._prefixes: dict[int, set[int]] = {4: set(), 6: set()}
        # How many patterns were tried one by one so far; a test counts by this that the index does its work.
        self.tried = 0
        listed = list(entries)
        for entry in listed:
            self._put(entry)
        self._anchored = _anchor([entry for entry in listed if entry[0].parts])

    def find(self, identity: Identity) -> list[Entry[V]]:
        """The entries whose patterns fit, the narrowest first."""
        found = [entry for entry in self._candidates(identity) if self._fits(entry[0], identity)]
        found.sort(key=lambda entry: entry[0].specificity, reverse=True)
        return found

    def _fits(self, pattern: IdentityPattern, identity: Identity) -> bool:
        if pattern.kind in ("any", "null"):
            return True
        self.tried += 1
        return pattern.matches(identity)

    def _candidates(self, identity: Identity) -> Iterator[Entry[V]]:
        if identity.id_type == IdType.NULL:
            yield from self._null if not identity.data else ()
            return
        yield from self._exact.get(identity_key(identity), ())
        if identity.id_type == IdType.RFC822_ADDR:
            yield from self._mail.get(identity.data.lower().partition(b"@")[2], ())
        elif identity.id_type == IdType.FQDN:
            for domain in self._domains(identity.data.lower()):
                yield from self._name.get(domain, ())
        elif (address := address_of(identity)) is not None:
            for prefix in self._prefixes[address.version]:
                yield from self._networks.get(ip_network((address, prefix), strict=False), ())
        elif self._anchored and (parts := dn_parts(identity)) is not None:
            for part in with_wildcards(parts):
                yield from self._anchored.get(part, ())
        yield from self._any

    def _domains(self, name: bytes) -> Iterator[bytes]:
        """The domains that a name lies in, as far as any pattern's has so many labels: a name may be a long one."""
        end = len(name)
        for _ in range(self._labels):
            end = name.rfind(b".", 0, end)
            if end < 0:
                return
            yield name[end + 1 :]

    def _put(self, entry: Entry[V]) -> None:
        pattern = entry[0]
        if pattern.network is not None:
            self._prefixes[pattern.network.version].add(pattern.network.prefixlen)
            self._networks.setdefault(pattern.network, []).append(entry)
            return
        if pattern.kind == "any":
            self._any.append(entry)
        elif pattern.kind == "null":
            self._null.append(entry)
        elif pattern.identity is not None:
            self._exact.setdefault(identity_key(pattern.identity), []).append(entry)
        elif pattern.kind == "mail":
            self._mail.setdefault(pattern.domain, []).append(entry)
        elif pattern.kind == "name":
            self._name.setdefault(pattern.domain, []).append(entry)
            self._labels = max(self._labels, pattern.domain.count(b".") + 1)


def _anchor(entries: list[Entry[V]]) -> dict[Part, list[Entry[V]]]:
    """Patterns of distinguished names by the one part of each that leads to the fewest others."""
    common = Counter(part for pattern, _ in entries for part in set(pattern.parts))
    found: dict[Part, list[Entry[V]]] = {}
    for entry in entries:
        rarest = min(entry[0].parts, key=lambda part: (common[part], part[1] == "*"))
        found.setdefault(rarest, []).append(entry)
    return found
