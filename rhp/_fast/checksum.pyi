def ways() -> tuple[str, ...]:
    """How this machine can sum; the last is in use."""

def checksum(data: bytes, way: str | None = None) -> int:
    """The checksum of `data` as it goes on the wire (RFC 1071), summed in the way in use or in one of `ways`.

    ValueError for a way that this machine does not have.
    """
