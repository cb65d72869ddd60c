"""A payload of a type that we do not know, its critical bit clear: carried along and skipped (RFC 7296 section 2.5)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unknown:
    """`type` is the number as received, `data` the body."""

    type: int
    critical: bool
    data: bytes

    def build(self) -> bytes:
        """Return the body."""
        return self.data
