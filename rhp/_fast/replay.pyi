class ReplayWindow:
    """One window for tests and tools; the packet path uses `replay_t` itself.

    `window` is 32 to 4096 packets (else ValueError); `top` starts the window in the middle of a sequence space.
    """

    def __init__(self, window: int, *, top: int = 0) -> None: ...
    @property
    def top(self) -> int:
        """The highest sequence number committed."""

    def infer(self, low: int) -> int:
        """The 64-bit number that the 32-bit `low` stands for; 0 when it lies before the start of the SA."""

    def check(self, seq: int) -> str | None:
        """None when the packet is new, else the drop reason's name (RFC 4303 section 3.4.3)."""

    def commit(self, seq: int) -> None:
        """Marks `seq` as seen, after `check` returned None."""
