"""The notation of proposals, as in swanctl: tokens joined by "-", several of a kind in order of preference.

    IKE   aes128gcm16-prfsha256-x25519        aes256-aes128-sha256-modp2048
    ESP   aes128gcm16-x25519-esn              chacha20poly1305        aes128ctr-sha256-noesn

"ke1_mlkem768" to "ke7_..." are additional key exchanges (RFC 9370), one for each number; with "ke1_none" the first one
may be left out: "aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke1_none".

Without a PRF an IKE proposal takes the hashes of its integrity algorithms. Without "esn" or "noesn" an ESP proposal
offers both. "modpnone" makes an ESP proposal's key exchange optional.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TypeVar

from rhp.crypto.algorithms import (
    ADDITIONAL_ONLY,
    ENCRYPTIONS,
    INTEGRITIES,
    KEY_EXCHANGES,
    PRFS,
    Encryption,
    Integrity,
    Prf,
)
from rhp.crypto.choices import ADDITIONAL_TYPES, NO_KEY_EXCHANGE, Additional, EspProposal, IkeProposal

_T = TypeVar("_T")

_ENCRYPTION_TOKENS = {item.name: item for item in ENCRYPTIONS}
_INTEGRITY_TOKENS = {item.name: item for item in INTEGRITIES}
_PRF_TOKENS = {item.name: item for item in PRFS}
_KEY_EXCHANGE_TOKENS = {
    **{name: method for name, method in KEY_EXCHANGES.items() if method not in ADDITIONAL_ONLY},
    "modpnone": NO_KEY_EXCHANGE,
}
_ADDITIONAL_TOKENS = {
    f"ke{number}_{name}": (number, method)
    for number in range(1, len(ADDITIONAL_TYPES) + 1)
    for name, method in (*KEY_EXCHANGES.items(), ("none", NO_KEY_EXCHANGE))
}
_TOO_LARGE = 'is too long for IKE_SA_INIT; write "x25519-ke1_{name}", which makes it the second key exchange'
_LARGE = {name: _TOO_LARGE.format(name=name) for name, method in KEY_EXCHANGES.items() if method in ADDITIONAL_ONLY}
_ESN_TOKENS = {"esn": True, "noesn": False}
_ALIASES = {
    "aes": "aes128",
    "sha": "sha1",
    "sha2_256": "sha256",
    "sha2_384": "sha384",
    "sha2_512": "sha512",
    "curve25519": "x25519",
    "curve448": "x448",
    **{f"aes{bits}cbc": f"aes{bits}" for bits in (128, 192, 256)},
    **{f"aes{bits}{mode}": f"aes{bits}{mode}16" for bits in (128, 192, 256) for mode in ("gcm", "ccm")},
    **{
        f"aes{bits}{mode}{icv * 8}": f"aes{bits}{mode}{icv}"
        for bits in (128, 192, 256)
        for mode in ("gcm", "ccm")
        for icv in (8, 12, 16)
    },
}
_LEGACY = {
    "3des": "3des is a legacy cipher with blocks of 64 bits; use aes128gcm16 where the peer can",
    "modp1024": "modp1024 is within reach of strong attackers; use x25519 or modp2048 where the peer can",
    "modp1536": "modp1536 is below today's strength; use x25519 or modp2048 where the peer can",
}


class _Tokens:
    """The tokens of one proposal, sorted by kind; a token of no kind is a mistake with a suggestion."""

    def __init__(self, text: str, foreign: dict[str, str]) -> None:
        self.encryptions: list[Encryption] = []
        self.integrities: list[Integrity] = []
        self.prfs: list[Prf] = []
        self.key_exchanges: list[int] = []
        self.rounds: dict[int, list[int]] = {}
        self.esn: list[bool] = []
        self.warnings: list[str] = []
        problems = []
        for raw in text.strip().lower().split("-"):
            token = _alias(raw)
            if token in foreign:
                problems.append(f'"{raw}" {foreign[token]}')
            elif not self._sort(token):
                problems.append(_unknown(raw, foreign))
            elif token in _LEGACY and _LEGACY[token] not in self.warnings:
                self.warnings.append(_LEGACY[token])
        if problems:
            raise ValueError("; ".join(problems))

    def _sort(self, token: str) -> bool:
        if token in _ENCRYPTION_TOKENS:
            _append(self.encryptions, _ENCRYPTION_TOKENS[token])
        elif token in _INTEGRITY_TOKENS:
            _append(self.integrities, _INTEGRITY_TOKENS[token])
        elif token in _PRF_TOKENS:
            _append(self.prfs, _PRF_TOKENS[token])
        elif token in _KEY_EXCHANGE_TOKENS:
            _append(self.key_exchanges, _KEY_EXCHANGE_TOKENS[token])
        elif token in _ESN_TOKENS:
            _append(self.esn, _ESN_TOKENS[token])
        elif token in _ADDITIONAL_TOKENS:
            number, method = _ADDITIONAL_TOKENS[token]
            _append(self.rounds.setdefault(number, []), method)
        else:
            return False
        return True

    def additional(self) -> Additional:
        """The choices for each additional key exchange; checks that there is a first one for them to add to."""
        if not self.rounds:
            return ()
        if not any(self.key_exchanges):
            raise ValueError('an additional key exchange needs a first one before it, such as "x25519"')
        if NO_KEY_EXCHANGE in self.key_exchanges:
            raise ValueError('"modpnone" cannot share a proposal with additional key exchanges; write two proposals')
        for number, choices in self.rounds.items():
            if choices == self.key_exchanges[:1] and len(self.key_exchanges) == 1:
                raise ValueError(f'"ke{number}_" repeats the first key exchange; each has to be another one')
        return tuple(tuple(self.rounds.get(number, ())) for number in range(1, max(self.rounds) + 1))

    def require_ciphers(self, advice: str) -> None:
        """Check that encryption and integrity fit each other.

        `advice` says what to write instead of an integrity token.
        """
        if not self.encryptions:
            raise ValueError('an encryption algorithm is missing, such as "aes128gcm16"')
        aead = [item.name for item in self.encryptions if item.aead]
        other = [item.name for item in self.encryptions if not item.aead]
        if aead and other:
            raise ValueError(
                f'"{aead[0]}" and "{other[0]}" cannot share a proposal: '
                "ciphers that authenticate by themselves and others need proposals of their own"
            )
        if aead and self.integrities:
            mac = self.integrities[0].name
            raise ValueError(f'"{aead[0]}" authenticates by itself: {advice.format(mac=mac)}')
        if other and not self.integrities:
            raise ValueError(f'"{other[0]}" needs an integrity algorithm, such as "sha256"')


def _alias(token: str) -> str:
    """The token's usual spelling, within an additional key exchange, too."""
    head, mark, name = token.partition("_")
    if mark and head.startswith("ke"):
        return f"{head}_{_ALIASES.get(name, name)}"
    return _ALIASES.get(token, token)


def _append(items: list[_T], item: _T) -> None:
    if item not in items:
        items.append(item)


def _unknown(token: str, foreign: dict[str, str]) -> str:
    known = [*_ENCRYPTION_TOKENS, *_INTEGRITY_TOKENS, *_PRF_TOKENS, *_KEY_EXCHANGE_TOKENS, *_ESN_TOKENS]
    known += [*_ADDITIONAL_TOKENS, *_ALIASES]
    usable = [name for name in known if _ALIASES.get(name, name) not in foreign]
    near = get_close_matches(token, usable, 1, 0.5)
    hint = f'; did you mean "{near[0]}"?' if near else '; write for example "aes128gcm16"'
    return (
        f'"{token}" is not an algorithm{hint}' if token else "an algorithm is missing between two hyphens or at an end"
    )


_FOREIGN_TO_IKE = {
    "esn": "belongs to ESP proposals",
    "noesn": "belongs to ESP proposals",
    "modpnone": "belongs to ESP proposals: an IKE SA always makes a key exchange",
    **_LARGE,
}
_NO_PRF = "belongs to IKE proposals: ESP uses the IKE SA's PRF"
_FOREIGN_TO_ESP = {**dict.fromkeys(_PRF_TOKENS, _NO_PRF), **_LARGE}


def is_word(name: str) -> bool:
    """Whether a proposal may hold this word already, whatever it means."""
    tables = (_ENCRYPTION_TOKENS, _INTEGRITY_TOKENS, _PRF_TOKENS, _KEY_EXCHANGE_TOKENS, _ESN_TOKENS, _ALIASES, _LARGE)
    return name == "none" or any(name in table for table in tables)


def add_encryption(item: Encryption) -> None:
    """Know one more cipher, for `rhp.crypto.additions`."""
    _ENCRYPTION_TOKENS[item.name] = item
    _FOREIGN_TO_ESP[item.name] = "belongs to IKE proposals: which ciphers ESP has is the ESP provider's to say"


def add_prf(item: Prf) -> None:
    """Know one more pseudo-random function, for `rhp.crypto.additions`."""
    _PRF_TOKENS[item.name] = item
    _FOREIGN_TO_ESP[item.name] = _NO_PRF


def add_key_exchange(name: str, method: int, *, large: bool) -> None:
    """Know one more method, for `rhp.crypto.additions`; a `large` one comes second or later."""
    for number in range(1, len(ADDITIONAL_TYPES) + 1):
        _ADDITIONAL_TOKENS[f"ke{number}_{name}"] = (number, method)
    if large:
        _LARGE[name] = _FOREIGN_TO_IKE[name] = _FOREIGN_TO_ESP[name] = _TOO_LARGE.format(name=name)
    else:
        _KEY_EXCHANGE_TOKENS[name] = method


def parse_ike_proposal(text: str) -> IkeProposal:
    """Read one IKE proposal; raises ValueError with a sentence that names the wrong token and the nearest right one."""
    tokens = _Tokens(text, _FOREIGN_TO_IKE)
    tokens.require_ciphers('write "prf{mac}" instead of "{mac}"')
    if not tokens.prfs:
        tokens.prfs = [_PRF_TOKENS[f"prf{item.name}"] for item in tokens.integrities]
    if not tokens.prfs:
        raise ValueError(f'"{tokens.encryptions[0].name}" needs a pseudo-random function, such as "prfsha256"')
    if not tokens.key_exchanges:
        raise ValueError('a key exchange is missing, such as "x25519"')
    return IkeProposal(
        tuple(tokens.encryptions),
        tuple(tokens.integrities),
        tuple(tokens.prfs),
        tuple(tokens.key_exchanges),
        tuple(tokens.warnings),
        tokens.additional(),
    )


def parse_esp_proposal(text: str) -> EspProposal:
    """Read one ESP proposal; raises ValueError with a sentence that names the wrong token and the nearest right one."""
    tokens = _Tokens(text, _FOREIGN_TO_ESP)
    tokens.require_ciphers('leave "{mac}" away')
    return EspProposal(
        tuple(tokens.encryptions),
        tuple(tokens.integrities),
        tuple(tokens.key_exchanges),
        tuple(tokens.esn) or (True, False),
        tuple(tokens.warnings),
        tokens.additional(),
    )
