"""A gateway with realms, and peers of them, for the ladder tests. One side is many peers: a connection for each."""

from dataclasses import replace
from datetime import timedelta
from functools import cache

from ladder_addresses import pool
from ladder_world import EPOCH, authority, config, connection, der, tunnel

from rhp.guard.policy import GuardPolicy, PrivateKey, PskSecret
from rhp.pki.ca import issue
from rhp.realm.pattern import IdentityPattern
from rhp.realm.policy import PortPolicy

GATE = "gate.example.org"
CA = "ladder CA"
SALES = pool("10.1.0.1", "10.1.0.9", name="sales")
WORKS = pool("10.2.0.1", "10.2.0.9", name="works")


def realm(name, *match, auth="psk", cas=(CA,), **more):
    """A realm of the gateway; with `auth` "pubkey" the gateway has a certificate and believes these CAs."""
    if auth == "pubkey":
        more.update(
            chain=(der(certificate(GATE, None).certificate),),
            cas=tuple(der(authority(one).certificate) for one in cas),
        )
    made = connection(GATE, "%any", name=name, auth=auth, **more)
    return replace(made, match=tuple(map(IdentityPattern.rule, match)))


def lending(name, *match, pool=None, **more):
    """A realm that lends addresses of a pool of its own name."""
    return realm(name, *match, pools=(pool or name,), children=(tunnel("net", ("10.0.0.0/16",), ()),), **more)


def gate(*realms, pools=(SALES, WORKS), **limits):
    return config(*realms, pools=pools, **limits)


def keys(**by_realm):
    """The gateway's guard: a shared key for each realm, and its own private key for each."""
    private = certificate(GATE, None).private_key
    return GuardPolicy(
        psks=tuple(PskSecret(name, key=key) for name, key in by_realm.items() if key is not None),
        keys=tuple(PrivateKey(name, pem=private) for name, key in by_realm.items() if key is None),
    )


@cache
def certificate(name, subject, ca=CA, *more):
    """A certificate for `name` and `more` names, with a subject such as "O=example, OU=sales, CN=x"."""
    return issue(authority(ca), [name, *more], EPOCH + timedelta(0), subject=subject)


def peers(*local, asks=False, **more):
    """A side that is one peer after the other: its connections bear their identities."""
    if asks:
        more.update(request_addresses=True, children=(tunnel("net", (), ("10.0.0.0/16",)),))
    return config(*(connection(one, GATE, name=one, **more) for one in local))


def own_keys(**by_peer):
    """The guard of such a side: by identity, a shared key each."""
    return GuardPolicy(psks=tuple(PskSecret(name, key=key) for name, key in by_peer.items()))


def bearer(local, subject=None, *names, ca=CA, shows=None):
    """A peer with a certificate of that subject and those names, and its guard; `shows` is another one's name."""
    own = certificate(shows or local, subject, ca, *names)
    chain, cas = (der(own.certificate),), (der(authority(CA).certificate),)
    made = connection(local, GATE, name="t", auth="pubkey", chain=chain, cas=cas)
    return config(made), GuardPolicy(keys=(PrivateKey("t", pem=own.private_key),))


def isolated(hub=""):
    return PortPolicy(hub, isolate=True)
