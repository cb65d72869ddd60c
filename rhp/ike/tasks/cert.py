"""CERT and CERTREQ: certificates sent, and the CAs that either side accepts (RFC 7296 sections 3.6 and 3.7).

The responder asks in its IKE_SA_INIT answer, the initiator in IKE_AUTH. Our chain is sent whether it was asked for or
not: several clients ask for nothing. Nothing is fetched by URL.
"""

from functools import lru_cache

from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Task, Turn
from rhp.pki.certificate import certificate_validity
from rhp.pki.certreq import certreq_data
from rhp.wire.cert import CERT
from rhp.wire.certreq import CERTREQ
from rhp.wire.iana import CertEncoding, ExchangeType
from rhp.wire.message import Message

MAX_CERTIFICATES = 16

MAX_AUTHORITIES = 12
"""So many CAs are named, in 20 octets each."""


@hook(ExchangeType.IKE_SA_INIT, order=50)
class CertificateRequest(Task):
    """The responder's CERTREQ."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """Name our CAs, if any connection that may be meant has one."""
        if not turn.ours:
            _ask(turn)


@hook(ExchangeType.IKE_AUTH, order=10)
class Certificates(Task):
    """Both sides' CERTs, and the initiator's CERTREQ."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """Our chain, the end entity first; the initiator asks for the responder's. A ticket needs no certificate."""
        if turn.sa.shake.resumed is not None:
            return
        local = turn.sa.config.local
        if local.method == "pubkey":
            turn.out.extend(CERT(CertEncoding.X509_SIGNATURE, der) for der in local.chain)
        if turn.ours:
            _ask(turn)

    def process(self, turn: Turn) -> None:
        """Keep the peer's chain for the proof; what is no X.509 certificate is not looked at."""
        turn.sa.shake.peer_chain = x509_chain(turn.message)


def own_dates(turn: Turn) -> str:
    """What is wrong with the dates of our own chain, for the end of a sentence; nobody believes us then."""
    local, now = turn.sa.config.local, turn.ctx.wall_clock()
    for der in local.chain if local.method == "pubkey" else ():
        first, last = certificate_validity(der)
        if now > last:
            return f"; a certificate of ours ended on {last:%Y-%m-%d}"
        if now < first:
            return f"; a certificate of ours begins on {first:%Y-%m-%d}, by this machine's clock that is to come"
    return ""


def x509_chain(message: Message) -> tuple[bytes, ...]:
    """The certificates of a message in DER, the sender's own first."""
    ders = (cert.data for cert in message.all(CERT) if cert.encoding == CertEncoding.X509_SIGNATURE)
    return tuple(ders)[:MAX_CERTIFICATES]


def _ask(turn: Turn) -> None:
    """As responder for all that may be meant: nobody has said a name yet."""
    remote = turn.sa.config.remote
    mine = remote.cas if remote.method == "pubkey" else ()
    cas = mine if turn.ours else turn.ctx.directory.authorities(turn.path)
    if cas:
        turn.out.append(CERTREQ(CertEncoding.X509_SIGNATURE, _authorities(cas)))


@lru_cache(maxsize=64)
def _authorities(cas: tuple[bytes, ...]) -> bytes:
    """What CERTREQ says. Of many it names none, which is to say "any": the message goes to strangers, in one packet."""
    return certreq_data(cas) if len(cas) <= MAX_AUTHORITIES else b""
