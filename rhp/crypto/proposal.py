"""Proposals: what a configuration allows, and the choice between two peers' proposals.

`choices` holds the types, `grammar` the notation, `negotiate` the choice; here are the defaults and the one place to
import from.

The defaults are what a careful administrator would write today (RFC 8247, RFC 8221): AEAD first, AES-128-GCM at the
head because it is the fastest and strong enough; AES-CBC with SHA-2 for peers without AEAD; no SHA-1, no 3DES, no
group under 2048 bits. An IKE SA is made with ML-KEM on top of a classical key exchange (RFC 9370), so that what is
recorded today stays secret from a quantum computer. A peer that does not know transforms of that kind has to refuse a
proposal that contains one, so the same follows without.
"""

from __future__ import annotations

from functools import cache

from rhp.crypto.choices import NO_KEY_EXCHANGE, EspProposal, IkeProposal
from rhp.crypto.grammar import parse_esp_proposal, parse_ike_proposal
from rhp.crypto.negotiate import accept_esp, accept_ike, choose_esp, choose_ike, describe

__all__ = [
    "NO_KEY_EXCHANGE",
    "EspProposal",
    "IkeProposal",
    "accept_esp",
    "accept_ike",
    "choose_esp",
    "choose_ike",
    "default_esp_proposals",
    "default_ike_proposals",
    "describe",
    "parse_esp_proposal",
    "parse_ike_proposal",
]

_KEY_EXCHANGES = "x25519-ecp256-ecp384-modp3072-modp2048"
_HYBRID = "x25519-ecp256-ecp384-ke1_mlkem768-ke1_mlkem1024"
_PRFS = "prfsha256-prfsha384-prfsha512"
_AEADS = "aes128gcm16-aes256gcm16-chacha20poly1305"
_OTHERS = "aes256-aes128-sha256-sha384-sha512"


@cache
def default_ike_proposals() -> tuple[IkeProposal, ...]:
    """Return what is offered and accepted when the configuration says nothing."""
    return (
        parse_ike_proposal(f"{_AEADS}-{_PRFS}-{_HYBRID}"),
        parse_ike_proposal(f"{_OTHERS}-{_PRFS}-{_HYBRID}"),
        parse_ike_proposal(f"{_AEADS}-{_PRFS}-{_KEY_EXCHANGES}"),
        parse_ike_proposal(f"{_OTHERS}-{_PRFS}-{_KEY_EXCHANGES}"),
    )


@cache
def default_esp_proposals() -> tuple[EspProposal, ...]:
    """Return what is offered and accepted when the configuration says nothing; a fresh key exchange is optional."""
    return (
        parse_esp_proposal(f"{_AEADS}-{_KEY_EXCHANGES}-modpnone-esn-noesn"),
        parse_esp_proposal(f"{_OTHERS}-{_KEY_EXCHANGES}-modpnone-esn-noesn"),
    )
