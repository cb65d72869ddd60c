def parse(data: bytes) -> tuple[int, int, int, int] | None:
    """(destination, source, type, offset behind it) of a frame, or None for a runt."""

def is_control(data: bytes) -> bool:
    """Whether the frame is served before bulk; False for a runt."""
