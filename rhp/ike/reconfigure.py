"""From one configuration to the next, while SAs live.

An SA whose connection did not change is not touched at all. Handshakes come first, then what is established, so that
nothing new comes up by the old form. A handshake that cannot go on is ended where the peer does not believe in it yet,
and marked where it may: then the IKE SA goes as soon as both know of it. Whoever wants a connection up begins it again
(the node, which hears the events); nothing is begun here but the renewal of an IKE SA.
"""

from collections.abc import Mapping
from dataclasses import replace

from rhp.ike import candidates, conductor, initiation, lifecycle, lifetimes, renewal
from rhp.ike.changes import ConnectionChange, Means, same_traffic
from rhp.ike.child_sa import ChildSa
from rhp.ike.config import ConnectionConfig
from rhp.ike.context import Context
from rhp.ike.errors import Fault
from rhp.ike.ike_sa import IkeSa
from rhp.ike.states import HANDSHAKE_STATES, LIVE_CHILD, IkeState
from rhp.ike.tasks import child_delete, delete, reauth
from rhp.ike.turn import Ending
from rhp.realm.pool import Lease

CHANGED = Ending("connection-changed", Fault.NONE, "the configuration of its connection has changed")
REMOVED = Ending("connection-removed", Fault.NONE, "the configuration has its connection no longer")
WITHDRAWN = Ending("address-withdrawn", Fault.NONE, "its inner address is lent no longer")
CHILD_CHANGED = "child-changed"
CHILD_REMOVED = "child-removed"

BEGIN_ANEW = frozenset({CHANGED.reason, CHILD_CHANGED})
"""What ends for one of these reasons is wanted again at once."""

RENEW_TIME = 20.0
"""Seconds in which an IKE SA has to be renewed that stands on credentials of before."""

MOST_DELAY = 60.0
"""Lifetimes that a change has ended meanwhile end within so many seconds, not all in the same moment."""


def carry_over(ctx: Context, changes: Mapping[str, ConnectionChange], rules: bytes, now: float) -> None:
    """`ctx.config` is new: bring every SA in line with it. `changes` are by connection, of those that were there.

    `rules` are those by which peers were told to realms before (`Directory.rules`).
    """
    new = {connection.name: connection for connection in ctx.config.connections}
    concerned = [
        sa
        for sa in ctx.table.sas()
        if sa.connection is not None and (sa.connection_name in changes or sa.connection_name not in new)
    ]
    for sa in concerned:
        if sa.state in HANDSHAKE_STATES:
            _handshake(sa, changes.get(sa.connection_name), new.get(sa.connection_name), now)
    for sa in concerned:
        if sa.state not in HANDSHAKE_STATES:
            _established(sa, changes.get(sa.connection_name), new.get(sa.connection_name), now)
    if ctx.directory.rules != rules:
        for sa in ctx.table.sas():
            if sa.state is IkeState.ESTABLISHED and not _still_belongs(sa, changes.get(sa.connection_name)):
                _end(sa, CHANGED, now)
    for sa in ctx.table.sas():
        if sa.state is IkeState.ESTABLISHED and any(not _may_keep(sa, lease) for lease in sa.leases):
            _end(sa, WITHDRAWN, now)


def _still_belongs(sa: IkeSa, change: ConnectionChange | None) -> bool:
    """Whether the peer of a realm would come to it again.

    Who was found by a name in the certificate, which is known no more, has to show it again where the realm's own rules
    are others.
    """
    connection = sa.ctx.directory.named(sa.connection_name)
    if connection is None or not connection.match or sa.peer is None or sa.suite is None:
        return True
    claim = candidates.Claim(sa.peer, None, connection.remote.method, sa.suite)
    if not candidates.still_means(sa.ctx.directory, sa.path, claim, connection):
        return False
    own = change is not None and "match" in change.keys
    return not own or any(pattern.matches(claim.peer) for pattern in connection.patterns)


def _may_keep(sa: IkeSa, lease: Lease) -> bool:
    """Whether the connection still lends from that pool, and the pool that address."""
    return lease.pool in sa.config.pools and sa.ctx.pools.holds(lease)


def _handshake(sa: IkeSa, change: ConnectionChange | None, new: ConnectionConfig | None, now: float) -> None:
    """One that is not established yet."""
    if sa.state is IkeState.HALF_OPEN and sa.shake.resumed is None:
        # Which connection the peer means is only known when it says who it is.
        sa.connection = new or sa.connection
        return
    ending = REMOVED if new is None else CHANGED
    gentle = change is not None and change.means_for(sa.peer) is Means.SWAP
    if change is not None and new is not None and gentle and not change.children:
        begun_otherwise = "proposals" in change.keys and sa.state is IkeState.CONNECTING
        if not begun_otherwise:
            sa.connection = new
            return
    if sa.state in (IkeState.AUTHENTICATING, IkeState.HALF_OPEN):
        sa.ending = ending
    else:
        lifecycle.close(sa, ending, now)


def _established(sa: IkeSa, change: ConnectionChange | None, new: ConnectionConfig | None, now: float) -> None:
    if change is None or new is None:
        _end(sa, REMOVED, now)
        return
    if change.means is Means.ANEW:
        _end(sa, CHANGED, now)
        return
    old, sa.connection = sa.config, new
    if sa.state is not IkeState.ESTABLISHED or sa.successor is not None:
        return
    lifetimes.changed(sa, old, now, MOST_DELAY)
    for child in tuple(sa.children.values()):
        _child(child, change, new, now)
    if change.means_for(sa.peer) is Means.RENEW:
        _renew(sa, now)
    conductor.pump(sa, now)


def _child(child: ChildSa, change: ConnectionChange, new: ConnectionConfig, now: float) -> None:
    """One pair. The deletion of a lineage takes all its pairs, so one that has been replaced needs none of its own."""
    config, sa = new.child(child.name), child.sa
    if child.name in change.children or config is None:
        if child.state in LIVE_CHILD:
            reason = CHILD_REMOVED if config is None else CHILD_CHANGED
            sa.enqueue(child_delete.deletion_of_all(sa, child, reason))
        return
    old = child.terms.config
    if same_traffic(old, config) and old != config:
        child.terms = replace(child.terms, config=config)
        if child.state in LIVE_CHILD and (old.rekey_time, old.life_time) != (config.rekey_time, config.life_time):
            lifetimes.child_changed(child, now, MOST_DELAY)


def _renew(sa: IkeSa, now: float) -> None:
    """Prove ourselves anew, or have the peer do so; and do not wait for that for ever."""
    limit = now + RENEW_TIME
    sa.authentic_until = limit if sa.authentic_until is None else min(limit, sa.authentic_until)
    if sa.origin[0] == "responder":
        sa.enqueue(reauth.asking(sa, int(RENEW_TIME)))
    elif initiation.renew(sa, now) is None:
        sa.reauth_at = now + renewal.RETRY
    lifetimes.arm_ike(sa)


def _end(sa: IkeSa, ending: Ending, now: float) -> None:
    if sa.renewal is not None:
        # Its own turn comes as a handshake.
        sa.renewal.ending = ending
    if sa.state in delete.DELETABLE:
        sa.enqueue(delete.deletion(sa, ending, lineage=True), first=True)
        conductor.pump(sa, now)
