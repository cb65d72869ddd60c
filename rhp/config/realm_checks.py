"""What must hold of the realms: whom each is for, and that no peer may belong to two."""

from __future__ import annotations

from rhp.config.model import Configuration, Realm
from rhp.config.peering_checks import auth_methods, check_names, check_peering, starts
from rhp.config.reading import Findings, Place
from rhp.realm.conflicts import conflicts
from rhp.realm.pattern import IdentityPattern

_EXAMPLE = '["*@sales.example.com"]'
_STRANGERS = IdentityPattern.parse("%null")
_Rule = tuple[Place, str, IdentityPattern]


def check_realms(configuration: Configuration, findings: Findings) -> None:
    """Note every mistake in the realms, and between them and the connections."""
    check_names("realms", (), configuration.realms, findings)
    names = {name.lower(): name for name in configuration.connections}
    for name, realm in configuration.realms.items():
        here = ("realms", name)
        if other := names.get(name.lower()):
            findings.add(here, f"the connection {other} has this name; write another one")
        _check_match(here, realm, findings)
        check_peering(here, realm, findings)
        _check_psk_owners(here, realm, findings)
    for method in ("psk", "pubkey", "null"):
        _check_conflicts(_rules(configuration, method), findings)


def _check_match(here: tuple[str, ...], realm: Realm, findings: Findings) -> None:
    strangers = auth_methods(realm)[1] == "null"
    if strangers and realm.match:
        findings.add((*here, "match"), "strangers have no name (remote.auth), so nothing fits; leave this out")
    if not strangers and not realm.match and not findings.was_wrong(*here, "match"):
        findings.add((*here, "match"), f"it is missing; write whom this realm is for, such as {_EXAMPLE}")
    if realm.remote.id is not None:
        findings.add(
            (*here, "remote", "id"), f'a realm says by match whom it is for; write match = ["{realm.remote.id.text}"]'
        )


def _check_psk_owners(here: tuple[str, ...], realm: Realm, findings: Findings) -> None:
    """A key for somebody who never comes to this realm is a mistake in one name or the other."""
    if not realm.match or findings.was_wrong(*here, "match"):
        return
    for who in realm.psk_files:
        try:
            pattern = IdentityPattern.parse(who)
        except ValueError:
            continue  # That was told already.
        if pattern.kind != "any" and not any(_meets(rule, pattern) for rule in realm.match):
            findings.add(
                (*here, "psk_files", who), f"no rule of {'.'.join(here)}.match fits; write one, or the name of a member"
            )


def _meets(rule: IdentityPattern, pattern: IdentityPattern) -> bool:
    """Whether somebody may fit both."""
    if pattern.identity is not None:
        return rule.matches(pattern.identity)
    if rule.identity is not None:
        return pattern.matches(rule.identity)
    if rule.network is not None and pattern.network is not None:
        return rule.network.version == pattern.network.version and rule.network.overlaps(pattern.network)
    if rule.kind == pattern.kind == "name":
        ours, theirs = b"." + rule.domain, b"." + pattern.domain
        return ours.endswith(theirs) or theirs.endswith(ours)
    return rule.kind == "any" or (rule.kind == pattern.kind and rule.domain == pattern.domain)


def _rules(configuration: Configuration, method: str) -> list[_Rule]:
    """All that decides among peers of one method: where it stands, whose it is, and the pattern.

    A connection for certain addresses takes its peers before any realm, and one that calls has no caller to share.
    """
    found: list[_Rule] = []
    for name, connection in configuration.connections.items():
        bound = connection.local_addrs or connection.remote_addrs or starts(connection) == "initiate"
        pattern = _STRANGERS if method == "null" else connection.remote.id
        if not bound and pattern is not None and auth_methods(connection)[1] == method:
            found.append((("connections", name), f"connection {name}", pattern))
    for name, realm in configuration.realms.items():
        if auth_methods(realm)[1] == method:
            here: Place = ("realms", name)
            rules = [_STRANGERS] if method == "null" else realm.match
            found += [((*here, "match", index), f"realm {name}", rule) for index, rule in enumerate(rules)]
    return found


def _check_conflicts(rules: list[_Rule], findings: Findings) -> None:
    for later, earlier in conflicts([(owner, pattern) for _, owner, pattern in rules]):
        (place, owner, pattern), (_, other, rival) = rules[later], rules[earlier]
        if place[0] == "connections":
            continue  # Among connections the first of equals serves; those that never would are found elsewhere.
        if pattern.kind == "null":
            findings.add(place[:2], f"strangers of the {owner} are the {other}'s as well; leave one of the two out")
        elif owner == other:
            findings.add(place, f"{rival.text} says the same; leave one of them out")
        else:
            findings.add(
                place,
                f"{pattern.text} of the {owner} and {rival.text} of the {other} may fit the same peer, and neither is "
                "narrower; write one that says more, or leave one of them out",
            )
