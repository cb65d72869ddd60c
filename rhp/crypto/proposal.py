"""Proposals: what a configuration allows, as ordered choices, and the choice between two peers' proposals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rhp.crypto.algorithms import Encryption, Integrity, Prf
from rhp.crypto.suite import EspSuite, IkeSuite
from rhp.wire.sa import SA, Proposal


@dataclass(frozen=True, slots=True)
class IkeProposal:
    """Ordered choices for an IKE SA; `integrities` is empty with AEAD ciphers. `warnings` are sentences for the log."""

    encryptions: tuple[Encryption, ...]
    integrities: tuple[Integrity, ...]
    prfs: tuple[Prf, ...]
    key_exchanges: tuple[int, ...]
    warnings: tuple[str, ...] = ()

    def to_wire(self, number: int, spi: bytes = b"") -> Proposal:
        """Return the proposal substructure; `spi` is empty but for the rekey of an IKE SA."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class EspProposal:
    """Ordered choices for a Child SA; without `key_exchanges` a rekey makes no fresh key exchange."""

    encryptions: tuple[Encryption, ...]
    integrities: tuple[Integrity, ...]
    key_exchanges: tuple[int, ...]
    esn: tuple[bool, ...]
    warnings: tuple[str, ...] = ()

    def to_wire(self, number: int, spi: bytes, with_key_exchange: bool = True) -> Proposal:
        """Return the proposal substructure; IKE_AUTH leaves the key exchange away (RFC 7296 section 1.2)."""
        raise NotImplementedError


def parse_ike_proposal(text: str) -> IkeProposal:
    """Read swanctl's notation; raises ValueError with a sentence that names the wrong token and the nearest right one."""
    raise NotImplementedError


def parse_esp_proposal(text: str) -> EspProposal:
    """Read swanctl's notation; raises ValueError with a sentence that names the wrong token and the nearest right one."""
    raise NotImplementedError


def default_ike_proposals() -> tuple[IkeProposal, ...]:
    """Return what is offered and accepted when the configuration says nothing."""
    raise NotImplementedError


def default_esp_proposals() -> tuple[EspProposal, ...]:
    """Return what is offered and accepted when the configuration says nothing."""
    raise NotImplementedError


def choose_ike(offered: SA, configured: Sequence[IkeProposal]) -> tuple[int, IkeSuite]:
    """Return the number of the offered proposal taken and the suite; raises `NoProposalChosen`."""
    raise NotImplementedError


def choose_esp(
    offered: SA, configured: Sequence[EspProposal], with_key_exchange: bool = True
) -> tuple[int, bytes, EspSuite]:
    """Return the number of the offered proposal taken, the peer's SPI and the suite; raises `NoProposalChosen`."""
    raise NotImplementedError


def accept_ike(chosen: SA, configured: Sequence[IkeProposal]) -> IkeSuite:
    """Return the suite of the responder's answer; raises `NoProposalChosen` unless it is exactly one that we offered."""
    raise NotImplementedError


def accept_esp(chosen: SA, configured: Sequence[EspProposal], with_key_exchange: bool = True) -> tuple[bytes, EspSuite]:
    """Return the responder's SPI and the suite; raises `NoProposalChosen` unless it is exactly one that we offered."""
    raise NotImplementedError
