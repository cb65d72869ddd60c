"""What the octets look like that an AUTH payload proves (RFC 7296 section 2.15), as far as one can tell without keys.

    | IKE_SA_INIT message, as sent | nonce | prf(SK_p, ID) | prf(SK_p, ..) | prf(SK_p, ..) | Message ID |
      header, SA, KE, nonce, ..      16..256  as prf is      only behind IKE_INTERMEDIATE (RFC 9242)

The guard signs and proves nothing else. So whatever the node has been turned into, no signature of ours becomes a
certificate, a TLS handshake or a letter. A key exchange by which a PPK is mixed in (RFC 8784) looks the same, for the
PPK only changes SK_p; a resumed session (RFC 5723) takes no long-term secret and never comes here; and a Rockhopper
peer's first message has the same frame.
"""

from __future__ import annotations

from struct import Struct

_HEADER = Struct("!8s8sBBBBII")
_PAYLOAD = Struct("!BBH")
_MAJOR_VERSION = 2
_IKE_SA_INIT = 34
_INITIATOR, _RESPONSE = 0x08, 0x20
_SA, _KE, _NONCE = 33, 34, 40
_NEEDED = frozenset({_SA, _KE, _NONCE})
_SHORTEST_NONCE, _LONGEST_NONCE = 16, 256
_MOST_PAYLOADS = 512  # As many as a message may have that is read at all.
_FIRST_AUTH = 1
_LAST_AUTH = 17
"""The Message ID of the first IKE_AUTH request: 1, and one more for each IKE_INTERMEDIATE exchange, 16 at most."""

PRF_OCTETS: dict[int, int] = {2: 20, 5: 32, 6: 48, 7: 64}
"""The output of each pseudo-random function by its number (RFC 7296 section 3.3.2, RFC 4868)."""


def add_prf(number: int, octets: int) -> None:
    """Know one more, which a crypto provider has."""
    PRF_OCTETS[number] = octets


def fault(octets: bytes, prf_id: int | None = None) -> str | None:
    """What speaks against these being the octets that an AUTH covers, in a few words; None where nothing does.

    With `prf_id` the part that it makes has its length, without it that of any.
    """
    if len(octets) < _HEADER.size:
        return "they are shorter than an IKE header"
    spi_i, spi_r, first, version, exchange, flags, message_id, length = _HEADER.unpack_from(octets)
    if version >> 4 != _MAJOR_VERSION or exchange != _IKE_SA_INIT or message_id:
        return "they do not begin with an IKE_SA_INIT message"
    role = flags & (_INITIATOR | _RESPONSE)
    if role not in (_INITIATOR, _RESPONSE) or spi_i == bytes(8) or (role == _RESPONSE) != (spi_r != bytes(8)):
        return "the IKE_SA_INIT message is neither a request nor a response"
    if length > len(octets):
        return "the IKE_SA_INIT message is cut off"
    wrong = _payload_fault(octets, length, first)
    if wrong is not None:
        return wrong
    sizes = tuple(PRF_OCTETS.values()) if prf_id is None else (PRF_OCTETS.get(prf_id, len(octets)),)
    if not any(_ends_well(octets, length, size) for size in sizes):
        return "what follows the IKE_SA_INIT message is no nonce and no proof of an identity"
    return None


def _payload_fault(octets: bytes, end: int, kind: int) -> str | None:
    """A chain of payloads that fills the message, with what every IKE_SA_INIT has in it."""
    at = _HEADER.size
    seen: list[int] = []
    while kind and len(seen) < _MOST_PAYLOADS:
        if end - at < _PAYLOAD.size:
            return "the IKE_SA_INIT message has no chain of payloads"
        seen.append(kind)
        kind, _, length = _PAYLOAD.unpack_from(octets, at)
        if length < _PAYLOAD.size or length > end - at:
            return "a payload of the IKE_SA_INIT message has no length"
        at += length
    if kind or at != end or not _NEEDED.issubset(seen):
        return "the IKE_SA_INIT message lacks what makes it one"
    return None


def _ends_well(octets: bytes, length: int, size: int) -> bool:
    """Whether a nonce and a proof of `size` octets are left, with or without what IKE_INTERMEDIATE adds."""
    left = len(octets) - length
    if _SHORTEST_NONCE <= left - size <= _LONGEST_NONCE:
        return True
    said = int.from_bytes(octets[-4:], "big")
    return _SHORTEST_NONCE <= left - 3 * size - 4 <= _LONGEST_NONCE and _FIRST_AUTH < said <= _LAST_AUTH
