"""The node's share of a configuration: what the process that talks to the world may know.

It holds connections, pools, certificates and settings, and neither a secret nor the name of a file that holds one. It
travels as octets; what is no plain data in it, algorithms and patterns of identities, by its text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar, cast

from rhp.crypto.algorithms import INTEGRITIES, Encryption, Integrity, Prf, encryptions, prfs
from rhp.guard.brief import Part, Revision, read_revision
from rhp.guard.codec import Atom, Codec
from rhp.ike.config import ConnectionConfig, EngineConfig
from rhp.node.settings import NodeSettings
from rhp.realm.pattern import IdentityPattern
from rhp.wire.errors import DecodeError


@dataclass(frozen=True, slots=True)
class NodeShare:
    """All that the node is told."""

    settings: NodeSettings
    engine: EngineConfig


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)
Prepare = Callable[[NodeSettings], None]


def _by_name(items: Callable[[], Iterable[T]]) -> Callable[[str], T]:
    """Looks among those that there are at that moment."""
    return lambda name: {item.name: item for item in items()}[name]


_integrities = {item.name: item for item in INTEGRITIES}

_codec = Codec(
    {
        Encryption: Atom(lambda item: item.name, _by_name(encryptions)),
        Integrity: Atom(lambda item: item.name, _integrities.__getitem__),
        Prf: Atom(lambda item: item.name, _by_name(prfs)),
        IdentityPattern: Atom(IdentityPattern.export, IdentityPattern.restore),
    }
)


def divide(share: NodeShare) -> Revision:
    """The node's share in parts, one for each connection."""
    common = NodeShare(share.settings, replace(share.engine, connections=()))
    parts = tuple(Part(one.name, _codec.encode(ConnectionConfig, one)) for one in share.engine.connections)
    return Revision(_codec.encode(NodeShare, common), tuple(one.name for one in parts), parts)


def read_share(octets: bytes, prepare: Prepare = lambda settings: None) -> NodeShare:
    """Read a whole share. Raises DecodeError.

    `prepare` hears the settings before the rest is read, which may name algorithms that crypto providers have.
    """
    return complete(read_revision(octets), EngineConfig(), prepare)


def complete(revision: Revision, base: EngineConfig, prepare: Prepare = lambda settings: None) -> NodeShare:
    """Put a share together; the connections that it has no part of are those of `base`. Raises DecodeError."""
    share = cast("NodeShare", _codec.decode(NodeShare, revision.common))
    prepare(share.settings)
    known = {one.name: one for one in base.connections}
    for part in revision.parts:
        found = cast("ConnectionConfig", _codec.decode(ConnectionConfig, part.content))
        if found.name != part.name:
            raise DecodeError("misnamed-part")
        known[part.name] = found
    if not all(name in known for name in revision.order):
        raise DecodeError("missing-part")
    connections = tuple(known[name] for name in revision.order)
    return NodeShare(share.settings, replace(share.engine, connections=connections))
