"""What differs between two forms of a connection, and what that means for the SAs that are there.

Keys are named as in the configuration file, so that what is compared, what is told and what is documented is one table,
`MEANS`. The gentlest way is taken that serves every key: a tunnel is cut only where what both sides agreed on holds no
longer.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

from rhp.ike.config import ChildConfig, ConnectionConfig
from rhp.realm.pattern import IdentityPattern
from rhp.wire.identity import Identity


class Means(IntEnum):
    """How a changed key reaches an IKE SA that is there; the larger one wins.

    `SWAP`: it goes on, and its next exchange, deadline or handshake goes by the new value. `RENEW`: both sides prove
    themselves anew, on an IKE SA that takes its place without a gap; where that does not come about in time it is
    deleted. `ANEW`: it is deleted and begun anew.
    """

    SWAP = 1
    RENEW = 2
    ANEW = 3


KEYS = "keys"
"""Stands for `psk`, `psk_file`, `psk_files`, `ppk`, `ppk_file`, `local.key` and their content, and for `local.rsa_pss`,
which only the guard can compare."""

MEANS: Mapping[str, Means] = {
    "proposals": Means.SWAP,
    "mobike": Means.SWAP,
    "start": Means.SWAP,
    "childless": Means.SWAP,
    "resumption": Means.SWAP,
    "follow_redirects": Means.SWAP,
    "dpd_delay": Means.SWAP,
    "unique": Means.SWAP,
    "rekey_time": Means.SWAP,
    "over_time": Means.SWAP,
    "reauth_time": Means.SWAP,
    "pools": Means.SWAP,
    "match": Means.SWAP,
    "lanes": Means.SWAP,
    "mss_clamp": Means.SWAP,
    "path_mtu": Means.SWAP,
    KEYS: Means.RENEW,
    "ppk_id": Means.RENEW,
    "ppk_required": Means.RENEW,
    "local.certs": Means.RENEW,
    "remote.cas": Means.RENEW,
    "remote.certificate_store": Means.RENEW,
    "local.id": Means.ANEW,
    "local.auth": Means.ANEW,
    "remote.id": Means.ANEW,
    "remote.auth": Means.ANEW,
    "local_addrs": Means.ANEW,
    "remote_addrs": Means.ANEW,
    "remote_port": Means.ANEW,
    "remote_natt_port": Means.ANEW,
    "encapsulation": Means.ANEW,
    "request_addresses": Means.ANEW,
    "hub": Means.ANEW,
    "isolate": Means.ANEW,
}
"""Every key of a connection but its children. A tuned value that no file can name counts as `SWAP`."""

CHILD_ANEW = frozenset({"mode", "local_ts", "remote_ts"})
"""What a Child SA cannot outlive: with another one of these it is deleted and made anew, and its IKE SA stays."""


@dataclass(frozen=True, slots=True)
class ConnectionChange:
    """One connection's changes: the keys that differ, the way that serves them all, and the children that end.

    `children` are names in the old form: those that are gone, and those that have to be made anew. Where only the keys
    of some `peers` are others, a realm's for example, the others' SAs are not renewed; without any it is everybody's.
    """

    name: str
    keys: tuple[str, ...]
    means: Means
    children: frozenset[str] = frozenset()
    peers: tuple[IdentityPattern, ...] = ()

    def means_for(self, peer: Identity | None) -> Means:
        """What it means for the SAs of that peer."""
        if self.means is not Means.RENEW or not self.peers or peer is None:
            return self.means
        return Means.RENEW if any(pattern.matches(peer) for pattern in self.peers) else Means.SWAP


def compare(
    old: ConnectionConfig, new: ConnectionConfig, *, fresh: Collection[str] | None = None, moved: bool = False
) -> ConnectionChange | None:
    """The change from `old` to `new`, two forms of one connection; None without one.

    `fresh` says that the secrets behind it are others, for the peers of these patterns (`IdentityPattern.export`), or
    where it is empty for all; `moved` that the host names of the peer are.
    """
    keys = list(_keys(old, new))
    if moved and "remote_addrs" not in keys:
        keys.append("remote_addrs")
    means = max((MEANS.get(key, Means.SWAP) for key in keys), default=Means.SWAP)
    peers: tuple[IdentityPattern, ...] = ()
    # A key is known by whom it is for, so that another id makes two keys of one.
    renamed = {one.remote.pattern.export() for one in (old, new)} if "remote.id" in keys else None
    if fresh is not None and set(fresh) != renamed:
        keys.append(KEYS)
        if means < MEANS[KEYS]:
            means, peers = MEANS[KEYS], tuple(map(IdentityPattern.restore, fresh))
    children, ended = _children(old, new)
    keys += children
    return ConnectionChange(new.name, tuple(keys), means, frozenset(ended), peers) if keys else None


def same_traffic(one: ChildConfig, other: ChildConfig) -> bool:
    """Whether a Child SA made for one serves the other."""
    return all(getattr(one, key) == getattr(other, key) for key in CHILD_ANEW)


def _keys(old: ConnectionConfig, new: ConnectionConfig) -> Iterator[str]:
    # Equal parts are mostly the very same objects, for which Python's comparison of tuples is quick.
    if replace(old, children=(), secrets=b"") == replace(new, children=(), secrets=b""):
        return
    told = {
        "local.auth": (old.local.method, new.local.method),
        "local.id": (old.local.identity, new.local.identity),
        "local.certs": (old.local.chain, new.local.chain),
        "remote.auth": (old.remote.method, new.remote.method),
        "remote.id": (old.remote.pattern, new.remote.pattern),
        "remote.cas": (old.remote.cas, new.remote.cas),
        "remote.certificate_store": (
            (old.remote.intermediates, old.remote.crls),
            (new.remote.intermediates, new.remote.crls),
        ),
        "hub": (old.policy.hub, new.policy.hub),
        "isolate": (old.policy.isolate, new.policy.isolate),
        "mss_clamp": (old.policy.mss_clamp, new.policy.mss_clamp),
        "path_mtu": (old.policy.path_mtu, new.policy.path_mtu),
        "ppk_id": (old.ppk and old.ppk.ppk_id, new.ppk and new.ppk.ppk_id),
        "over_time": (old.life_time - old.rekey_time, new.life_time - new.rekey_time),
    }
    if old.ppk is not None and new.ppk is not None:
        told["ppk_required"] = (old.ppk.required, new.ppk.required)
    for name in _PLAIN:
        told[name] = (getattr(old, name), getattr(new, name))
    if old.rekey_time != new.rekey_time:
        del told["over_time"]  # It follows by itself, unless it is written.
    yield from (key for key, (before, after) in told.items() if before != after)


_PLAIN = (
    "proposals", "local_addrs", "remote_addrs", "local_port", "remote_port", "remote_natt_port", "encapsulation",
    "mobike", "start", "unique", "dpd_delay", "keepalive", "rekey_time", "jitter", "pools", "request_addresses",
    "retransmit", "childless", "resumption", "follow_redirects", "reauth_time", "match", "lanes",
)  # fmt: skip


def _children(old: ConnectionConfig, new: ConnectionConfig) -> tuple[list[str], list[str]]:
    """The keys of children that differ, and the names of those that end."""
    if old.children == new.children:
        return [], []
    keys: list[str] = []
    ended: list[str] = []
    before, after = {one.name: one for one in old.children}, {one.name: one for one in new.children}
    for name, child in before.items():
        heir = after.get(name)
        if heir is None:
            keys.append(f"children.{name}")
            ended.append(name)
            continue
        keys += [f"children.{name}.{key}" for key in _child_keys(child, heir)]
        if not same_traffic(child, heir):
            ended.append(name)
    keys += [f"children.{name}" for name in after if name not in before]
    if not keys:
        keys.append("children")  # Their order, which says what rides on IKE_AUTH.
    return keys, ended


def _child_keys(old: ChildConfig, new: ChildConfig) -> Iterator[str]:
    names = {"proposals": "esp_proposals"}
    plain = (
        "mode",
        "local_ts",
        "remote_ts",
        "proposals",
        "rekey_time",
        "rekey_bytes",
        "rekey_packets",
        "replay_window",
    )
    yield from (names.get(name, name) for name in plain if getattr(old, name) != getattr(new, name))
