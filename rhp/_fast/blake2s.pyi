def digest(key: bytes, data: bytes, size: int) -> bytes:
    """BLAKE2s of at least one octet with a key of 1 to 32; `size` octets, 1 to 32. ValueError."""
