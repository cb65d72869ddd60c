"""A crypto provider with one algorithm of each kind, all under numbers of the private range:

prfsha3256          HMAC with SHA3-256, from the standard library
secp256k1           ECDH on the curve of that name (SEC 2), x and y as in RFC 5903
aes256gcmsiv16      AES-256-GCM-SIV (RFC 8452), for IKE's own messages
ECDSA with SHA3-256 for certificates with an ECDSA key, where both ends announce that hash

Two peers that are to use them both need this package: nobody else knows what these numbers mean.
"""

import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from rhp.crypto.errors import KeyExchangeFailed
from rhp.crypto.secret import Secret
from rhp.spi.crypto import Addition, AeadCipher, CryptoProvider, KeyExchangeMethod, PseudoRandom, SignatureScheme

SECP256K1, PRF_SHA3_256, AES_GCM_SIV, SHA3_256 = 1025, 1025, 1025, 1025
_OCTETS = 32
_ECDSA_SHA3_256 = bytes.fromhex("300b 0609 6086480165030403 0a")
"""AlgorithmIdentifier of id-ecdsa-with-sha3-256, 2.16.840.1.101.3.4.3.10, which has no parameters."""


class Secp256k1:
    """One ephemeral key pair."""

    method = SECP256K1

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256K1())
        numbers = self._private.public_key().public_numbers()
        self.public = numbers.x.to_bytes(_OCTETS) + numbers.y.to_bytes(_OCTETS)

    def agree(self, peer_public: bytes) -> Secret:
        """The x coordinate; a value that is no point of the curve is refused."""
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), b"\x04" + peer_public)
        except ValueError:
            raise KeyExchangeFailed("the peer's value is not a point of secp256k1") from None
        return Secret(self._private.exchange(ec.ECDH(), point))


def prf(key: bytes, data: bytes) -> bytes:
    """HMAC with SHA3-256."""
    return hmac.digest(key, data, "sha3_256")


def fits(key: object) -> bool:
    """Private and public ECDSA keys."""
    return isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey)


def sign(key: object, octets: bytes) -> bytes:
    """An ECDSA signature in DER."""
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("not an ECDSA key")
    return key.sign(octets, ec.ECDSA(hashes.SHA3_256()))


def verify(key: object, signature: bytes, octets: bytes) -> None:
    """Raises for one that is wrong."""
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError("not an ECDSA key")
    key.verify(signature, octets, ec.ECDSA(hashes.SHA3_256()))


ALL: tuple[Addition, ...] = (
    PseudoRandom(name="prfsha3256", number=PRF_SHA3_256, output_bytes=32, function=prf),
    KeyExchangeMethod(name="secp256k1", number=SECP256K1, start=Secp256k1),
    AeadCipher(
        name="aes256gcmsiv16", number=AES_GCM_SIV, key_bits=256, salt_bytes=4, icv_bytes=16, primitive=AESGCMSIV
    ),
    SignatureScheme(
        name="ecdsa-sha3-256", identifier=_ECDSA_SHA3_256, hash=SHA3_256, fits=fits, sign=sign, verify=verify
    ),
)


class Provider:
    """What the entry point names."""

    api_version = 1

    def transforms(self) -> Sequence[Addition]:
        """All of them; the same objects at every call."""
        return ALL


PROVIDER: CryptoProvider = Provider()
