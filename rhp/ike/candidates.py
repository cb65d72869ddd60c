"""Which connection or realm a peer means: by addresses in IKE_SA_INIT, by identities in IKE_AUTH.

In IKE_SA_INIT nobody has said a name yet, so the first connection whose addresses and proposals fit is taken. In
IKE_AUTH the peer says who it is, and perhaps whom it wants; then another connection may take over, if the suite that
both sides already use is one of its own.

A realm is a connection with several patterns (`match`), for many peers. There the narrowest pattern alone decides: who
belongs to a realm and does not meet its terms is not taken by a wider one. A peer with a certificate is found by the ID
that it sends; only where no pattern but "%any" fits that, by the subject and the alternative names of its certificate.
Both are only claims here. That the certificate leads to a CA of that very realm, and names the ID, is seen afterwards.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby

from rhp.crypto.errors import NoProposalChosen
from rhp.crypto.proposal import IkeProposal, accept_ike, choose_ike
from rhp.crypto.suite import IkeSuite
from rhp.ike.config import AuthKind, ConnectionConfig
from rhp.ike.directory import Directory
from rhp.ike.path import Path, within
from rhp.pki.identity import format_identity, same_identity
from rhp.realm.pattern import IdentityPattern
from rhp.wire.iana import Protocol
from rhp.wire.identity import Identity
from rhp.wire.sa import SA, Proposal

Fitting = tuple[IdentityPattern, ConnectionConfig]
Allowed = Callable[[ConnectionConfig], bool]


def no_names() -> Sequence[Identity]:
    """For who shows no certificate."""
    return ()


@dataclass(frozen=True, slots=True)
class Claim:
    """What a peer says of itself and how it proves that; `wanted` is whom it calls, `names` gives its certificate's."""

    peer: Identity
    wanted: Identity | None
    method: AuthKind
    suite: IkeSuite
    names: Callable[[], Sequence[Identity]] = no_names


class NobodyFits(Exception):
    """No connection is for that peer; `reason` in kebab-case, `detail` one sentence without a full stop."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def serves(connection: ConnectionConfig, path: Path) -> bool:
    """Whether the connection is for these addresses."""
    return within(path.local.ip, connection.local_addrs) and within(path.remote.ip, connection.remote_addrs)


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


def by_identity(directory: Directory, path: Path, claim: Claim) -> ConnectionConfig:
    """The connection for a peer that makes that claim on that path. Raises `NobodyFits`.

    Of several that fit, one of the right method is preferred, then the one whose pattern says most, then the first. One
    of the wrong method is better than none: the failure to come can name it. A certificate proves the name, but a
    pre-shared key only that its owner is one of those who have it; so with a key only the narrowest patterns count, and
    nobody takes the name that another connection knows better. Who proves nothing has no name, and fits nothing but the
    pattern of those (RFC 7619).
    """
    return _meant(directory, path, claim, lambda one: allows(one, claim.suite))


def _meant(directory: Directory, path: Path, claim: Claim, allowed: Allowed) -> ConnectionConfig:
    """As `by_identity`, where `allowed` says whether a connection allows the suite."""
    refusal: NobodyFits | None = None
    for group in filter(None, _groups(directory, path, claim)):
        try:
            return _settle(group, claim, allowed)
        except NobodyFits as error:
            refusal = refusal or error
            # A wider pattern is no way around a realm.
            if any(one.match for one in group):
                raise
    if refusal is not None:
        raise refusal
    asked = f" and whom it calls {format_identity(claim.wanted)}" if claim.wanted is not None else ""
    raise NobodyFits("unknown-identity", f"no connection fits the peer {format_identity(claim.peer)}{asked}")


def still_means(directory: Directory, path: Path, claim: Claim, connection: ConnectionConfig) -> bool:
    """Whether a peer that once belonged to `connection` does so still, as far as it can be seen without a certificate.

    Only who it is counts: a suite that was agreed on stays good for what uses it, as other proposals cut nothing.
    The ID alone does not tell of whom a realm took by its certificate. The rules between realms are the same as then,
    if the caller has compared `Directory.rules`; so it is enough that no pattern knows the ID itself.
    """
    if connection.match and claim.method == "pubkey":
        known = _reachable(directory, path, claim, claim.peer)
        if not any(_is_narrow(one) and one[1].remote.method == claim.method for one in known):
            return True
    with suppress(NobodyFits):
        return _meant(directory, path, claim, lambda one: one is connection or allows(one, claim.suite)) is connection
    return False


def allows(connection: ConnectionConfig, suite: IkeSuite) -> bool:
    """Whether a suite that is in use already could have been chosen for that connection.

    More key exchanges than it asks for make a suite no weaker.
    """
    if _chosen_from(connection.proposals, suite):
        return True
    return bool(suite.additional) and _chosen_from(connection.proposals, replace(suite, additional=()))


def _groups(directory: Directory, path: Path, claim: Claim) -> Iterator[list[ConnectionConfig]]:
    """Connections that fit equally well, the best first; each group is asked for only when those before it failed."""
    fitting = _reachable(directory, path, claim, claim.peer)
    if claim.method == "psk":
        narrowest = next(_by_rank(fitting), [])
        yield [one for one in narrowest if one.remote.method == "psk"] or narrowest
        return
    right = [one for one in fitting if one[1].remote.method == claim.method]
    narrow = [one for one in right if _is_narrow(one)]
    yield from _by_rank(narrow)
    if claim.method == "pubkey" and not narrow:
        yield _by_certificate(directory, path, claim)
    yield from _by_rank([one for one in right if not _is_narrow(one)])
    yield from _by_rank([one for one in fitting if one[1].remote.method != claim.method])


def _reachable(directory: Directory, path: Path, claim: Claim, name: Identity) -> list[Fitting]:
    """The patterns that fit a name, of connections that serve the path and are whom the peer wants, narrowest first."""
    return [
        (pattern, connection)
        for pattern, connection in directory.patterns.find(name)
        if serves(connection, path) and (claim.wanted is None or same_identity(claim.wanted, connection.local.identity))
    ]


def _by_certificate(directory: Directory, path: Path, claim: Claim) -> list[ConnectionConfig]:
    """The realms that the certificate's names lead to: for each name by its narrowest pattern, of these the best kind.

    Patterns of two names cannot be compared by how much they say, so two realms may be left over.
    """
    best: dict[int, list[ConnectionConfig]] = {}
    for name in claim.names() if directory.names_count else ():
        found = [one for one in _reachable(directory, path, claim, name) if _takes_by_name(one, claim.method)]
        if found:
            kind = found[0][0].specificity[0]
            best.setdefault(kind, []).extend(next(_by_rank(found)))
    return _distinct(best[max(best)]) if best else []


def _takes_by_name(fitting: Fitting, method: AuthKind) -> bool:
    return bool(fitting[1].match) and fitting[1].remote.method == method and _is_narrow(fitting)


def _is_narrow(fitting: Fitting) -> bool:
    """Whether the pattern says anything of the identity."""
    return fitting[0].kind not in ("any", "null")


def _by_rank(fitting: Sequence[Fitting]) -> Iterator[list[ConnectionConfig]]:
    """The connections grouped by how much their patterns say; `fitting` has the narrowest first."""
    for _, group in groupby(fitting, key=lambda one: one[0].specificity):
        yield _distinct([connection for _, connection in group])


def _distinct(connections: Sequence[ConnectionConfig]) -> list[ConnectionConfig]:
    return list({one.name: one for one in connections}.values())


def _settle(group: Sequence[ConnectionConfig], claim: Claim, allowed: Allowed) -> ConnectionConfig:
    """The one of equals that it is: a connection of its own before a realm, and of two realms neither."""
    own = [one for one in group if not one.match]
    suitable = [one for one in own or group if allowed(one)]
    if not own and len(group) > 1:
        names = " and of ".join(one.name for one in group[:2])
        raise NobodyFits("ambiguous-realm", f"the peer {format_identity(claim.peer)} may be of the realm {names}")
    if not suitable:
        detail = f"{group[0].name} does not allow {claim.suite.name}, which was agreed on before the peer had a name"
        raise NobodyFits("suite-not-allowed", detail)
    return suitable[0]


@lru_cache(256)
def _chosen_from(proposals: tuple[IkeProposal, ...], suite: IkeSuite) -> bool:
    with suppress(NoProposalChosen):
        accept_ike(SA((Proposal(1, Protocol.IKE, b"", suite.transforms()),)), proposals)
        return True
    return False
