"""Two sides of which each proves itself in its own way, and messages of a handshake with something else in them."""

from dataclasses import replace

from ladder_world import authority, config, connection, der, node_credentials

from rhp.guard.policy import GuardPolicy, PrivateKey, PskSecret
from rhp.ike.config import LocalAuth, RemoteAuth
from rhp.pki.identity import ANONYMOUS
from rhp.realm.pattern import IdentityPattern
from rhp.wire.message import Message

A, B = "a.example.org", "b.example.org"
PSK = b"a key that both know"


def side(ours, theirs, *, name=A, peer=B, pattern=None, key=PSK, label="t", **more):
    """A connection that proves us by `ours` and expects the peer to use `theirs`, and the guard's policy for it."""
    made = connection(name, pattern or peer, name=label, **more)
    local, remote = made.local, made.remote
    if ours == "pubkey":
        local = replace(local, method="pubkey", chain=(der(node_credentials(name).certificate),))
    elif ours == "null":
        local = LocalAuth("null", ANONYMOUS)
    if theirs == "pubkey":
        remote = replace(remote, method="pubkey", cas=(der(authority("ladder CA").certificate),))
    elif theirs == "null":
        remote = RemoteAuth("null", IdentityPattern.parse("%null"))
    ends = ["%null" if kind == "null" else "%any" for kind in (ours, theirs)]
    shared = PskSecret(label, *ends, key=key, proves=ours == "psk", checks=theirs == "psk")
    psks = (shared,) if "psk" in (ours, theirs) else ()
    keys = (PrivateKey(label, pem=node_credentials(name).private_key),) if ours == "pubkey" else ()
    return replace(made, local=local, remote=remote), GuardPolicy(psks=psks, keys=keys)


def meet(ladder, ours, theirs, **more):
    """Both sides: a proves itself by `ours`, b by `theirs`, and each expects that of the other."""
    a, policy_a = side(ours, theirs)
    b, policy_b = side(theirs, ours, name=B, peer=A, **more)
    return ladder(config(a), config(b), policy_a, policy_b)


def tampered(link, change, *, response=False):
    """Begin, and deliver IKE_AUTH (or its response) with the payloads that `change` makes of the real ones."""
    link.initiate()
    for _ in range(3 if response else 2):
        link.deliver()
    packet = link.drop()
    message = link.read(packet)
    forged = Message(
        message.spi_i,
        message.spi_r,
        message.exchange,
        message.initiator,
        message.response,
        message.message_id,
        tuple(change(list(message.payloads))),
    )
    side = next(one for one in link.sides if one.address == packet.target.ip)
    link.inject(side, link.seal(forged), packet.source, natt=packet.natt)
    link.settle()
    return link


def swap(kind, make):
    """A change for `tampered`: each payload of that class becomes what `make` gives for it; None takes it away."""

    def change(payloads):
        swapped = [make(one) if isinstance(one, kind) else one for one in payloads]
        return [one for one in swapped if one is not None]

    return change
