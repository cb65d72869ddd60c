"""The providers that a node's settings name: found and loaded, or a sentence that ends the start.

Loaded before the node gives up being root, as all code is: later it may be a user that cannot read the packages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rhp.node.edges import lane_count
from rhp.node.errors import StartError
from rhp.node.settings import NodeSettings
from rhp.spi import find
from rhp.spi.added import add_algorithms
from rhp.spi.esp import DataPlane, EspProvider
from rhp.spi.events import EventSinkProvider
from rhp.spi.find import ProviderError


@dataclass(frozen=True, slots=True)
class Providers:
    """What a node opens: its data plane, and its event sinks by name."""

    esp: EspProvider
    sinks: Mapping[str, EventSinkProvider]


def load_algorithms(settings: NodeSettings) -> None:
    """Add what the crypto providers have to this process. Raises `StartError`."""
    try:
        add_algorithms(settings.crypto_providers)
    except ProviderError as error:
        raise StartError(str(error)) from error


def load_providers(settings: NodeSettings) -> Providers:
    """The others. Raises `StartError`."""
    try:
        sinks = {name: find.load(find.EVENT_SINK, name) for name in settings.event_sinks}
        return Providers(find.load(find.ESP, settings.esp_provider), sinks)
    except ProviderError as error:
        raise StartError(str(error)) from error


def open_plane(provider: EspProvider, settings: NodeSettings) -> DataPlane:
    """The data plane of `node.esp_provider`, its lanes where `node.cpus` has them. Raises `StartError`."""
    with as_start_error(f'the ESP provider "{settings.esp_provider}" cannot be opened: '):
        plane = provider.open(lane_count(settings.lanes, settings.cpus), settings.steering, settings.spare_lanes)
        plane.pin(settings.cpus)
    return plane


@contextmanager
def as_start_error(begin: str = "") -> Iterator[None]:
    """What a provider cannot do ends the start, in its own words."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise StartError(f"{begin}{error}") from error
