"""Signatures in AUTH payloads: RFC 7427 (method 14, with RFC 8420) and the older methods 1 and 9 to 11.

The older methods serve peers that announce no hashes: method 1 is RSASSA-PKCS1-v1_5, for which SHA-1 is the one hash
that every implementation reads (RFC 7296 section 3.8); methods 9 to 11 are ECDSA on one curve each with its own hash,
the signature being r and s side by side (RFC 4754).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from rhp.crypto.errors import AuthenticationFailed, CryptoError
from rhp.crypto.sigalg import Scheme, SignatureAlgorithm, decode_algorithm, encode_algorithm
from rhp.wire.iana import AuthMethod, HashAlgorithm

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey

SUPPORTED_HASHES = frozenset(
    int(number)
    for number in (HashAlgorithm.SHA2_256, HashAlgorithm.SHA2_384, HashAlgorithm.SHA2_512, HashAlgorithm.IDENTITY)
)
"""Hash algorithm numbers to announce; SHA-1 is not among them (RFC 8247 section 3.2)."""

MINIMUM_RSA_BITS = 2048
"""Smaller RSA keys are refused."""

_HASHES: dict[int, hashes.HashAlgorithm] = {
    HashAlgorithm.SHA2_256: hashes.SHA256(),
    HashAlgorithm.SHA2_384: hashes.SHA384(),
    HashAlgorithm.SHA2_512: hashes.SHA512(),
}
_CURVE_METHODS: dict[str, tuple[int, int]] = {
    "secp256r1": (AuthMethod.ECDSA_SHA256_P256, HashAlgorithm.SHA2_256),
    "secp384r1": (AuthMethod.ECDSA_SHA384_P384, HashAlgorithm.SHA2_384),
    "secp521r1": (AuthMethod.ECDSA_SHA512_P521, HashAlgorithm.SHA2_512),
}
_WRONG = "the signature is wrong"


@dataclass(frozen=True, slots=True)
class AddedScheme:
    """A scheme of a crypto provider, see `rhp.crypto.additions.SignatureScheme`."""

    identifier: bytes
    hash: int
    fits: Callable[[object], bool]
    sign: Callable[[object, bytes], bytes]
    verify: Callable[[object, bytes, bytes], None]


_ADDED: list[AddedScheme] = []


def add(scheme: AddedScheme) -> None:
    """Know one more scheme, for `rhp.crypto.additions`."""
    _ADDED.append(scheme)


def knows(identifier: bytes) -> bool:
    """Whether an AlgorithmIdentifier has a meaning here."""
    if any(one.identifier == identifier for one in _ADDED):
        return True
    try:
        decode_algorithm(identifier)
    except ValueError:
        return False
    return True


def announced_hashes() -> frozenset[int]:
    """The hash algorithm numbers to announce (SIGNATURE_HASH_ALGORITHMS), those of crypto providers among them."""
    return SUPPORTED_HASHES | {one.hash for one in _ADDED}


def sign(
    private_key: PrivateKey, octets: bytes, peer_hashes: frozenset[int] | None, *, rsa_pss: bool = False
) -> tuple[int, bytes]:
    """Return the AUTH payload's method and data.

    With `peer_hashes` (what the peer's SIGNATURE_HASH_ALGORITHMS announced) the method is 14, RSA as PKCS#1 v1.5,
    which every client reads, or as PSS when `rsa_pss` asks for it; with None it is 1 or 9 to 11. Raises `CryptoError`
    when the peer's hashes and the key do not meet.
    """
    if peer_hashes is None:
        return _sign_old(private_key, octets)
    for added in _ADDED:
        # Nobody announces such a hash without meaning it.
        if added.hash in peer_hashes and added.fits(private_key):
            return _signed(added.identifier, added.sign(private_key, octets))
    if isinstance(private_key, rsa.RSAPrivateKey):
        number = _first_common((2, 3, 4), peer_hashes)
        scheme: Scheme = "pss" if rsa_pss else "rsa"
        algorithm = SignatureAlgorithm(scheme, number, _HASHES[number].digest_size)
        return _method_14(scheme, number, private_key.sign(octets, _rsa_padding(algorithm), _HASHES[number]))
    if isinstance(private_key, ec.EllipticCurvePrivateKey):
        number = _first_common(_by_size(private_key.curve.key_size), peer_hashes)
        return _method_14("ecdsa", number, private_key.sign(octets, ec.ECDSA(_HASHES[number])))
    number = _first_common((int(HashAlgorithm.IDENTITY),), peer_hashes)
    scheme = "ed25519" if isinstance(private_key, ed25519.Ed25519PrivateKey) else "ed448"
    return _method_14(scheme, number, private_key.sign(octets))


def verify(public_key: PublicKey, method: int, auth_data: bytes, octets: bytes, *, sha1: bool = True) -> None:
    """Return when the signature is right.

    `sha1` false refuses method 1 with SHA-1: a peer that announced RFC 7427 can do better, so it has to. Raises
    `AuthenticationFailed` otherwise, and for methods and keys not accepted.
    """
    if isinstance(public_key, rsa.RSAPublicKey) and public_key.key_size < MINIMUM_RSA_BITS:
        raise AuthenticationFailed(f"an RSA key of {public_key.key_size} bits is too short")
    try:
        if method == AuthMethod.DIGITAL_SIGNATURE:
            _verify_method_14(public_key, auth_data, octets)
        elif method == AuthMethod.RSA_SIGNATURE and isinstance(public_key, rsa.RSAPublicKey):
            _verify_rsa_old(public_key, auth_data, octets, sha1)
        elif isinstance(public_key, ec.EllipticCurvePublicKey):
            _verify_ecdsa_old(public_key, method, auth_data, octets)
        else:
            raise AuthenticationFailed(f"authentication method {method} does not fit the certificate's key")
    except InvalidSignature:
        raise AuthenticationFailed(_WRONG) from None


def _first_common(wanted: tuple[int, ...], announced: frozenset[int]) -> int:
    for number in wanted:
        if number in announced:
            return number
    raise CryptoError("the peer announced no hash algorithm that our private key can be used with")


def _by_size(curve_bits: int) -> tuple[int, ...]:
    """Hash numbers in the order that suits a curve: its own strength first, then stronger ones."""
    if curve_bits <= 256:
        return (2, 3, 4)
    return (3, 4, 2) if curve_bits <= 384 else (4, 3, 2)


def _method_14(scheme: Scheme, hash_number: int, signature: bytes) -> tuple[int, bytes]:
    return _signed(encode_algorithm(scheme, hash_number), signature)


def _signed(algorithm: bytes, signature: bytes) -> tuple[int, bytes]:
    return int(AuthMethod.DIGITAL_SIGNATURE), bytes((len(algorithm),)) + algorithm + signature


def _sign_old(private_key: PrivateKey, octets: bytes) -> tuple[int, bytes]:
    if isinstance(private_key, rsa.RSAPrivateKey):
        # The peer knows nothing of RFC 7427, and SHA-1 is all that such a peer can be trusted to read.
        return int(AuthMethod.RSA_SIGNATURE), private_key.sign(octets, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
    if isinstance(private_key, ec.EllipticCurvePrivateKey) and private_key.curve.name in _CURVE_METHODS:
        method, number = _CURVE_METHODS[private_key.curve.name]
        size = (private_key.curve.key_size + 7) // 8
        r, s = decode_dss_signature(private_key.sign(octets, ec.ECDSA(_HASHES[number])))
        return int(method), r.to_bytes(size, "big") + s.to_bytes(size, "big")
    raise CryptoError("the peer does not announce RFC 7427, which our kind of private key needs")


def _verify_method_14(public_key: PublicKey, auth_data: bytes, octets: bytes) -> None:
    size = auth_data[0] if auth_data else 0
    signature = auth_data[1 + size :]
    for added in _ADDED:
        if added.identifier == auth_data[1 : 1 + size] and added.fits(public_key):
            added.verify(public_key, signature, octets)
            return
    try:
        algorithm = decode_algorithm(auth_data[1 : 1 + size])
    except ValueError as error:
        raise AuthenticationFailed(f"the signature's algorithm is not accepted: {error}") from None
    if algorithm.scheme in ("rsa", "pss") and isinstance(public_key, rsa.RSAPublicKey):
        public_key.verify(signature, octets, _rsa_padding(algorithm), _HASHES[algorithm.hash])
    elif algorithm.scheme == "ecdsa" and isinstance(public_key, ec.EllipticCurvePublicKey):
        public_key.verify(signature, octets, ec.ECDSA(_HASHES[algorithm.hash]))
    elif (algorithm.scheme == "ed25519" and isinstance(public_key, ed25519.Ed25519PublicKey)) or (
        algorithm.scheme == "ed448" and isinstance(public_key, ed448.Ed448PublicKey)
    ):
        public_key.verify(signature, octets)
    else:
        raise AuthenticationFailed(f"a signature by {algorithm.scheme} does not fit the certificate's key")


def _rsa_padding(algorithm: SignatureAlgorithm) -> padding.PKCS1v15 | padding.PSS:
    if algorithm.scheme == "rsa":
        return padding.PKCS1v15()
    return padding.PSS(padding.MGF1(_HASHES[algorithm.hash]), algorithm.salt_bytes)


def _verify_rsa_old(public_key: rsa.RSAPublicKey, signature: bytes, octets: bytes, sha1: bool) -> None:
    """Method 1: SHA-1 by default, but the signature itself names its hash and some peers use a better one."""
    for digest in (hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()):  # noqa: S303
        try:
            public_key.verify(signature, octets, padding.PKCS1v15(), digest)
        except InvalidSignature:
            continue
        if isinstance(digest, hashes.SHA1) and not sha1:
            raise AuthenticationFailed("the signature is by SHA-1, where both sides announced better hashes")
        return
    raise InvalidSignature


def _verify_ecdsa_old(public_key: ec.EllipticCurvePublicKey, method: int, signature: bytes, octets: bytes) -> None:
    expected, number = _CURVE_METHODS.get(public_key.curve.name, (None, 0))
    if method != expected:
        raise AuthenticationFailed(f"authentication method {method} does not fit the certificate's key")
    size = (public_key.curve.key_size + 7) // 8
    if len(signature) != 2 * size:
        raise InvalidSignature
    r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
    public_key.verify(encode_dss_signature(r, s), octets, ec.ECDSA(_HASHES[number]))
