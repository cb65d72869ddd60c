"""Inner addresses lent to a peer: taken from the pools when it asks, given back when its IKE SA ends.

A lineage of IKE SAs holds its leases from the first request on; a rekey hands them on, and asking again gets the same.
"""

from rhp.ike import attributes
from rhp.ike.assignment import Grant
from rhp.ike.errors import PeerError
from rhp.ike.events import AddressLeased, LeaseEnded
from rhp.ike.ike_sa import IkeSa
from rhp.ike.maker import Maker
from rhp.pki.identity import ANONYMOUS
from rhp.realm.pool import Lease
from rhp.wire.cp import CP
from rhp.wire.iana import NotifyType


def take(sa: IkeSa, asked: CP) -> None:
    """Lend the peer what it asks for. Raises PeerError when it asks for addresses and no pool can give it one.

    One address of each IP version is enough for anybody. What was lent before stays lent, and a version that no pool
    has is passed over (RFC 7296 section 3.15.4).
    """
    ctx, names = sa.ctx, sa.config.pools
    if sa.peer is None or not names:
        return
    had = {lease.address.version for lease in sa.leases}
    new: list[Lease] = []
    asks = False
    for version in (4, 6):
        wants, wanted = attributes.wanted(asked, version, lambda reason: ctx.count(f"cp-{reason}"))
        asks = asks or wants
        if wants and version not in had:
            # Those without a name are all different peers.
            lease = ctx.pools.take(names, sa.peer, version, wanted=wanted, share=sa.peer != ANONYMOUS)
            if lease is not None:
                new.append(lease)
            elif ctx.pools.serves(names, version):
                ctx.count("pool-exhausted")
    if new:
        sa.leases += tuple(new)
        ctx.count("address-leased")
        ctx.emit(AddressLeased(sa.id, sa.connection_name, sa.peer, tuple(lease.address for lease in new)))
    elif asks and not sa.leases:
        detail = "no pool of the connection has an address left of the kind that the peer asks for"
        raise PeerError("no-address-left", NotifyType.INTERNAL_ADDRESS_FAILURE, detail=detail)


def grant(sa: IkeSa) -> Grant:
    """What the peer may be told."""
    pools = ((lease, sa.ctx.pools.config(lease.pool)) for lease in sa.leases)
    mode = sa.config.children[0].mode if sa.config.children else "ethernet"
    told = sa.maker is Maker.ROCKHOPPER and mode == "ethernet"
    station = sa.ctx.config.station_on(sa.config.policy.hub) if told else None
    return Grant(tuple((lease, pool) for lease, pool in pools if pool is not None), mode, station)


def give_back(sa: IkeSa) -> None:
    """The IKE SA ends: its addresses rest."""
    leases, sa.leases = sa.leases, ()
    for lease in leases:
        sa.ctx.pools.release(lease)
    if leases and sa.peer is not None:
        addresses = tuple(lease.address for lease in leases)
        sa.ctx.emit(LeaseEnded(sa.id, sa.connection_name, sa.peer, addresses))
