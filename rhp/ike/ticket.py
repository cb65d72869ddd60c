"""A ticket by value (RFC 5723 section 6.1): all that a node has to know to resume an IKE SA, sealed for itself.

    | version | key name | ticket id |  sealed: the contents  | tag |
        1          8          16                                16

Every ticket has a key of its own, made of a key of the vault and the ticket's random id, so that no nonce is ever used
twice. What stands in front of the seal is covered by it. Whoever holds a ticket can read nothing of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from rhp.crypto.aead import Aead
from rhp.crypto.algorithms import encryption
from rhp.crypto.errors import AuthenticationFailed
from rhp.crypto.secret import Secret
from rhp.ike.vault import KEY_NAME_OCTETS, TicketKey
from rhp.wire.errors import DecodeError
from rhp.wire.iana import Encr
from rhp.wire.identity import Identity
from rhp.wire.reader import Reader
from rhp.wire.sa import SA

ID_OCTETS = 16
MOST_OCTETS = 1024
"""The longest ticket that is made: it travels in a message that cannot be fragmented by IKE."""

_VERSION = 1
_HEAD_OCTETS = 1 + KEY_NAME_OCTETS + ID_OCTETS
_CIPHER = encryption(Encr.AES_GCM_16, 256)
_IV = bytes(_CIPHER.iv_bytes)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket says: whose it is, how the session is protected, and until when (seconds since 1970).

    `policy` is a digest of what the connection demanded when the peer was authenticated, `suite` an SA payload with
    the one proposal that was chosen; `ppk` says that a PPK is in SK_d (RFC 8784).
    """

    connection: str
    policy: bytes
    local: Identity
    peer: Identity
    authenticated: int
    expires: int
    suite: SA
    sk_d: Secret
    ppk: bool


def seal(ticket: Ticket, key: TicketKey, random: Callable[[int], bytes]) -> bytes:
    """The octets for the peer to keep; their id can be read by `ticket_id`. ValueError when they are too many."""
    head = bytes((_VERSION,)) + key.name + random(ID_OCTETS)
    sealed = head + _aead(key, head).seal(_IV, _contents(ticket), head)
    if len(sealed) > MOST_OCTETS:
        raise ValueError("the ticket is too long")
    return sealed


def ticket_id(octets: bytes) -> bytes:
    """The id of a ticket that `seal` made."""
    return octets[_HEAD_OCTETS - ID_OCTETS : _HEAD_OCTETS]


def unseal(octets: bytes, keys: Sequence[TicketKey]) -> Ticket:
    """Read a ticket of anybody. Raises AuthenticationFailed for what is not sealed by one of `keys`."""
    head, sealed = octets[:_HEAD_OCTETS], octets[_HEAD_OCTETS:]
    name = head[1 : 1 + KEY_NAME_OCTETS]
    key = next((one for one in keys if one.name == name), None)
    if key is None or len(octets) > MOST_OCTETS or len(head) != _HEAD_OCTETS or head[0] != _VERSION:
        raise AuthenticationFailed("this is no ticket of ours")
    try:
        return _parse(Reader(_aead(key, head).open(_IV, sealed, head)))
    except (DecodeError, UnicodeDecodeError) as error:
        # Ours by its seal, so an older rhp wrote it in another way.
        raise AuthenticationFailed("the ticket is of another version") from error


def _aead(key: TicketKey, head: bytes) -> Aead:
    material = blake2b(head, key=key.secret.expose(), digest_size=_CIPHER.material_bytes).digest()
    return Aead(_CIPHER, material)


def _contents(ticket: Ticket) -> bytes:
    parts = (
        ticket.connection.encode(),
        ticket.policy,
        ticket.local.build(),
        ticket.peer.build(),
        ticket.authenticated.to_bytes(8),
        ticket.expires.to_bytes(8),
        ticket.suite.build(),
        ticket.sk_d.expose(),
        bytes((ticket.ppk,)),
    )
    return b"".join(len(part).to_bytes(2) + part for part in parts)


def _parse(reader: Reader) -> Ticket:
    parts = [reader.take(reader.u16()) for _ in range(9)]
    reader.end()
    name, policy, local, peer, authenticated, expires, suite, sk_d, ppk = parts
    return Ticket(
        name.decode(),
        policy,
        Identity.parse(Reader(local)),
        Identity.parse(Reader(peer)),
        int.from_bytes(authenticated),
        int.from_bytes(expires),
        SA.parse(Reader(suite)),
        Secret(sk_d),
        any(ppk),
    )
