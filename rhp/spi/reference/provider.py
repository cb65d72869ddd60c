"""The ESP provider "reference": one thread of plain Python, for comparisons and as an example. It is slow."""

from __future__ import annotations

from rhp.spi.esp import DataPlane, EspProvider, Steering


class ReferenceProvider:
    """Opens the data plane of this package."""

    api_version = 1

    def open(self, lanes: int, steering: Steering, spare: int) -> DataPlane:
        """See `rhp.spi.esp.EspProvider`; with one thread there is nothing to steer."""
        from rhp.spi.reference.plane import ReferencePlane

        return ReferencePlane(lanes, spare)


PROVIDER: EspProvider = ReferenceProvider()
