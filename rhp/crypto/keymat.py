"""Key material of an IKE SA and of its Child SAs (RFC 7296 sections 2.13 to 2.18, RFC 9370 section 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rhp.crypto.algorithms import Prf
from rhp.crypto.secret import Secret
from rhp.crypto.suite import EspSuite, IkeSuite

_RESUMPTION = b"Resumption"


@dataclass(frozen=True, slots=True)
class IkeKeys:
    """The seven keys of an IKE SA; with an AEAD `sk_ai` and `sk_ar` are empty and `sk_e*` end with the salt."""

    sk_d: Secret
    sk_ai: Secret
    sk_ar: Secret
    sk_ei: Secret
    sk_er: Secret
    sk_pi: Secret
    sk_pr: Secret

    def wipe(self) -> None:
        """Overwrite all seven."""
        for secret in (self.sk_d, self.sk_ai, self.sk_ar, self.sk_ei, self.sk_er, self.sk_pi, self.sk_pr):
            secret.wipe()


@dataclass(frozen=True, slots=True)
class ChildKeys:
    """The keys of a Child SA; `_i` protects what the initiator of the exchange sends. Salts follow their keys."""

    encr_i: Secret
    integ_i: Secret
    encr_r: Secret
    integ_r: Secret

    def wipe(self) -> None:
        """Overwrite all four."""
        for secret in (self.encr_i, self.integ_i, self.encr_r, self.integ_r):
            secret.wipe()


def derive_ike_keys(
    suite: IkeSuite, shared: Secret, nonce_i: bytes, nonce_r: bytes, spi_i: bytes, spi_r: bytes
) -> IkeKeys:
    """Derive the keys of a first IKE SA (RFC 7296 section 2.14); `shared` is the key exchange's secret."""
    seed = suite.prf.prf(nonce_i + nonce_r, shared.expose())
    return _expand_ike(suite, seed, nonce_i + nonce_r + spi_i + spi_r)


def strengthen_ike_keys(
    suite: IkeSuite, sk_d: Secret, shared: Secret, nonce_i: bytes, nonce_r: bytes, spi_i: bytes, spi_r: bytes
) -> IkeKeys:
    """Derive the keys of a first IKE SA after one more key exchange (RFC 9370 section 2.2.2).

    `sk_d` is the one before it, `shared` its secret; nonces and SPIs are those of IKE_SA_INIT.
    """
    return rederive_ike_keys(suite, suite.prf, sk_d, shared, nonce_i, nonce_r, spi_i, spi_r)


def rederive_ike_keys(
    suite: IkeSuite,
    old_prf: Prf,
    old_sk_d: Secret,
    shared: Secret,
    nonce_i: bytes,
    nonce_r: bytes,
    spi_i: bytes,
    spi_r: bytes,
    further: Sequence[Secret] = (),
) -> IkeKeys:
    """Derive the keys of an IKE SA that replaces another (RFC 7296 section 2.18); the seed uses the old SA's PRF.

    `further` are the secrets of additional key exchanges (RFC 9370 section 2.2.4).
    """
    seed = old_prf.prf(old_sk_d.expose(), shared.expose() + nonce_i + nonce_r + _joined(further))
    return _expand_ike(suite, seed, nonce_i + nonce_r + spi_i + spi_r)


def resume_ike_keys(
    suite: IkeSuite, old_sk_d: Secret, nonce_i: bytes, nonce_r: bytes, spi_i: bytes, spi_r: bytes
) -> IkeKeys:
    """Derive the keys of an IKE SA that resumes another one's session by a ticket (RFC 5723 section 5.1)."""
    seed = suite.prf.prf(old_sk_d.expose(), _RESUMPTION + nonce_i + nonce_r)
    return _expand_ike(suite, seed, nonce_i + nonce_r + spi_i + spi_r)


def derive_child_keys(
    suite: EspSuite,
    prf: Prf,
    sk_d: Secret,
    nonce_i: bytes,
    nonce_r: bytes,
    shared: Secret | None = None,
    further: Sequence[Secret] = (),
) -> ChildKeys:
    """Derive a Child SA's keys (RFC 7296 section 2.17); `shared` is given when the exchange had KE payloads.

    `further` are the secrets of additional key exchanges (RFC 9370 section 2.2.4).

    The nonces are those of the exchange that makes the Child SA: IKE_SA_INIT's for the first one, else
    CREATE_CHILD_SA's.
    """
    seed = (shared.expose() if shared is not None else b"") + nonce_i + nonce_r + _joined(further)
    encr = suite.encryption.material_bytes
    integ = suite.integrity.key_bytes if suite.integrity is not None else 0
    material = prf.prf_plus(sk_d.expose(), seed, 2 * (encr + integ))
    return ChildKeys(*_cut(material, (encr, integ, encr, integ)))


def _joined(secrets: Sequence[Secret]) -> bytes:
    return b"".join(one.expose() for one in secrets)


def mix_ppk(prf: Prf, ppk: Secret, key: Secret) -> Secret:
    """Return SK_d, SK_pi or SK_pr, made of its primed form and a post-quantum preshared key (RFC 8784 section 3)."""
    return Secret(prf.prf_plus(ppk.expose(), key.expose(), len(key)))


def _expand_ike(suite: IkeSuite, skeyseed: bytes, seed: bytes) -> IkeKeys:
    prf_bytes = suite.prf.output_bytes
    encr = suite.encryption.material_bytes
    integ = suite.integrity.key_bytes if suite.integrity is not None else 0
    sizes = (prf_bytes, integ, integ, encr, encr, prf_bytes, prf_bytes)
    return IkeKeys(*_cut(suite.prf.prf_plus(skeyseed, seed, sum(sizes)), sizes))


def _cut(material: bytes, sizes: tuple[int, ...]) -> list[Secret]:
    parts, start = [], 0
    for size in sizes:
        parts.append(Secret(material[start : start + size]))
        start += size
    return parts
