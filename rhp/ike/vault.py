"""What a node has to know again after it died: the secrets behind its crash tokens and its tickets.

The engine keeps none of this over a restart. Whoever runs it reads the vault from stable storage, hands it over and
hands over a new one when a ticket key has had its time. An engine without a vault makes no tokens and no tickets, for
both are worth nothing to a node that forgets them.
"""

from dataclasses import dataclass

from rhp.crypto.secret import Secret

SECRET_OCTETS = 32
KEY_NAME_OCTETS = 8


@dataclass(frozen=True, slots=True)
class TicketKey:
    """One key that seals tickets; its `name` (8 octets, no secret) stands in front of each of them."""

    name: bytes
    secret: Secret


@dataclass(frozen=True, slots=True)
class Vault:
    """`crash` makes the tokens of RFC 6290; `tickets` are the keys of RFC 5723, the newest first.

    The newest seals, each of them opens, so a ticket lives until its key is left out.
    """

    crash: Secret
    tickets: tuple[TicketKey, ...] = ()
