class RouteTable:
    """One table for tests and tools; the lanes use their own. Owners are small integers above zero."""

    def add(self, start: str, end: str, owner: int) -> int:
        """Insert a range of addresses; how many prefixes it took."""

    def remove(self, owner: int) -> None:
        """Take all ranges of an owner away."""

    def find(self, text: str) -> list[int]:
        """The owners of an address, in the order in which they are asked: at most 64."""
