"""A suite: one algorithm of each kind, as two peers have agreed on."""

from __future__ import annotations

from dataclasses import dataclass

from rhp.crypto.algorithms import KEY_EXCHANGE_NAMES, Encryption, Integrity, Prf
from rhp.wire.iana import TransformType
from rhp.wire.sa import Transform


@dataclass(frozen=True, slots=True)
class IkeSuite:
    """The algorithms of an IKE SA; `integrity` is None with an AEAD, `key_exchange` is the method's number."""

    encryption: Encryption
    integrity: Integrity | None
    prf: Prf
    key_exchange: int

    @property
    def name(self) -> str:
        """The suite in swanctl's notation, "aes128gcm16-prfsha256-x25519"."""
        parts = [self.encryption.name]
        if self.integrity is not None:
            parts.append(self.integrity.name)
        parts += [self.prf.name, KEY_EXCHANGE_NAMES[self.key_exchange]]
        return "-".join(parts)

    def transforms(self) -> tuple[Transform, ...]:
        """The suite as transforms, one of each type, in the order encryption, PRF, integrity, key exchange."""
        found = [
            Transform(TransformType.ENCR, self.encryption.id, self.encryption.key_length),
            Transform(TransformType.PRF, self.prf.id, None),
        ]
        if self.integrity is not None:
            found.append(Transform(TransformType.INTEG, self.integrity.id, None))
        found.append(Transform(TransformType.KE, self.key_exchange, None))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class EspSuite:
    """The algorithms of a Child SA; `key_exchange` is None when no fresh key exchange was made for it."""

    encryption: Encryption
    integrity: Integrity | None
    esn: bool
    key_exchange: int | None = None

    @property
    def name(self) -> str:
        """The suite in swanctl's notation, "aes128gcm16-x25519-esn"."""
        parts = [self.encryption.name]
        if self.integrity is not None:
            parts.append(self.integrity.name)
        if self.key_exchange is not None:
            parts.append(KEY_EXCHANGE_NAMES[self.key_exchange])
        parts.append("esn" if self.esn else "noesn")
        return "-".join(parts)

    def transforms(self) -> tuple[Transform, ...]:
        """The suite as transforms, one of each type, in the order encryption, integrity, key exchange, ESN."""
        found = [Transform(TransformType.ENCR, self.encryption.id, self.encryption.key_length)]
        if self.integrity is not None:
            found.append(Transform(TransformType.INTEG, self.integrity.id, None))
        if self.key_exchange is not None:
            found.append(Transform(TransformType.KE, self.key_exchange, None))
        found.append(Transform(TransformType.ESN, int(self.esn), None))
        return tuple(found)
