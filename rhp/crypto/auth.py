"""What the AUTH payload proves, and the proof by pre-shared key (RFC 7296 section 2.15)."""

from __future__ import annotations

from rhp.crypto.algorithms import Prf
from rhp.crypto.secret import Secret

_KEY_PAD = b"Key Pad for IKEv2"


def auth_octets(message: bytes, nonce: bytes, prf: Prf, sk_p: Secret, id_body: bytes) -> bytes:
    """Return the octets that one side signs.

    `message` is that side's IKE_SA_INIT message as sent (the last one, with a cookie if there was one), `nonce` is
    the other side's nonce, `sk_p` is SK_pi for the initiator and SK_pr for the responder, `id_body` is the body of
    its ID payload: type, three reserved octets as they were sent, and data.
    """
    return message + nonce + prf.prf(sk_p.expose(), id_body)


def psk_auth(prf: Prf, psk: Secret, octets: bytes) -> bytes:
    """Return the authentication data of method 2, Shared Key Message Integrity Code."""
    return prf.prf(prf.prf(psk.expose(), _KEY_PAD), octets)
