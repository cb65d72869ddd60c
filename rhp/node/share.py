"""The node's share of a configuration: what the process that talks to the world may know.

It holds connections, pools, certificates and settings, and neither a secret nor the name of a file that holds one. It
travels as octets; what is no plain data in it, proposals and patterns of identities, by its text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import attrgetter
from typing import cast

from rhp.crypto.proposal import EspProposal, IkeProposal, parse_esp_proposal, parse_ike_proposal
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


Prepare = Callable[[NodeSettings], None]


# A thousand connections have few different proposals, and share them.
_codec = Codec(
    {
        IkeProposal: Atom(attrgetter("name"), lru_cache(parse_ike_proposal)),
        EspProposal: Atom(attrgetter("name"), lru_cache(parse_esp_proposal)),
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
