class MacTable:
    """One table for tests and tools; the lanes use `hub_t` itself. MACs are integers, times milliseconds."""

    def __init__(self, ageing: int = 600_000) -> None: ...
    def learn(self, mac: int, port: int, now: int) -> str:
        """What came of it: "kept", "new", "moved", "full" or "spoofed"."""

    def may_learn(self, now: int) -> bool:
        """Whether one peer may make one more station known; all questions are those of the same peer."""

    def lookup(self, mac: int, now: int) -> int | None:
        """The port, or None."""

    def set_static(self, mac: int, port: int) -> bool:
        """False when there is no room."""

    def remove_static(self, mac: int) -> None:
        """Take the fixed entry away."""

    def forget_port(self, port: int) -> None:
        """Take all entries of a port away."""

    def entries(self, now: int) -> list[tuple[bytes, int, float]]:
        """(mac, port, age in seconds) of everything that has not expired."""
