"""A suite: one algorithm of each kind, as two peers have agreed on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rhp.crypto.algorithms import KEY_EXCHANGE_NAMES, Encryption, Integrity, Prf
from rhp.crypto.choices import round_name
from rhp.wire.iana import TransformType
from rhp.wire.sa import Transform

Rounds = tuple[tuple[int, int], ...]
"""The additional key exchanges agreed on: their numbers, 1 to 7, and methods; 0 where the choice was NONE."""


@dataclass(frozen=True, slots=True)
class IkeSuite:
    """The algorithms of an IKE SA; `integrity` is None with an AEAD, `key_exchange` is the method's number."""

    encryption: Encryption
    integrity: Integrity | None
    prf: Prf
    key_exchange: int
    additional: Rounds = ()
    _transforms: tuple[Transform, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_transforms", tuple(self._enumerate()))

    @property
    def name(self) -> str:
        """The suite in swanctl's notation, "aes128gcm16-prfsha256-x25519"."""
        parts = [self.encryption.name]
        if self.integrity is not None:
            parts.append(self.integrity.name)
        parts += [self.prf.name, KEY_EXCHANGE_NAMES[self.key_exchange]]
        return "-".join([*parts, *_names(self.additional)])

    @property
    def rounds(self) -> tuple[int, ...]:
        """The methods of the additional key exchanges, in their order."""
        return methods_of(self.additional)

    def transforms(self) -> tuple[Transform, ...]:
        """The suite as transforms, one of each type, in the order encryption, PRF, integrity, key exchange."""
        return self._transforms

    def _enumerate(self) -> Iterator[Transform]:
        yield Transform(TransformType.ENCR, self.encryption.id, self.encryption.key_length)
        yield Transform(TransformType.PRF, self.prf.id, None)
        if self.integrity is not None:
            yield Transform(TransformType.INTEG, self.integrity.id, None)
        yield Transform(TransformType.KE, self.key_exchange, None)
        yield from _rounds(self.additional)


@dataclass(frozen=True, slots=True)
class EspSuite:
    """The algorithms of a Child SA; `key_exchange` is None when no fresh key exchange was made for it."""

    encryption: Encryption
    integrity: Integrity | None
    esn: bool
    key_exchange: int | None = None
    additional: Rounds = ()
    _transforms: tuple[Transform, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_transforms", tuple(self._enumerate()))

    @property
    def name(self) -> str:
        """The suite in swanctl's notation, "aes128gcm16-x25519-esn"."""
        parts = [self.encryption.name]
        if self.integrity is not None:
            parts.append(self.integrity.name)
        if self.key_exchange is not None:
            parts.append(KEY_EXCHANGE_NAMES[self.key_exchange])
        parts += _names(self.additional)
        parts.append("esn" if self.esn else "noesn")
        return "-".join(parts)

    @property
    def rounds(self) -> tuple[int, ...]:
        """The methods of the additional key exchanges, in their order."""
        return methods_of(self.additional)

    def transforms(self) -> tuple[Transform, ...]:
        """The suite as transforms, one of each type, in the order encryption, integrity, key exchange, ESN."""
        return self._transforms

    def _enumerate(self) -> Iterator[Transform]:
        yield Transform(TransformType.ENCR, self.encryption.id, self.encryption.key_length)
        if self.integrity is not None:
            yield Transform(TransformType.INTEG, self.integrity.id, None)
        if self.key_exchange is not None:
            yield Transform(TransformType.KE, self.key_exchange, None)
        yield from _rounds(self.additional)
        yield Transform(TransformType.ESN, int(self.esn), None)


def methods_of(additional: Rounds) -> tuple[int, ...]:
    """The methods among them, NONE left out."""
    return tuple(method for _, method in additional if method)


def _names(additional: Rounds) -> list[str]:
    return [round_name(number, method) for number, method in additional if method]


def _rounds(additional: Rounds) -> Iterator[Transform]:
    return (Transform(TransformType.ADDKE1 + number - 1, method, None) for number, method in additional)
