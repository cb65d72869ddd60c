"""What the AUTH payload proves, and the proof by pre-shared key (RFC 7296 section 2.15, RFC 9242 section 3.3)."""

from __future__ import annotations

from rhp.crypto.algorithms import Prf
from rhp.crypto.secret import Secret

_KEY_PAD = b"Key Pad for IKEv2"


def auth_octets(
    message: bytes, nonce: bytes, prf: Prf, sk_p: Secret, id_body: bytes, intermediate: bytes = b""
) -> bytes:
    """Return the octets that one side signs.

    `message` is that side's IKE_SA_INIT message as sent (the last one, with a cookie if there was one), `nonce` is
    the other side's nonce, `sk_p` is SK_pi for the initiator and SK_pr for the responder, `id_body` is the body of
    its ID payload: type, three reserved octets as they were sent, and data. `intermediate` is IntAuth, where there were
    IKE_INTERMEDIATE exchanges (`int_auth`).
    """
    return message + nonce + prf.prf(sk_p.expose(), id_body) + intermediate


def int_auth_chunk(prf: Prf, sk_p: Secret, before: bytes, message: bytes) -> bytes:
    """Return one side's share of IntAuth after one more IKE_INTERMEDIATE message of it (RFC 9242 section 3.3.2).

    `before` is the share so far, empty at first; `message` is the message as if it had been sent neither encrypted
    nor in fragments; `sk_p` is SK_pi or SK_pr as it was when the exchange began.
    """
    return prf.prf(sk_p.expose(), before + message)


def int_auth(initiator: bytes, responder: bytes, message_id: int) -> bytes:
    """Return IntAuth: both sides' shares, and the Message ID of the first IKE_AUTH request."""
    return initiator + responder + message_id.to_bytes(4, "big")


def resumption_auth(prf: Prf, sk_p: Secret, octets: bytes) -> bytes:
    """Return the authentication data of a resumed session; SK_pi or SK_pr is the key (RFC 5723 section 4.3.3)."""
    return prf.prf(sk_p.expose(), octets)


def pad_psk(prf: Prf, psk: Secret) -> Secret:
    """Return what a pre-shared key is used as, and all that a proof by it takes: prf(psk, "Key Pad for IKEv2")."""
    return Secret(prf.prf(psk.expose(), _KEY_PAD))


def padded_psk_auth(prf: Prf, padded: Secret, octets: bytes) -> bytes:
    """Return the authentication data of method 2, by a key that `pad_psk` made with the same function."""
    return prf.prf(padded.expose(), octets)


def psk_auth(prf: Prf, psk: Secret, octets: bytes) -> bytes:
    """Return the authentication data of method 2, Shared Key Message Integrity Code.

    With SK_pi or SK_pr of the prover as `psk` it is that of method 13, NULL (RFC 7619 section 2.1).
    """
    return padded_psk_auth(prf, pad_psk(prf, psk), octets)
