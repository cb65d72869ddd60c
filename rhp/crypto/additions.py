"""Algorithms that a crypto provider adds (`rhp.spi.crypto`): what each kind says of itself, and how it joins its table.

The tables are the process's. An algorithm stays once it is there, and adding the same one again changes nothing; one
that takes the number or the name of another is refused, so no proposal ever changes its meaning. Whatever the code of
an addition raises while a peer's octets are looked at is that handshake's failure, and tells nothing but its kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from rhp.crypto import aead, algorithms, grammar, keyexchange, negotiate, signature
from rhp.crypto.algorithms import Encryption, Prf
from rhp.crypto.errors import AuthenticationFailed, CryptoError, KeyExchangeFailed
from rhp.crypto.keyexchange import KeyExchange
from rhp.crypto.secret import Secret
from rhp.wire.iana import TransformType

_NAME = re.compile(r"[a-z][a-z0-9]{1,31}")
_IV_BYTES = 8
_MOST_ROUNDS = 255
_AEAD_TAGS = (8, 12, 16)

T = TypeVar("T")


class AdditionRefused(ValueError):
    """An algorithm cannot be added; the text is a sentence."""


class AeadPrimitive(Protocol):
    """One key of an AEAD; tag and ciphertext are one, the tag last. As the classes of `cryptography` have it."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Ciphertext and tag."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Plaintext; raises for a tag that is wrong."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyExchangeMethod:
    """A key exchange method (transform type 4).

    `start` makes a fresh key pair. `respond` answers the public value of who began with our own and the secret; None
    where both sides do the same. `large` ones are too long for IKE_SA_INIT and come second (RFC 9370).
    """

    name: str
    number: int
    start: Callable[[], KeyExchange]
    respond: Callable[[bytes], tuple[bytes, Secret]] | None = None
    large: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudoRandom:
    """A pseudo-random function (transform type 2): `function(key, data)` gives `output_bytes`, its key size as well."""

    name: str
    number: int
    output_bytes: int
    function: Callable[[bytes, bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class AeadCipher:
    """An AEAD cipher for the Encrypted payload (transform type 1, RFC 5282): nonces are the salt and an IV of 8 octets.

    `primitive` is made of a key of `key_bits`. `fixed_key` ciphers have no Key Length attribute.
    """

    name: str
    number: int
    key_bits: int
    salt_bytes: int
    icv_bytes: int
    primitive: Callable[[bytes], AeadPrimitive]
    fixed_key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureScheme:
    """A signature scheme of method 14 (RFC 7427) with a hash of its own.

    `identifier` is the AlgorithmIdentifier in DER, `hash` the number that both sides announce. Where both have, keys
    that `fits` takes sign by it. `sign(private_key, octets)` gives the signature; `verify(public_key, signature,
    octets)` returns for a right one and raises else. Keys are objects of `cryptography`.
    """

    name: str
    identifier: bytes
    hash: int
    fits: Callable[[object], bool]
    sign: Callable[[object, bytes], bytes]
    verify: Callable[[object, bytes, bytes], None]


Addition = KeyExchangeMethod | PseudoRandom | AeadCipher | SignatureScheme

_added: list[Addition] = []


def add(additions: Sequence[Addition]) -> None:
    """Put each into its table. Raises `AdditionRefused` for the first that cannot be; those before it stay."""
    for item in additions:
        if not any(item is one for one in _added):
            _add(item)
            _added.append(item)


def _add(item: Addition) -> None:
    if not isinstance(item, Addition):
        raise AdditionRefused(f"{type(item).__name__} is no kind of algorithm that can be added")
    if isinstance(item, SignatureScheme):
        _add_signature(item)
        return
    _check_name(item.name)
    if isinstance(item, KeyExchangeMethod):
        _add_key_exchange(item)
    elif isinstance(item, PseudoRandom):
        _add_prf(item)
    else:
        _add_aead(item)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise AdditionRefused(
            f'"{name}" is no name for an algorithm; write small letters and digits, such as "prfsha3"'
        )
    if grammar.is_word(name):
        raise AdditionRefused(f'an algorithm is called "{name}" already; give the new one another name')


def _check_number(what: str, number: int, taken: bool, name: str) -> None:
    if not 0 < number < 1 << 16:
        raise AdditionRefused(f'{number} of "{name}" is no {what}; write 1 to 65535, private ones from 1024 on')
    if taken:
        raise AdditionRefused(f'{what} {number} of "{name}" is another one\'s; give it a number of its own')


def _add_key_exchange(item: KeyExchangeMethod) -> None:
    _check_number("key exchange method", item.number, keyexchange.implemented(item.number), item.name)
    respond = None if item.respond is None else _careful(item.respond, item.name)
    keyexchange.add(item.number, lambda: _CarefulExchange(item), respond)
    algorithms.KEY_EXCHANGES[item.name] = item.number
    algorithms.KEY_EXCHANGE_NAMES[item.number] = item.name
    grammar.add_key_exchange(item.name, item.number, large=item.large)


def _add_prf(item: PseudoRandom) -> None:
    taken = algorithms.has_prf(item.number)
    _check_number("pseudo-random function", item.number, taken, item.name)
    if not 16 <= item.output_bytes <= 255:
        raise AdditionRefused(f'"{item.name}" gives {item.output_bytes} octets; a PRF gives 16 to 255')
    made = _AddedPrf(item.name, item.number, item.output_bytes, item.function)
    algorithms.add_prf(made)
    grammar.add_prf(made)
    negotiate.add_name(TransformType.PRF, item.number, None, item.name)


def _add_aead(item: AeadCipher) -> None:
    length = None if item.fixed_key else item.key_bits
    taken = algorithms.has_encryption(item.number, length) or aead.clashes(item.number, item.primitive)
    _check_number("encryption algorithm", item.number, taken, item.name)
    if item.key_bits not in (128, 192, 256) or not 0 <= item.salt_bytes <= 16 or item.icv_bytes not in _AEAD_TAGS:
        raise AdditionRefused(
            f'"{item.name}" has sizes that IKE cannot use; write keys of 128, 192 or 256 bits, a salt of up to '
            "16 octets and a tag of 8, 12 or 16"
        )
    made = Encryption(
        item.name, item.number, item.key_bits, item.salt_bytes, _IV_BYTES, 1, item.icv_bytes, True, item.fixed_key
    )
    aead.add(item.number, item.primitive)
    algorithms.add_encryption(made)
    grammar.add_encryption(made)
    negotiate.add_name(TransformType.ENCR, item.number, length, item.name)


def _add_signature(item: SignatureScheme) -> None:
    if item.hash in signature.SUPPORTED_HASHES:
        raise AdditionRefused(f'hash {item.hash} of "{item.name}" is announced for other schemes; use one of its own')
    _check_number("hash", item.hash, False, item.name)
    if not 2 < len(item.identifier) < 256 or signature.knows(item.identifier):
        raise AdditionRefused(f'the algorithm identifier of "{item.name}" is known already, or none')
    signature.add(
        signature.AddedScheme(item.identifier, item.hash, item.fits, item.sign, _careful_check(item.verify, item.name))
    )


@dataclass(frozen=True, slots=True, eq=False)
class _AddedPrf(Prf):
    function: Callable[[bytes, bytes], bytes]

    def prf(self, key: bytes, data: bytes) -> bytes:
        found = self.function(key, data)
        if len(found) != self.output_bytes:
            raise CryptoError(f"{self.name} gave {len(found)} octets")
        return found

    def prf_plus(self, key: bytes, seed: bytes, length: int) -> bytes:
        """RFC 7296 section 2.13: T1 = prf(K, S | 1), Tn = prf(K, Tn-1 | S | n)."""
        rounds = -(-length // self.output_bytes)
        if rounds > _MOST_ROUNDS:
            raise ValueError(f"prf+ gives at most {_MOST_ROUNDS * self.output_bytes} octets")
        made, last = bytearray(), b""
        for number in range(1, rounds + 1):
            last = self.prf(key, last + seed + bytes((number,)))
            made += last
        return bytes(made[:length])


class _CarefulExchange:
    """One key pair of an added method."""

    def __init__(self, item: KeyExchangeMethod) -> None:
        self.method = item.number
        self._pair = item.start()
        self.public = self._pair.public
        self._name = item.name

    def agree(self, peer_public: bytes) -> Secret:
        return _careful(self._pair.agree, self._name)(peer_public)


def _careful(step: Callable[[bytes], T], name: str) -> Callable[[bytes], T]:
    def take(peer_public: bytes) -> T:
        try:
            return step(peer_public)
        except KeyExchangeFailed:
            raise
        except Exception as error:
            # Not chained: what somebody else's code says may hold what nobody should read.
            raise KeyExchangeFailed(f"the peer's {name} value was not taken ({type(error).__name__})") from None

    return take


def _careful_check(verify: Callable[[object, bytes, bytes], None], name: str) -> Callable[[object, bytes, bytes], None]:
    def check(public_key: object, signed: bytes, octets: bytes) -> None:
        try:
            verify(public_key, signed, octets)
        except Exception as error:
            raise AuthenticationFailed(f"the signature by {name} is wrong ({type(error).__name__})") from None

    return check
