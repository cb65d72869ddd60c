class Reorder:
    """A pool and some SAs, whose packets carry their own number; driven as a lane does it, for tests."""

    def __init__(self, hold: bool, orders: int = 1) -> None: ...
    @property
    def held(self) -> int:
        """Packets in the pool."""

    @property
    def late(self) -> int:
        """Packets that came too late."""

    @property
    def deadline(self) -> int | None:
        """When something must be done next, in nanoseconds."""

    def arrive(self, sequence: int, now: int = 0, order: int = 0) -> list[tuple[int, int]]:
        """What a packet sets free, as (SA, sequence number) each.

        The first number of an SA is 1. IndexError for an SA that is not there.
        """

    def turn(self, now: int) -> list[tuple[int, int]]:
        """What has waited long enough."""

    def forget(self, order: int) -> int:
        """Ends an SA; how many packets of it were held. IndexError for an SA that is not there."""
