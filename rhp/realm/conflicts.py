"""Two patterns of two realms of which neither is the narrower one, although one identity may fit both.

Exact identities, domains and networks conflict when they are the same; of two that lie in each other one is narrower.
Two lists of parts conflict when they say as much, do not contradict each other, and name different attributes:
"O=example, OU=sales" and "O=example, C=CH" leave open where the sales people of Switzerland belong. A name may have
one attribute twice, but nobody means such a one, so "OU=sales" and "OU=production" are no conflict. Should such a name
come, the engine refuses it.

Patterns are looked up among the others, so hundreds of realms take no hundreds of comparisons each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from rhp.pki.dn import Part
from rhp.realm.key import identity_key
from rhp.realm.pattern import IdentityPattern, Specificity

Owned = tuple[Hashable, IdentityPattern]
_Group = tuple[Specificity, tuple[str, ...]]


class Conflict(NamedTuple):
    """The positions of two patterns that conflict, the later one first."""

    later: int
    earlier: int


def conflicts(owned: Sequence[Owned]) -> list[Conflict]:
    """The conflicts among patterns and their owners, one for each pattern at most, in the order of the later ones.

    That an owner has a pattern twice is one as well.
    """
    found: dict[int, Conflict] = {}
    for one in (*_doubles(owned), *_overlaps(owned)):
        found.setdefault(one.later, one)
    return [found[number] for number in sorted(found)]


def _doubles(owned: Sequence[Owned]) -> Iterator[Conflict]:
    known: dict[Hashable, int] = {}
    for number, (_, pattern) in enumerate(owned):
        earlier = known.setdefault(_meaning(pattern), number)
        if earlier != number:
            yield Conflict(number, earlier)


def _meaning(pattern: IdentityPattern) -> Hashable:
    """What two patterns that mean the same have in common."""
    if pattern.identity is not None:
        return pattern.kind, identity_key(pattern.identity)
    if pattern.kind == "parts":
        return pattern.kind, frozenset(pattern.parts)
    return pattern.kind, pattern.domain, pattern.parts, pattern.network


def _overlaps(owned: Sequence[Owned]) -> Iterator[Conflict]:
    """Lists of parts that name different attributes, which are grouped by these: there are few such groups."""
    groups: dict[_Group, list[int]] = {}
    for number, (_, pattern) in enumerate(owned):
        if pattern.kind == "parts":
            attributes = tuple(sorted(oid for oid, _ in pattern.parts))
            groups.setdefault((pattern.specificity, attributes), []).append(number)
    for (one, ours), (other, theirs) in combinations(groups.items(), 2):
        if one[0] == other[0]:
            yield from _meet(owned, ours, theirs, _comparable(one[1], other[1]))


def _comparable(one: Sequence[str], other: Sequence[str]) -> frozenset[str]:
    """The attributes that both name, once each: where their values differ the two exclude each other."""
    counts = Counter(one), Counter(other)
    return frozenset(oid for oid in counts[0] if counts[0][oid] == counts[1][oid] == 1)


def _meet(
    owned: Sequence[Owned], ours: Sequence[int], theirs: Sequence[int], attributes: frozenset[str]
) -> Iterator[Conflict]:
    index: dict[frozenset[Part], list[int]] = {}
    for number in ours:
        index.setdefault(_common(owned[number][1], attributes), []).append(number)
    for number in theirs:
        rivals = index.get(_common(owned[number][1], attributes), ())
        rival = next((other for other in rivals if owned[other][0] != owned[number][0]), None)
        if rival is not None:
            yield Conflict(max(number, rival), min(number, rival))


def _common(pattern: IdentityPattern, attributes: frozenset[str]) -> frozenset[Part]:
    return frozenset(part for part in pattern.parts if part[0] in attributes)
