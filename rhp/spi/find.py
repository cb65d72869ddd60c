"""Finding providers: by the name of an entry point, which the configuration says.

Nothing is loaded that is only installed: what takes part in a node is for its configuration to say. The built-in
providers stand in rhp's own package metadata and are found in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from rhp.spi.certstore import CertificateStoreProvider
from rhp.spi.crypto import CryptoProvider
from rhp.spi.eap import EapProvider
from rhp.spi.esp import EspProvider
from rhp.spi.events import EventSinkProvider

T = TypeVar("T")


class ProviderError(Exception):
    """A provider is not there or cannot be used; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One kind of provider: its entry-point group, its name in sentences, the version of its interface, its verbs."""

    group: str
    noun: str
    api_version: int
    verbs: tuple[str, ...]


ESP: Kind[EspProvider] = Kind("rhp.esp", "ESP provider", 1, ("open",))
CRYPTO: Kind[CryptoProvider] = Kind("rhp.crypto", "crypto provider", 1, ("transforms",))
CERTIFICATE_STORE: Kind[CertificateStoreProvider] = Kind("rhp.certstore", "certificate store", 1, ("open",))
EAP: Kind[EapProvider] = Kind("rhp.eap", "EAP method", 1, ("peer", "server", "keeper"))
EVENT_SINK: Kind[EventSinkProvider] = Kind("rhp.events", "event sink", 1, ("open",))
KINDS = (ESP, CRYPTO, CERTIFICATE_STORE, EAP, EVENT_SINK)


def installed(kind: Kind[T]) -> list[str]:
    """The names of the providers of a kind that there are, in order."""
    return sorted({found.name for found in entry_points(group=kind.group)})


def check(kind: Kind[T], name: str) -> None:
    """See whether there is a provider of that name, without running it. Raises `ProviderError`."""
    _entry_point(kind, name)


def load(kind: Kind[T], name: str) -> T:
    """Import the provider of that name. Raises `ProviderError` when it is not there or cannot be used."""
    entry = _entry_point(kind, name)
    what = f'the {kind.noun} "{name}"'
    try:
        found = entry.load()
    except Exception as error:
        # Whatever somebody else's code raises must end in a sentence.
        detail = " ".join(f"{type(error).__name__}: {error}".split())
        raise ProviderError(f"{what} cannot be loaded ({detail}); mend or remove its package") from error
    version = getattr(found, "api_version", None)
    if version != kind.api_version:
        said = f"is written for version {version}" if isinstance(version, int) else "does not say for which version"
        raise ProviderError(
            f"{what} {said} of the interface, and this rhp has version {kind.api_version}; "
            "install a version of its package that fits"
        )
    missing = [verb for verb in kind.verbs if not callable(getattr(found, verb, None))]
    if missing:
        raise ProviderError(f"{what} lacks {', '.join(missing)}, which docs/providers.md asks for; mend its package")
    return found  # type: ignore[no-any-return]  # An entry point is anything; what it has to be was just looked at.


def _entry_point(kind: Kind[T], name: str) -> EntryPoint:
    found = {(one.module, one.attr): one for one in entry_points(group=kind.group, name=name)}
    if len(found) > 1:
        modules = " and ".join(sorted(module for module, _ in found))
        raise ProviderError(f'"{name}" names more than one {kind.noun}: {modules}; remove one of the packages')
    if not found:
        there = ", ".join(installed(kind))
        hint = f"installed: {there}" if there else "none is installed, not even rhp's own; install rhp again"
        raise ProviderError(f'there is no {kind.noun} "{name}"; {hint}')
    return next(iter(found.values()))
