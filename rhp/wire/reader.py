"""A bounded reader: every step checks what is left, and what is wrong has a name."""

from struct import Struct
from typing import Any

from rhp.wire.errors import DecodeError


class Reader:
    """Reads big-endian fields from `data`, from its beginning to its end; DecodeError("truncated") beyond it."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __len__(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        """Return the next `count` octets."""
        at = self._at
        end = at + count
        if end > len(self._data):
            raise DecodeError("truncated")
        self._at = end
        return self._data[at:end]

    def unpack(self, layout: Struct) -> tuple[Any, ...]:
        """Return the next fields, as `layout` has them."""
        at = self._at
        end = at + layout.size
        if end > len(self._data):
            raise DecodeError("truncated")
        self._at = end
        return layout.unpack_from(self._data, at)

    def u8(self) -> int:
        """Return the next octet."""
        at = self._at
        if at >= len(self._data):
            raise DecodeError("truncated")
        self._at = at + 1
        return self._data[at]

    def u16(self) -> int:
        """Return the next two octets as a number."""
        return int.from_bytes(self.take(2), "big")

    def rest(self) -> bytes:
        """Return all that is left."""
        at, self._at = self._at, len(self._data)
        return self._data[at:]

    def sub(self, count: int) -> "Reader":
        """Return a reader of the next `count` octets."""
        return Reader(self.take(count))

    def end(self, reason: str = "trailing-octets") -> None:
        """Raise DecodeError(reason) when something is left."""
        if len(self):
            raise DecodeError(reason)
