from collections.abc import Sequence

def answer(data: bytes, limit: int) -> bytes | None:
    """The answer to a frame that may have `limit` octets, or None when its sender cannot be told."""

def rates(data: bytes, limit: int, moments: Sequence[int]) -> list[bool]:
    """Whether the same frame is answered at each moment, in milliseconds, out of one allowance."""
