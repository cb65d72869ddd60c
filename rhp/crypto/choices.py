"""A proposal as ordered choices: what one side is willing to use, in its order of preference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from rhp.crypto.algorithms import KEY_EXCHANGE_NAMES, Encryption, Integrity, Prf
from rhp.wire.iana import Protocol, TransformType
from rhp.wire.sa import Proposal, Transform

NO_KEY_EXCHANGE = 0
"""Key exchange method NONE: with it in an ESP proposal a fresh key exchange is welcome but not required."""

ADDITIONAL_TYPES = tuple(TransformType(kind) for kind in range(TransformType.ADDKE1, TransformType.ADDKE7 + 1))
"""The transform types of the additional key exchanges 1 to 7 (RFC 9370 section 2.2.1)."""

KEY_EXCHANGE_TYPES = frozenset({TransformType.KE, *ADDITIONAL_TYPES})

Additional = tuple[tuple[int, ...], ...]
"""Ordered choices of method for each additional key exchange, NONE among them where it may be left out."""


@dataclass(frozen=True, slots=True)
class IkeProposal:
    """Ordered choices for an IKE SA; `integrities` is empty with AEAD ciphers.

    `warnings` are sentences for the log, `name` is the proposal in swanctl's notation.
    `additional` holds the choices for the additional key exchanges 1, 2 and so on; an empty one is not asked for.
    """

    encryptions: tuple[Encryption, ...]
    integrities: tuple[Integrity, ...]
    prfs: tuple[Prf, ...]
    key_exchanges: tuple[int, ...]
    warnings: tuple[str, ...] = field(default=(), compare=False)
    additional: Additional = ()
    name: str = field(init=False, repr=False, compare=False)
    _transforms: tuple[Transform, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self._notation())
        object.__setattr__(self, "_transforms", tuple(self._enumerate()))

    def _enumerate(self) -> Iterator[Transform]:
        yield from _ciphers(self.encryptions)
        for prf in self.prfs:
            yield Transform(TransformType.PRF, prf.id, None)
        yield from _macs(self.integrities)
        for method in self.key_exchanges:
            yield Transform(TransformType.KE, method, None)
        yield from _rounds(self.additional)

    def _notation(self) -> str:
        names = [item.name for item in self.encryptions]
        names += [item.name for item in self.integrities]
        names += [item.name for item in self.prfs]
        return "-".join([*names, *map(key_exchange_name, self.key_exchanges), *_round_names(self.additional)])

    def classical(self) -> IkeProposal | None:
        """The same for a peer that makes no additional key exchange; None where one is required."""
        if not self.additional:
            return self
        optional = all(NO_KEY_EXCHANGE in choices for choices in self.additional if choices)
        return replace(self, additional=((NO_KEY_EXCHANGE,),) * len(self.additional)) if optional else None

    def to_wire(self, number: int, spi: bytes = b"") -> Proposal:
        """Return the proposal substructure; `spi` is empty but for the rekey of an IKE SA (8 octets)."""
        return Proposal(number, Protocol.IKE, spi, self._transforms)


@dataclass(frozen=True, slots=True)
class EspProposal:
    """Ordered choices for a Child SA.

    Without `key_exchanges` a Child SA of its own exchange makes no fresh key exchange; with `NO_KEY_EXCHANGE` among
    them it is optional. `esn` holds True, False or both in order. `name` is the proposal in swanctl's notation.
    """

    encryptions: tuple[Encryption, ...]
    integrities: tuple[Integrity, ...]
    key_exchanges: tuple[int, ...]
    esn: tuple[bool, ...]
    warnings: tuple[str, ...] = field(default=(), compare=False)
    additional: Additional = ()
    name: str = field(init=False, repr=False, compare=False)
    _transforms: tuple[Transform, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self._notation())
        object.__setattr__(self, "_transforms", tuple(self._enumerate()))

    def _enumerate(self) -> Iterator[Transform]:
        yield from _ciphers(self.encryptions)
        yield from _macs(self.integrities)
        if any(self.key_exchanges):
            for method in self.key_exchanges:
                yield Transform(TransformType.KE, method, None)
        yield from _rounds(self.additional)
        for esn in self.esn:
            yield Transform(TransformType.ESN, int(esn), None)

    def _notation(self) -> str:
        names = [item.name for item in self.encryptions]
        names += [item.name for item in self.integrities]
        names += map(key_exchange_name, self.key_exchanges)
        names += _round_names(self.additional)
        return "-".join([*names, *("esn" if esn else "noesn" for esn in self.esn)])

    def to_wire(self, number: int, spi: bytes, with_key_exchange: bool = True) -> Proposal:
        """Return the proposal substructure; IKE_AUTH leaves the key exchange away (RFC 7296 section 1.2)."""
        transforms = self._transforms
        if not with_key_exchange:
            transforms = tuple(item for item in transforms if item.type not in KEY_EXCHANGE_TYPES)
        return Proposal(number, Protocol.ESP, spi, transforms)


def key_exchange_name(method: int) -> str:
    """Return swanctl's name of a key exchange method, "ke99" for one that is unknown."""
    return "modpnone" if method == NO_KEY_EXCHANGE else KEY_EXCHANGE_NAMES.get(method, f"ke{method}")


def round_name(number: int, method: int) -> str:
    """Return swanctl's name of an additional key exchange, "ke1_mlkem768" or "ke1_none"."""
    return f"ke{number}_{'none' if method == NO_KEY_EXCHANGE else key_exchange_name(method)}"


def _rounds(additional: Additional) -> Iterator[Transform]:
    for kind, choices in zip(ADDITIONAL_TYPES, additional, strict=False):
        for method in choices:
            yield Transform(kind, method, None)


def _round_names(additional: Additional) -> list[str]:
    return [round_name(number, method) for number, choices in enumerate(additional, 1) for method in choices]


def _ciphers(encryptions: Iterable[Encryption]) -> Iterator[Transform]:
    for item in encryptions:
        yield Transform(TransformType.ENCR, item.id, item.key_length)


def _macs(integrities: Iterable[Integrity]) -> Iterator[Transform]:
    for item in integrities:
        yield Transform(TransformType.INTEG, item.id, None)
