"""The built-in ESP provider, "fast": `rhp._fast`, native threads that never hold the GIL."""

from __future__ import annotations

from rhp.spi.esp import DataPlane, EspProvider, Steering


class FastProvider:
    """Opens the packet path of `rhp._fast`."""

    api_version = 1

    def open(self, lanes: int, steering: Steering, spare: int) -> DataPlane:
        """See `rhp.spi.esp.EspProvider`."""
        # Not before it is asked for: a node with another provider needs none of it.
        from rhp._fast import dataplane

        return dataplane.DataPlane(lanes, steering, spare)


PROVIDER: EspProvider = FastProvider()
