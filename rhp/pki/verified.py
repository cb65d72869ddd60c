"""Chains that were verified a short while ago: a peer that comes again costs no second verification.

What is kept is the outcome for exactly these octets and exactly these trusted CAs, for a few minutes and never beyond
the moment when the first certificate of the path expires. So other CAs after a reload, or one octet more, are another
question, and so are other revocation lists. Only success is kept, and never longer than the lists that it rests on.
What a peer signs, and whether the certificate names it, is looked at every time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rhp.crypto.signature import PublicKey
from rhp.pki.chain import Trust, Verified, check_name, in_utc, verify_chain
from rhp.wire.identity import Identity

LONGEST = timedelta(minutes=5)
MOST = 1024

_Key = tuple[bytes, Trust]


@dataclass(frozen=True, slots=True)
class _Entry:
    verified: Verified
    since: datetime
    until: datetime


class VerifiedChains:
    """One engine's memory of them, `MOST` at most; the oldest goes first."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[_Key, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def validate(
        self,
        cert_ders: Sequence[bytes],
        trusted_ders: tuple[bytes, ...],
        now: datetime,
        identity: Identity,
        intermediates: tuple[bytes, ...] = (),
        crls: tuple[bytes, ...] = (),
    ) -> PublicKey:
        """As `rhp.pki.chain.validate_chain`, with what else a `Trust` holds."""
        trust = Trust(trusted_ders, intermediates, crls)
        moment = in_utc(now)
        key = _digest(cert_ders), trust
        entry = self._entries.get(key)
        # A clock that was set back makes no certificate valid before the moment at which it was found so.
        if entry is None or not entry.since <= moment < entry.until:
            self._entries.pop(key, None)
            entry = self._keep(key, verify_chain(cert_ders, trust, moment), moment)
        check_name(entry.verified, identity)
        return entry.verified.key

    def _keep(self, key: _Key, verified: Verified, moment: datetime) -> _Entry:
        entry = _Entry(verified, moment, min(moment + LONGEST, verified.expires))
        if len(self._entries) >= MOST:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = entry
        return entry


def _digest(ders: Sequence[bytes]) -> bytes:
    """One name for a row of certificates; with their lengths, so that no two rows have the same octets."""
    digest = hashlib.sha256()
    for der in ders:
        digest.update(len(der).to_bytes(4))
        digest.update(der)
    return digest.digest()
