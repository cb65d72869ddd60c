"""Which connection a peer means: by addresses in IKE_SA_INIT, by identities in IKE_AUTH.

In IKE_SA_INIT nobody has said a name yet, so the first connection whose addresses and proposals fit is taken. In
IKE_AUTH the peer says who it is, and perhaps whom it wants; then another connection may take over, if the suite that
both sides already use is one of its own.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache

from rhp.crypto.errors import NoProposalChosen
from rhp.crypto.proposal import IkeProposal, accept_ike, choose_ike
from rhp.crypto.suite import IkeSuite
from rhp.ike.config import AuthKind, ConnectionConfig, EngineConfig
from rhp.ike.path import Path, within
from rhp.pki.identity import same_identity
from rhp.wire.iana import Protocol
from rhp.wire.identity import Identity
from rhp.wire.sa import SA, Proposal


def by_address(config: EngineConfig, path: Path) -> list[ConnectionConfig]:
    """The connections that serve this path, in the order of the configuration."""
    return [
        connection
        for connection in config.connections
        if within(path.local.ip, connection.local_addrs) and within(path.remote.ip, connection.remote_addrs)
    ]


def by_proposal(
    connections: Sequence[ConnectionConfig], offered: SA, sent_method: int, intermediate: bool
) -> tuple[ConnectionConfig, int, IkeSuite]:
    """The first connection that can use one of the offered proposals, the proposal's number and the suite.

    `sent_method` is the key exchange method of the KE payload: where it is acceptable, it saves a round trip.
    `intermediate` says whether the peer knows IKE_INTERMEDIATE, without which there are no additional key exchanges.
    Raises `NoProposalChosen`, which names what was offered and what the first connection has.
    """
    refusal: NoProposalChosen | None = None
    for connection in connections:
        try:
            own = connection.proposals
            if not intermediate:
                own = tuple(one for proposal in own if (one := proposal.classical()) is not None)
            number, suite = choose_ike(offered, own, sent_method)
        except NoProposalChosen as error:
            refusal = refusal or error
            continue
        return connection, number, suite
    raise refusal or NoProposalChosen("no connection serves these addresses")


def by_identity(
    connections: Sequence[ConnectionConfig], suite: IkeSuite, peer: Identity, wanted: Identity | None, method: AuthKind
) -> ConnectionConfig | None:
    """The connection for a peer that calls itself `peer`, asks for `wanted` and proves itself by `method`.

    Of several that fit, one of the right method is preferred, then the one whose pattern says most, then the first. One
    of the wrong method is better than none: the failure to come can name it. A certificate proves the name, but a
    pre-shared key only that its owner is one of those who have it; so with a key only the narrowest patterns count, and
    nobody takes the name that another connection knows better. Who proves nothing has no name, and fits nothing but the
    pattern of those (RFC 7619).
    """
    fitting = [
        connection
        for connection in connections
        if connection.remote.pattern.matches(peer)
        and (wanted is None or same_identity(wanted, connection.local.identity))
    ]
    if method == "psk":
        narrowest = max((found.remote.pattern.specificity for found in fitting), default=None)
        fitting = [found for found in fitting if found.remote.pattern.specificity == narrowest]
    return max(
        (found for found in fitting if allows(found, suite)),
        key=lambda found: (found.remote.method == method, found.remote.pattern.specificity),
        default=None,
    )


def allows(connection: ConnectionConfig, suite: IkeSuite) -> bool:
    """Whether a suite that is in use already could have been chosen for that connection.

    More key exchanges than it asks for make a suite no weaker.
    """
    if _chosen_from(connection.proposals, suite):
        return True
    return bool(suite.additional) and _chosen_from(connection.proposals, replace(suite, additional=()))


@lru_cache(256)
def _chosen_from(proposals: tuple[IkeProposal, ...], suite: IkeSuite) -> bool:
    with suppress(NoProposalChosen):
        accept_ike(SA((Proposal(1, Protocol.IKE, b"", suite.transforms()),)), proposals)
        return True
    return False
