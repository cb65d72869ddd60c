"""An ESP provider that keeps a diary: the fast data plane, and a line in the log for each pair of SAs and its end.

A provider that changes one thing need not do the rest itself: whatever is not said here, the plane inside does.
"""

import logging
from typing import cast

from rhp.spi.builtin import fast
from rhp.spi.esp import DataPlane, EspProvider, SaParams, Steering

_log = logging.getLogger("rhp.diary")


class DiaryPlane:
    """Passes every call on. Names and numbers are written down, keys never."""

    def __init__(self, inside: DataPlane) -> None:
        self._inside = inside

    def __getattr__(self, name: str) -> object:
        return getattr(self._inside, name)

    def install(self, sa: SaParams) -> None:
        """Write it down and pass it on."""
        self._inside.install(sa)
        _log.info("diary: installed spi_in=%08x spi_out=%08x port=%d", sa.spi_in, sa.spi_out, sa.port)

    def retire(self, spi_in: int) -> None:
        """Write it down, with what it carried, and pass it on."""
        carried = self._inside.sa_counters(spi_in)
        self._inside.retire(spi_in)
        _log.info("diary: retired spi_in=%08x bytes=%d", spi_in, carried["bytes_in"] + carried["bytes_out"])


class Provider:
    """What the entry point names."""

    api_version = 1

    def open(self, lanes: int, steering: Steering, spare: int) -> DataPlane:
        """The fast plane with a diary around it."""
        return cast(DataPlane, DiaryPlane(fast.PROVIDER.open(lanes, steering, spare)))


PROVIDER: EspProvider = Provider()
