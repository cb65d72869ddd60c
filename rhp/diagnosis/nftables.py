"""What an nftables rule set does with a packet, as far as can be said without sending one.

A ruleset is what `nft -j list ruleset` prints (libnftables-json(5)). Of the packet only some things are known, so a
match is true, false or open. A chain is walked twice: as if nothing open were so, which gives what usually happens,
and with both ways of each open match, which gives what may happen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["accept", "drop"]
Fate = Literal["passes", "depends", "blocked"]

DEEPEST = 16
_PROTOCOLS = {"udp": 17, "esp": 50, "tcp": 6, "icmp": 1, "icmpv6": 58, "ah": 51, "ipv6-icmp": 58}


@dataclass(frozen=True, slots=True)
class Packet:
    """What is known: the IP version, the protocol by name, the ports of UDP, what conntrack calls it, and the interface
    by which it comes; None is some interface to the network."""

    version: int
    protocol: str
    port: int | None = None
    state: str = "new"
    interface: str | None = None


class Ruleset:
    """The chains of a rule set, by their family, table and name."""

    def __init__(self, listed: Mapping[str, Any]) -> None:
        self._base: list[dict[str, Any]] = []
        self._rules: dict[tuple[str, str, str], list[list[dict[str, Any]]]] = {}
        for entry in listed.get("nftables", ()):
            if "chain" in entry:
                chain = entry["chain"]
                self._rules.setdefault(_key(chain, chain["name"]), [])
                if chain.get("type") == "filter":
                    self._base.append(chain)
            elif "rule" in entry:
                rule = entry["rule"]
                self._rules.setdefault(_key(rule, rule["chain"]), []).append(rule.get("expr", []))

    def fate(self, packet: Packet, hook: str) -> tuple[Fate, str | None]:
        """What becomes of the packet at a hook ("input"), and which chain is to blame. Every base chain has its say."""
        worst: tuple[Fate, str | None] = ("passes", None)
        families = ("inet", "ip" if packet.version == 4 else "ip6")
        for chain in self._base:
            if chain.get("hook") != hook or chain["family"] not in families:
                continue
            place = f"{chain['family']} {chain['table']} {chain['name']}"
            usual, possible = self._verdicts(chain, packet)
            if usual == "drop" and possible == {"drop"}:
                return "blocked", place
            if usual == "drop":
                worst = ("depends", place)
        return worst

    def _verdicts(self, chain: Mapping[str, Any], packet: Packet) -> tuple[Verdict, set[Verdict]]:
        policy: Verdict = "drop" if chain.get("policy") == "drop" else "accept"
        key = _key(chain, chain["name"])
        found, falls = _Walk(self._rules, packet, open_matches=False).chain(key)
        usual = policy if falls else next(iter(found))
        possible, falls = _Walk(self._rules, packet, open_matches=True).chain(key)
        return usual, possible | ({policy} if falls else set())


class _Walk:
    """One packet's way through chains."""

    def __init__(
        self, rules: Mapping[tuple[str, str, str], list[list[dict[str, Any]]]], packet: Packet, *, open_matches: bool
    ) -> None:
        self._rules = rules
        self._packet = packet
        self._open = open_matches

    def chain(self, key: tuple[str, str, str], depth: int = 0) -> tuple[set[Verdict], bool]:
        """The verdicts that it may come to, and whether it may come to none."""
        found: set[Verdict] = set()
        for rule in self._rules.get(key, ()) if depth < DEEPEST else ():
            matched, verdict = self._rule(rule)
            if matched is False or verdict is None or (matched is None and not self._open):
                continue
            name, target = verdict
            if name in ("accept", "drop"):
                found.add("accept" if name == "accept" else "drop")
                falls = False
            elif name == "return":
                falls = True
            else:
                below, falls = self.chain((*key[:2], target), depth + 1)
                found |= below
            if matched is None:
                continue
            if name in ("return", "goto") or not falls:
                return found, falls
        return found, True

    def _rule(self, expressions: Iterable[Mapping[str, Any]]) -> tuple[bool | None, tuple[str, str] | None]:
        """Whether its matches are true of the packet, and what it says then."""
        matched: bool | None = True
        for one in expressions:
            kind, value = _only(one)
            if (verdict := _verdict(kind, value)) is not None:
                return matched, verdict
            if kind == "vmap":
                held, verdict = self._map(value)
                return _both(matched, held), verdict
            if kind == "match":
                matched = _both(matched, self._match(value))
            elif kind in ("limit", "xt", "unknown", "quota", "connlimit", "ct count"):
                matched = _both(matched, None)
            if matched is False:
                return False, None
        return matched, None

    def _map(self, value: Mapping[str, Any]) -> tuple[bool | None, tuple[str, str] | None]:
        data = value.get("data")
        for element in data.get("set", ()) if isinstance(data, dict) else ():
            if not isinstance(element, list) or len(element) != 2:
                continue
            matched = self._match({"op": "==", "left": value.get("key"), "right": element[0]})
            if matched is not False:
                return matched, _verdict(*_only(element[1]))
        return False, None

    def _match(self, value: Mapping[str, Any]) -> bool | None:
        known = self._known(value.get("left"))
        if known is None:
            return None
        held = _contains(value.get("right"), known)
        return held if held is None or value.get("op") != "!=" else not held

    def _known(self, left: object) -> tuple[object, ...] | None:
        """The ways to write what the packet has there; None where that is open, () where it has nothing like that."""
        if not isinstance(left, dict):
            return None
        packet = self._packet
        if "meta" in left:
            return _of_meta(left["meta"].get("key"), packet)
        if "ct" in left:
            return (packet.state,) if left["ct"].get("key") == "state" else None
        if "payload" not in left:
            return None
        protocol, field = left["payload"].get("protocol"), left["payload"].get("field")
        if protocol in ("ip", "ip6"):
            if protocol != ("ip" if packet.version == 4 else "ip6"):
                return ()
            return _named(packet) if field in ("protocol", "nexthdr") else None
        if protocol not in (packet.protocol, "th"):
            return () if protocol in _PROTOCOLS else None
        return (packet.port,) if field == "dport" and packet.port is not None else None


def _named(packet: Packet) -> tuple[object, ...]:
    return packet.protocol, _PROTOCOLS[packet.protocol]


def _of_meta(key: object, packet: Packet) -> tuple[object, ...] | None:
    if key == "l4proto":
        return _named(packet)
    if key == "nfproto":
        return ("ipv4", 2) if packet.version == 4 else ("ipv6", 10)
    if key in ("iif", "iifname"):
        return _ELSEWHERE if packet.interface is None else (packet.interface,)
    return None


class _Elsewhere(tuple[object, ...]):
    """The interface by which it comes from the network: some interface that is not the loopback."""


_ELSEWHERE = _Elsewhere()


def _contains(right: object, known: tuple[object, ...]) -> bool | None:
    if isinstance(known, _Elsewhere):
        return False if right == "lo" else None
    if isinstance(right, str) and right.startswith("@"):
        return None
    if isinstance(right, dict):
        if "range" in right:
            low, high = right["range"]
            return any(isinstance(one, int) and low <= one <= high for one in known)
        if "set" in right:
            return _any(_contains(one, known) for one in right["set"])
        return _contains(right["elem"].get("val"), known) if "elem" in right else None
    if isinstance(right, list):
        return _any(_contains(one, known) for one in right)
    if isinstance(right, str) and right.endswith("*"):
        return any(isinstance(one, str) and one.startswith(right[:-1]) for one in known) or right == "*"
    return right in known


def _any(values: Iterable[bool | None]) -> bool | None:
    found = list(values)
    if True in found:
        return True
    return None if None in found else False


def _both(one: bool | None, other: bool | None) -> bool | None:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _verdict(kind: str, value: Any) -> tuple[str, str] | None:  # noqa: ANN401  # Whatever JSON holds.
    if kind in ("accept", "drop", "return"):
        return kind, ""
    if kind == "reject" or (kind == "xt" and isinstance(value, dict) and value.get("name") == "REJECT"):
        return "drop", ""
    if kind in ("jump", "goto"):
        return kind, str(value.get("target"))
    return None


def _only(expression: object) -> tuple[str, Any]:
    """The one kind of an expression, and what it holds."""
    if isinstance(expression, dict) and len(expression) == 1:
        return next(iter(expression.items()))
    return "unknown", None


def _key(entry: Mapping[str, Any], chain: str) -> tuple[str, str, str]:
    return entry["family"], entry["table"], chain
