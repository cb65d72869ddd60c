def checksum(data: bytes) -> int:
    """The checksum of `data` as it goes on the wire (RFC 1071)."""
