"""The node's share of a configuration: what the process that talks to the world may know.

It holds connections, pools, certificates and settings, and neither a secret nor the name of a file that holds one. It
travels as octets; what is no plain data in it, algorithms and patterns of identities, by its text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from rhp.crypto.algorithms import ENCRYPTIONS, INTEGRITIES, PRFS, Encryption, Integrity, Prf
from rhp.guard.codec import Atom, Codec
from rhp.ike.config import EngineConfig
from rhp.node.settings import NodeSettings
from rhp.realm.pattern import IdentityPattern


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


def write_share(share: NodeShare) -> bytes:
    """The node's share as octets."""
    return _codec.encode(NodeShare, share)


def read_share(octets: bytes) -> NodeShare:
    """Read it again. Raises DecodeError."""
    return cast("NodeShare", _codec.decode(NodeShare, octets))
