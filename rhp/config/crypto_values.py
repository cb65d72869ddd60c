"""Values whose grammar belongs to crypto and pki: identities and proposals. Text in, the value or ValueError out."""

from __future__ import annotations

from rhp.config.values import text
from rhp.crypto.proposal import EspProposal, IkeProposal, parse_esp_proposal, parse_ike_proposal
from rhp.pki.identity import parse_identity
from rhp.realm.pattern import IdentityPattern
from rhp.wire.identity import Identity


def identity(value: object) -> Identity:
    """Read who we are: "a.example.org", "a@example.org", an IP address, "C=.., O=.., CN=.." or "@#hex"."""
    written = text(value)
    if "*" in written or written == "%any":
        raise ValueError(f'"{written}" is a pattern; write one identity of our own, such as "a.example.org"')
    return parse_identity(written)


def pattern(value: object) -> IdentityPattern:
    """Read whom we expect: an identity, "*.example.org", "*@example.org" or "%any"."""
    return IdentityPattern.parse(text(value))


def rule(value: object) -> IdentityPattern:
    """Read one text of a realm's `match`: as `pattern`, but a distinguished name lists the parts that have to be."""
    if text(value).strip() == "%null":
        raise ValueError('"%null" is nobody; write remote.auth = "null" and no match for a realm of strangers')
    return IdentityPattern.rule(text(value))


def ike_proposal(value: object) -> IkeProposal:
    """Read "aes128gcm16-prfsha256-x25519" and its like."""
    return parse_ike_proposal(text(value))


def esp_proposal(value: object) -> EspProposal:
    """Read "aes128gcm16" and its like, with a key exchange and "-esn" where wanted."""
    return parse_esp_proposal(text(value))
