def names() -> tuple[str, ...]:
    """Every drop reason's name, at the index of its counter; index 0 is "none"."""
