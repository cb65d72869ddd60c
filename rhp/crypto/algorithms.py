"""The registries of algorithms: what exists here, by number and by name in swanctl's notation.

Sizes are in octets unless the name says bits. What is offered by default is a decision of its own and stands in
`proposal.py`. Numbers are those of the IKEv2 registry (RFC 7296 section 3.3.2 and its successors). Every algorithm
exists once, here, so it is compared and hashed by its identity.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rhp._fast import prf as fast
from rhp.crypto.errors import UnknownAlgorithm
from rhp.wire.iana import Encr, Integ, KeMethod, PrfId


@dataclass(frozen=True, slots=True, eq=False)
class Encryption:
    """An encryption algorithm with one key length; shared by IKE and ESP.

    `salt_bytes` follow the key in the key material and begin every nonce; `iv_bytes` travel in each packet;
    `block_bytes` is the alignment that padding has to reach; `icv_bytes` is 0 unless the algorithm authenticates too
    (`aead`). `key_length` is the transform's Key Length attribute, None for ciphers of one size, which have a
    `fixed_key` (RFC 7296 section 3.3.5).
    """

    name: str
    id: int
    key_bits: int
    salt_bytes: int
    iv_bytes: int
    block_bytes: int
    icv_bytes: int
    aead: bool
    fixed_key: bool = False

    @property
    def key_bytes(self) -> int:
        """The octets of the key proper, without the salt."""
        return self.key_bits // 8

    @property
    def material_bytes(self) -> int:
        """The octets this algorithm takes from the key material: the key and the salt."""
        return self.key_bits // 8 + self.salt_bytes

    @property
    def key_length(self) -> int | None:
        """The Key Length attribute in bits, or None where the attribute is forbidden."""
        return None if self.fixed_key else self.key_bits


@dataclass(frozen=True, slots=True, eq=False)
class Integrity:
    """An HMAC cut to `icv_bytes` (RFC 2404, RFC 4868); `prf_id` is the pseudo-random function that it is uncut."""

    name: str
    id: int
    key_bytes: int
    icv_bytes: int
    prf_id: PrfId

    def tag(self, key: bytes, data: bytes) -> bytes:
        """Return the integrity check value of `data`, `icv_bytes` long."""
        return fast.prf(self.prf_id, key, data)[: self.icv_bytes]


@dataclass(frozen=True, slots=True, eq=False)
class Prf:
    """A pseudo-random function: an HMAC with its whole output, which is also its preferred key size."""

    name: str
    id: int
    output_bytes: int

    def prf(self, key: bytes, data: bytes) -> bytes:
        """Return `prf(key, data)`, `output_bytes` long."""
        return fast.prf(self.id, key, data)

    def prf_plus(self, key: bytes, seed: bytes, length: int) -> bytes:
        """Return the first `length` octets of `prf+(key, seed)` (RFC 7296 section 2.13); ValueError past 255 rounds."""
        return fast.prf_plus(self.id, key, seed, length)


_AES_BITS = (128, 192, 256)
_GCM = ((Encr.AES_GCM_16, 16), (Encr.AES_GCM_12, 12), (Encr.AES_GCM_8, 8))
_CCM = ((Encr.AES_CCM_16, 16), (Encr.AES_CCM_12, 12), (Encr.AES_CCM_8, 8))


def _encryptions() -> tuple[Encryption, ...]:
    table = []
    for bits in _AES_BITS:
        for number, icv in _GCM:
            table.append(Encryption(f"aes{bits}gcm{icv}", number, bits, 4, 8, 1, icv, True))
        for number, icv in _CCM:
            table.append(Encryption(f"aes{bits}ccm{icv}", number, bits, 3, 8, 1, icv, True))
        table.append(Encryption(f"aes{bits}", Encr.AES_CBC, bits, 0, 16, 16, 0, False))
        table.append(Encryption(f"aes{bits}ctr", Encr.AES_CTR, bits, 4, 8, 1, 0, False))
    table.append(Encryption("chacha20poly1305", Encr.CHACHA20_POLY1305, 256, 4, 8, 1, 16, True, True))
    table.append(Encryption("3des", Encr.TRIPLE_DES, 192, 0, 8, 8, 0, False, True))
    return tuple(table)


ENCRYPTIONS = _encryptions()
"""Every encryption algorithm implemented, legacy ones included."""

INTEGRITIES = (
    Integrity("sha256", Integ.HMAC_SHA2_256_128, 32, 16, PrfId.HMAC_SHA2_256),
    Integrity("sha384", Integ.HMAC_SHA2_384_192, 48, 24, PrfId.HMAC_SHA2_384),
    Integrity("sha512", Integ.HMAC_SHA2_512_256, 64, 32, PrfId.HMAC_SHA2_512),
    Integrity("sha1", Integ.HMAC_SHA1_96, 20, 12, PrfId.HMAC_SHA1),
)
"""Every integrity algorithm implemented."""

PRFS = (
    Prf("prfsha256", PrfId.HMAC_SHA2_256, 32),
    Prf("prfsha384", PrfId.HMAC_SHA2_384, 48),
    Prf("prfsha512", PrfId.HMAC_SHA2_512, 64),
    Prf("prfsha1", PrfId.HMAC_SHA1, 20),
)
"""Every pseudo-random function implemented."""

KEY_EXCHANGES: dict[str, int] = {
    "x25519": KeMethod.X25519,
    "x448": KeMethod.X448,
    "ecp256": KeMethod.ECP_256,
    "ecp384": KeMethod.ECP_384,
    "ecp521": KeMethod.ECP_521,
    "ecp256bp": KeMethod.BRAINPOOL_P256R1,
    "ecp384bp": KeMethod.BRAINPOOL_P384R1,
    "ecp512bp": KeMethod.BRAINPOOL_P512R1,
    "modp2048": KeMethod.MODP_2048,
    "modp3072": KeMethod.MODP_3072,
    "modp4096": KeMethod.MODP_4096,
    "modp1024": KeMethod.MODP_1024,
    "modp1536": KeMethod.MODP_1536,
    "mlkem768": KeMethod.ML_KEM_768,
    "mlkem1024": KeMethod.ML_KEM_1024,
}
"""Every key exchange method implemented, swanctl's name to its number."""

ADDITIONAL_ONLY = frozenset({KeMethod.ML_KEM_768, KeMethod.ML_KEM_1024})
"""Methods whose values are too long for IKE_SA_INIT, which cannot be fragmented; they come second (RFC 9370)."""

KEY_EXCHANGE_NAMES = {number: name for name, number in KEY_EXCHANGES.items()}
"""The same the other way round."""

_ENCRYPTION_BY_ID = {(item.id, item.key_length): item for item in ENCRYPTIONS}
_INTEGRITY_BY_ID = {item.id: item for item in INTEGRITIES}
_PRF_BY_ID = {item.id: item for item in PRFS}


def encryption(number: int, key_bits: int | None) -> Encryption:
    """Return the algorithm of a transform; `key_bits` is its Key Length attribute, None when absent.

    Raises `UnknownAlgorithm` also when a key length is missing, superfluous or not one of the algorithm's.
    """
    try:
        return _ENCRYPTION_BY_ID[number, key_bits]
    except KeyError:
        raise UnknownAlgorithm(f"encryption algorithm {number} with key length {key_bits}") from None


def integrity(number: int) -> Integrity:
    """Return the integrity algorithm of this number or raise `UnknownAlgorithm`."""
    try:
        return _INTEGRITY_BY_ID[number]
    except KeyError:
        raise UnknownAlgorithm(f"integrity algorithm {number}") from None


def prf(number: int) -> Prf:
    """Return the pseudo-random function of this number or raise `UnknownAlgorithm`."""
    try:
        return _PRF_BY_ID[number]
    except KeyError:
        raise UnknownAlgorithm(f"pseudo-random function {number}") from None


def has_encryption(number: int, key_bits: int | None) -> bool:
    """Whether there is an encryption algorithm of this number and key length."""
    return (number, key_bits) in _ENCRYPTION_BY_ID


def has_prf(number: int) -> bool:
    """Whether there is a pseudo-random function of this number."""
    return number in _PRF_BY_ID


def encryptions() -> Iterable[Encryption]:
    """All there are, also those that a crypto provider added."""
    return _ENCRYPTION_BY_ID.values()


def prfs() -> Iterable[Prf]:
    """All there are, as above."""
    return _PRF_BY_ID.values()


def add_encryption(item: Encryption) -> None:
    """Have `encryption` know one more, for `rhp.crypto.additions`."""
    _ENCRYPTION_BY_ID[item.id, item.key_length] = item


def add_prf(item: Prf) -> None:
    """Have `prf` know one more, for `rhp.crypto.additions`."""
    _PRF_BY_ID[item.id] = item
