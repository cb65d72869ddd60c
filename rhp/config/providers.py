"""The providers that a configuration names: whether they are there, and what of them is needed to read the rest.

Crypto providers are loaded as the file is read, because proposals may name their algorithms. Certificate stores are
opened with the other credentials. ESP providers and event sinks are only looked for; the node opens them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from rhp.config.credential_files import CredentialFiles
from rhp.config.model import FILES, Configuration, Peering
from rhp.config.reading import Findings, Place
from rhp.config.suggest import nearest
from rhp.pki.chain import Trust
from rhp.pki.revocation import ended
from rhp.spi import find
from rhp.spi.added import add_algorithms
from rhp.spi.certstore import StoreQuestion
from rhp.spi.find import Kind, ProviderError

T = TypeVar("T")


def load_crypto(data: dict[str, Any], findings: Findings) -> None:
    """Add what the crypto providers of a parsed file have; mistakes go to `findings`. The model tells others."""
    node = data.get("node")
    names = node.get("crypto_providers") if isinstance(node, dict) else None
    for index, name in enumerate([names] if isinstance(names, str) else names if isinstance(names, list) else []):
        if not isinstance(name, str):
            continue
        try:
            add_algorithms([name])
        except ProviderError as error:
            findings.add(("node", "crypto_providers", index), str(error))


def check_providers(configuration: Configuration, findings: Findings) -> None:
    """See whether the other providers are there."""
    node = configuration.node
    _check(find.ESP, node.esp_provider, ("node", "esp_provider"), findings)
    for index, name in enumerate(node.event_sinks):
        place = ("node", "event_sinks", index)
        if name in node.event_sinks[:index]:
            findings.add(place, f'"{name}" is there already; leave one of them out')
        _check(find.EVENT_SINK, name, place, findings)


def read_trust(
    here: tuple[str, ...], peering: Peering, files: CredentialFiles, findings: Findings, now: datetime
) -> Trust:
    """What the certificate store of a connection or a realm holds; mistakes go to `findings`, those of `cas` once."""
    name = peering.remote.certificate_store
    place = (*here, "remote", "certificate_store")
    provider = _found(find.CERTIFICATE_STORE, name, place, findings)
    if provider is None:
        return Trust()
    try:
        store = provider.open(StoreQuestion(here[-1], tuple(peering.remote.cas), files.folder))
        trust = Trust(*(_octets(name, part()) for part in (store.anchors, store.intermediates, store.crls)))
        for said in filter(None, (ended(crl, now) for crl in trust.crls)):
            findings.add((*here, "remote", "cas"), f"{said}; until then no peer of it is believed", warning=True)
        if not trust.anchors and name != FILES:
            raise ValueError("it trusts nobody, so no peer would be believed; put a CA into it")
    except ValueError as error:
        # A file that cannot be read was told with its place in `cas`.
        if name != FILES or not _told(here, findings):
            findings.add(place if name != FILES else (*here, "remote", "cas"), str(error))
    except Exception as error:
        findings.add(place, f'the certificate store "{name}" failed ({_what(error)}); mend or remove its package')
    else:
        return trust
    return Trust()


def _told(here: tuple[str, ...], findings: Findings) -> bool:
    written = ".".join((*here, "remote", "cas"))
    return any(problem.where.startswith(written) for problem in findings.problems)


def _octets(name: str, found: object) -> tuple[bytes, ...]:
    items = tuple(found) if isinstance(found, list | tuple) else None
    if items is None or not all(isinstance(item, bytes) for item in items):
        raise ValueError(f'the certificate store "{name}" gives no list of certificates in DER; mend its package')
    return items


def _found(kind: Kind[T], name: str, place: Place, findings: Findings) -> T | None:
    try:
        return find.load(kind, name)
    except ProviderError as error:
        findings.add(place, str(error))
        return None


def _check(kind: Kind[T], name: str, place: Place, findings: Findings) -> None:
    try:
        find.check(kind, name)
    except ProviderError as error:
        near = nearest(name, find.installed(kind))
        findings.add(place, f"{error}; did you mean {near}?" if near else str(error))


def _what(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
