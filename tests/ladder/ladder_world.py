"""Configurations, keys and certificates for two nodes, a and b."""

from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_network

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from rhp.crypto.proposal import parse_esp_proposal, parse_ike_proposal
from rhp.guard.policy import GuardPolicy, PrivateKey, PskSecret
from rhp.ike.config import ChildConfig, ConnectionConfig, EngineConfig, LocalAuth, RemoteAuth
from rhp.pki.ca import create_ca, issue
from rhp.pki.identity import parse_identity
from rhp.realm.pattern import IdentityPattern
from rhp.wire.iana import TsType
from rhp.wire.ts import TrafficSelector

EPOCH = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
IKE_PROPOSAL = "aes128gcm16-prfsha256-x25519"
ESP_PROPOSAL = "aes128gcm16"
PSK = b"a key that both know"


def net(text, protocol=0, ports=(0, 65535)):
    """A traffic selector for "10.1.0.0/16"."""
    network = ip_network(text)
    kind = TsType.IPV4_ADDR_RANGE if network.version == 4 else TsType.IPV6_ADDR_RANGE
    return TrafficSelector(kind, protocol, *ports, network[0], network[-1])


def child(name="ethernet", mode="ethernet", local=(), remote=(), esp=(ESP_PROPOSAL,), **more):
    return ChildConfig(
        name,
        mode,
        tuple(map(net, local)),
        tuple(map(net, remote)),
        tuple(map(parse_esp_proposal, esp)),
        **more,
    )


def tunnel(name="net", local=("10.1.0.0/16",), remote=("10.2.0.0/16",), **more):
    return child(name, "tunnel", local, remote, **more)


def connection(local, remote, *, name="t", ike=(IKE_PROPOSAL,), children=None, auth="psk", **more):
    """A connection of one side; `local` is its identity, `remote` the pattern for the other's."""
    chain = cas = ()
    if auth == "pubkey":
        chain, cas = more.pop("chain"), more.pop("cas")
    return ConnectionConfig(
        name,
        LocalAuth(auth, parse_identity(local), chain),
        RemoteAuth(auth, IdentityPattern.parse(remote), cas),
        tuple(map(parse_ike_proposal, ike)),
        (child(),) if children is None else children,
        **more,
    )


def config(*connections, **limits):
    return EngineConfig(connections, **limits)


def psk_policy(key=PSK, *names):
    return GuardPolicy(psks=tuple(PskSecret(name, key=key) for name in names or ("t",)))


@cache
def authority(name="ladder CA", key_type="ecdsa-p256"):
    return create_ca(name, EPOCH, key_type=key_type)


@cache
def node_credentials(identity, key_type="ecdsa-p256", ca="ladder CA", days=365, began=0):
    """A certificate and key for `identity`, valid from `began` days after the epoch."""
    return issue(authority(ca), [identity], EPOCH + timedelta(days=began), key_type=key_type, days=days)


def der(pem):
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def pubkey_side(local, remote, *, key_type="ecdsa-p256", trusts="ladder CA", issued_by="ladder CA", days=365, began=0):
    """The connection and the guard's policy of a side that uses a certificate."""
    own = node_credentials(local, key_type, issued_by, days, began)
    made = connection(
        local, remote, auth="pubkey", chain=(der(own.certificate),), cas=(der(authority(trusts).certificate),)
    )
    return made, GuardPolicy(keys=(PrivateKey("t", pem=own.private_key),))
