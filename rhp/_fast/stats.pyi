TOTALS: tuple[str, ...]
"""The names of the totals."""
NAMES: tuple[str, ...]
"""Every counter's name: the totals, then "drop-" and each drop reason."""
