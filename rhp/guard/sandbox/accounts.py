"""The users and groups that the two processes run as, found by their names on this machine."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rhp.guard.brief import Identities
from rhp.node.errors import StartError

USERS_FILE = Path(__file__).parents[2] / "data" / "sysusers.conf"
"""sysusers.d(5): what makes them."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """Ids: the node's user and group, the guard's user and its group."""

    user: int
    group: int
    guard: int
    guard_group: int


def find(identities: Identities) -> Accounts:
    """Look them up. Raises `StartError` with a sentence for the first that is wrong."""
    for mistake in mistakes(identities):
        raise StartError(mistake)
    node, guard = pwd.getpwnam(identities.node_user), pwd.getpwnam(identities.guard_user)
    return Accounts(node.pw_uid, grp.getgrnam(identities.node_group).gr_gid, guard.pw_uid, guard.pw_gid)


def mistakes(identities: Identities) -> Iterator[str]:
    """A sentence for each that does not do: what is wrong, and behind a semicolon what to do."""
    numbers = {
        "user": _number(pwd.getpwnam, identities.node_user),
        "guard_user": _number(pwd.getpwnam, identities.guard_user),
        "group": _number(grp.getgrnam, identities.node_group),
    }
    names = (identities.node_user, identities.guard_user, identities.node_group)
    for (key, number), name in zip(numbers.items(), names, strict=True):
        if number is None:
            yield _missing("group" if key == "group" else "user", key, name)
        elif number == 0:
            yield f"node.{key} is root by another name; write one of its own"
    if numbers["user"] is not None and numbers["user"] == numbers["guard_user"]:
        yield (
            "node.user and node.guard_user are the same user, so the node could read what the guard keeps; "
            "write another node.guard_user"
        )


def _number(find: Callable[[str], pwd.struct_passwd | grp.struct_group], name: str) -> int | None:
    try:
        found = find(name)
    except KeyError:
        return None
    return found.pw_uid if isinstance(found, pwd.struct_passwd) else found.gr_gid


def _missing(kind: str, key: str, name: str) -> str:
    usual = Identities()
    if name in (usual.node_user, usual.node_group, usual.guard_user):
        return f'there is no {kind} "{name}"; make it with systemd-sysusers {USERS_FILE}, or write another node.{key}'
    return f'there is no {kind} "{name}"; make it, or write another node.{key}'
