def parse(data: bytes) -> tuple[int, int, int, int, int | None, int | None] | None:
    """(version, protocol, total length, transport offset, source port, destination port), or None when malformed.

    Ports are None when the packet does not hold them.
    """
