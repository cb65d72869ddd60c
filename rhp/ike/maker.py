"""Who made the peer, as far as its Vendor IDs tell (RFC 7296 section 3.12), because it matters what its maker calls
EtherIP."""

import enum


class Maker(enum.Enum):
    """The peer's program."""

    OTHER = "other"
    RHP = "rhp"
    ROCKHOPPER = "rockhopper"
    """The original; a node of ours says its Vendor ID as well, and is RHP."""
