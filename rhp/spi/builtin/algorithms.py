"""The built-in crypto provider, "builtin": it adds nothing, because the tables of `rhp.crypto` begin with what it has.

A configuration need not name it; it is there so that the list of what is installed is a whole one.
"""

from __future__ import annotations

from collections.abc import Sequence

from rhp.spi.crypto import Addition, CryptoProvider


class BuiltinAlgorithms:
    """Those of `rhp.crypto.algorithms`."""

    api_version = 1

    def transforms(self) -> Sequence[Addition]:
        """Nothing beside what is there."""
        return ()


PROVIDER: CryptoProvider = BuiltinAlgorithms()
