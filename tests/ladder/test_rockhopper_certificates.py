"""A Rockhopper with a certificate: it knows RSA with SHA-1 alone (method 1), and says nothing of other hashes."""

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from ladder_rockhopper import IKE_SUITE, Rockhopper
from ladder_world import PSK, authority, child, config, connection, der, node_credentials
from test_rockhopper import ESP, STATION, Meeting, they_begin, we_begin

from rhp.crypto.auth import auth_octets
from rhp.guard.policy import GuardPolicy, PrivateKey
from rhp.ike.events import AuthenticationFailed, ChildFailed
from rhp.wire.auth import AUTH
from rhp.wire.cert import CERT
from rhp.wire.certreq import CERTREQ
from rhp.wire.iana import AuthMethod, CertEncoding, ExchangeType

NAMES = "a.test", "b.test"


class Certified(Rockhopper):
    """Its CERT follows its identity; our signature is one that can be foretold, for PKCS#1 v1.5 knows no chance."""

    def _proof(self, identity, *, ours):
        initiators = ours == self.initiator
        message, nonce = (self.message_i, self.nonce_r) if initiators else (self.message_r, self.nonce_i)
        octets = auth_octets(message, nonce, self.suite.prf, self.sk_pi if initiators else self.sk_pr, identity.build())
        key = load_pem_private_key(
            credentials(self.identity if ours else self.peer).private_key, None, unsafe_skip_rsa_key_validation=True
        )
        return AUTH(AuthMethod.RSA_SIGNATURE, key.sign(octets, padding.PKCS1v15(), SHA1()))  # noqa: S303

    def _seal(self, exchange, response, message_id, payloads):
        if exchange == ExchangeType.IKE_AUTH:
            own = CERT(CertEncoding.X509_SIGNATURE, der(credentials(self.identity).certificate))
            payloads = (payloads[0], own, *payloads[1:])
        return super()._seal(exchange, response, message_id, payloads)


def credentials(name):
    return node_credentials(name.decode() if isinstance(name, bytes) else name, "rsa-2048")


@pytest.fixture
def meeting(ladder):
    own = credentials(NAMES[0])
    chain, cas = (der(own.certificate),), (der(authority("ladder CA").certificate),)
    made = connection(*NAMES, ike=(IKE_SUITE,), auth="pubkey", chain=chain, cas=cas, children=(child(esp=(ESP,)),))
    policy = GuardPolicy(keys=(PrivateKey("t", pem=own.private_key),))
    met = Meeting(ladder(config(made, station=STATION), None, policy))
    met.other = Certified(met.to_us.append, PSK)
    return met


@pytest.mark.parametrize("begin", [they_begin, we_begin], ids=["they-begin", "we-begin"])
def test_both_sign_with_sha1(meeting, begin):
    begin(meeting)
    assert meeting.side.states() == ["established"]
    assert meeting.side.happened(AuthenticationFailed, ChildFailed) == []
    ours = next(one for one in meeting.other.received if one.exchange == ExchangeType.IKE_AUTH)
    assert ours.first(AUTH).method == AuthMethod.RSA_SIGNATURE
    assert ours.first(CERT) == CERT(CertEncoding.X509_SIGNATURE, der(credentials(NAMES[0]).certificate))
    # It refuses every other encoding that a CERTREQ may name.
    assert all(one.encoding == CertEncoding.X509_SIGNATURE for one in ours.all(CERTREQ))
    meeting.check_pair()
