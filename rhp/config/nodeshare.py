"""The node's share of a configuration: what the process that talks to the world may know.

It holds connections, pools, certificates and settings, and neither a secret nor the name of a file that holds one. It
travels as octets; what is no plain data in it, algorithms and patterns of identities, by its text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from rhp.crypto.algorithms import ENCRYPTIONS, INTEGRITIES, PRFS, Encryption, Integrity, Prf
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


_encryptions = {item.name: item for item in ENCRYPTIONS}
_integrities = {item.name: item for item in INTEGRITIES}
_prfs = {item.name: item for item in PRFS}

_codec = Codec(
    {
        Encryption: Atom(lambda item: item.name, _encryptions.__getitem__),
        Integrity: Atom(lambda item: item.name, _integrities.__getitem__),
        Prf: Atom(lambda item: item.name, _prfs.__getitem__),
        IdentityPattern: Atom(IdentityPattern.export, IdentityPattern.restore),
    }
)


def divide(share: NodeShare) -> Revision:
    """The node's share in parts, one for each connection."""
    common = NodeShare(share.settings, replace(share.engine, connections=()))
    parts = tuple(Part(one.name, _codec.encode(ConnectionConfig, one)) for one in share.engine.connections)
    return Revision(_codec.encode(NodeShare, common), tuple(one.name for one in parts), parts)


def read_share(octets: bytes) -> NodeShare:
    """Read a whole share. Raises DecodeError."""
    return complete(read_revision(octets), EngineConfig())


def complete(revision: Revision, base: EngineConfig) -> NodeShare:
    """Put a share together; the connections that it has no part of are those of `base`. Raises DecodeError."""
    known = {one.name: one for one in base.connections}
    for part in revision.parts:
        found = cast("ConnectionConfig", _codec.decode(ConnectionConfig, part.content))
        if found.name != part.name:
            raise DecodeError("misnamed-part")
        known[part.name] = found
    if not all(name in known for name in revision.order):
        raise DecodeError("missing-part")
    share = cast("NodeShare", _codec.decode(NodeShare, revision.common))
    connections = tuple(known[name] for name in revision.order)
    return NodeShare(share.settings, replace(share.engine, connections=connections))
