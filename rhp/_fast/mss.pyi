def clamp(data: bytes, limit: int) -> bytes:
    """The frame with its SYN's MSS lowered to `limit` (IPv6: 20 less), or as it was. ValueError unless 1..65535."""
