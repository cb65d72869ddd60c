"""What a node may want to know again after it died, told as it happens; whoever has a disk writes it down."""

from typing import Protocol

from rhp.ike.path import IpAddress
from rhp.wire.identity import Identity


class Memory(Protocol):
    """Told of each change in its turn. It must not wait for anything, and never raises."""

    def lease_changed(self, pool: str, address: IpAddress, identity: Identity | None, *, in_use: bool) -> None:
        """An address of a pool was taken or left by an identity, or with None it is nobody's any more."""
        ...

    def ticket_spent(self, ticket_id: bytes, expires: int) -> None:
        """A ticket of ours must not be accepted again; it expires by itself at that date, in seconds since 1970."""
        ...
