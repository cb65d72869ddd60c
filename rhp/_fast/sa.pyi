class SequenceCounter:
    """The outbound counter of one SA (RFC 4303 section 3.3.3), for tests and tools.

    `next` starts it in the middle. It never wraps: what does not fit below `last` is not handed out.
    """

    def __init__(self, esn: bool, *, next: int = 1) -> None: ...
    @property
    def last(self) -> int:
        """The last number that is ever handed out: 2^32 - 1, or 2^48 below 2^64 with extended numbers."""

    def take(self, count: int) -> int:
        """The first of `count` (below 2^32) consecutive numbers; 0 when the SA is exhausted or `count` is 0."""
