"""The users and groups that the two processes run as, found by their names on this machine."""

from __future__ import annotations

import grp
import pwd
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
    node, guard = _user("user", identities.node_user), _user("guard_user", identities.guard_user)
    try:
        group = grp.getgrnam(identities.node_group).gr_gid
    except KeyError:
        raise StartError(_missing("group", "group", identities.node_group)) from None
    if node.pw_uid == guard.pw_uid:
        raise StartError("node.user and node.guard_user are the same user; the node could read what the guard keeps")
    for key, number in (("user", node.pw_uid), ("guard_user", guard.pw_uid), ("group", group)):
        if number == 0:
            raise StartError(f"node.{key} is root by another name; write one of its own")
    return Accounts(node.pw_uid, group, guard.pw_uid, guard.pw_gid)


def _user(key: str, name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise StartError(_missing("user", key, name)) from None


def _missing(kind: str, key: str, name: str) -> str:
    usual = Identities()
    if name in (usual.node_user, usual.node_group, usual.guard_user):
        return f'there is no {kind} "{name}"; make it with systemd-sysusers {USERS_FILE}, or write another node.{key}'
    return f'there is no {kind} "{name}"; make it, or write another node.{key}'
