"""Key material with a type of its own, so that it does not end in a log line by accident."""

from __future__ import annotations

import hmac


class Secret:
    """Octets that nobody prints: `repr` is redacted, `==` takes constant time, `wipe` overwrites them.

    Python copies octets freely (`expose` makes such a copy), so wiping shortens a secret's life in memory; it does
    not promise that no copy remains.
    """

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes | bytearray | memoryview = b"") -> None:
        self._octets = bytearray(octets)

    def expose(self) -> bytes:
        """Return the octets themselves, for the call that needs them."""
        return bytes(self._octets)

    def wipe(self) -> None:
        """Overwrite the octets with zeros and forget them; the secret is empty afterwards."""
        self._octets[:] = bytes(len(self._octets))
        self._octets.clear()

    def __len__(self) -> int:
        return len(self._octets)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._octets, other._octets)

    __hash__ = None  # type: ignore[assignment]  # A hash would outlive the wiping and leak equality.

    def __repr__(self) -> str:
        return f"Secret(<{len(self._octets)} octets>)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a Secret cannot be pickled")
