"""Identities as text: what a configuration writes, what a log shows, and patterns that match them."""

from __future__ import annotations

from dataclasses import dataclass

from rhp.wire.identity import Identity


def parse_identity(text: str) -> Identity:
    """Read "a@x" (RFC822), "a.b" (FQDN), an IP address, "C=.., O=.." (DN) or "@#hex" (KEY_ID); ValueError otherwise."""
    raise NotImplementedError


def format_identity(identity: Identity) -> str:
    """Return printable text for any identity; never raises."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class IdentityPattern:
    """What a peer's identity has to look like: exact, "%any", "*@x" or "*.x"."""

    text: str

    @classmethod
    def parse(cls, text: str) -> IdentityPattern:
        """Read a pattern; ValueError with a sentence when it is none."""
        raise NotImplementedError

    def matches(self, identity: Identity) -> bool:
        """Whether the identity fits."""
        raise NotImplementedError
