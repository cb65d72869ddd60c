"""Which paths to a peer there may be, the preferred one first.

A path is one of our addresses and one of the peer's. The peer's come in the order of the configuration, then those that
it told us; ours in the order of `local_addrs`, then as the routing table prefers. Nothing here changes anything.
"""

from collections.abc import Iterable

from rhp.ike.ike_sa import IkeSa
from rhp.ike.mobility import MOST_OWN_ADDRESSES, is_usable, leads
from rhp.ike.path import Endpoint, IpAddress, Path, within

MOST_PATHS = 8
"""How many paths are tried at most."""


def candidates(sa: IkeSa) -> list[Path]:
    """The paths that an SA with MOBIKE may use, less those that the peer refused."""
    refused = sa.mobility.refused if sa.mobility is not None else frozenset()
    found: list[tuple[int, Path]] = []
    for remote in _remotes(sa):
        routed = sa.ctx.source_of(remote.ip)
        for ip in _locals(sa, remote.ip, routed):
            if (ip, remote.ip) not in refused:
                path = Path(Endpoint(ip, sa.path.local.port), remote, sa.path.natt)
                found.append((_detour(sa, ip, routed), path))
    return [path for _, path in sorted(found, key=lambda entry: entry[0])][:MOST_PATHS]


def others(sa: IkeSa) -> list[Path]:
    """The candidates beside the path in use; none for a side that does not choose."""
    return [path for path in candidates(sa) if not same_ends(path, sa.path)] if leads(sa) else []


def own_address(sa: IkeSa, remote: IpAddress) -> IpAddress | None:
    """The best of our addresses towards a peer's, or None."""
    return next(iter(_locals(sa, remote, sa.ctx.source_of(remote))), None)


def further_addresses(sa: IkeSa) -> tuple[IpAddress, ...]:
    """What we tell the peer of: our addresses beside the one in use, within `local_addrs`."""
    ours = [ip for ip in _allowed(sa, sa.ctx.addresses or ()) if ip != sa.path.local.ip]
    return tuple(ours[:MOST_OWN_ADDRESSES])


def is_stranded(sa: IkeSa) -> bool:
    """Whether the address of ours that the path begins at is no longer there."""
    ip = sa.path.local.ip
    return sa.ctx.addresses is not None and is_usable(ip) and ip not in sa.ctx.addresses


def same_ends(one: Path, other: Path) -> bool:
    """Whether two paths join the same addresses, whatever their ports."""
    return (one.local.ip, one.remote.ip) == (other.local.ip, other.remote.ip)


def _remotes(sa: IkeSa) -> list[Endpoint]:
    mobility = sa.mobility
    told = (mobility.home, *mobility.peer_addresses) if mobility is not None else ()
    configured = [net[0] for net in sa.config.remote_addrs if net.num_addresses == 1]
    port = sa.config.remote_natt_port if sa.path.natt else sa.config.remote_port
    here = sa.path.remote
    return [here if ip == here.ip else Endpoint(ip, port) for ip in dict.fromkeys((*configured, *told, here.ip))]


def _locals(sa: IkeSa, remote: IpAddress, routed: IpAddress | None) -> list[IpAddress]:
    here = sa.path.local.ip
    if sa.ctx.addresses is None or not is_usable(here):
        return [here] if here.version == remote.version else []
    ours = _allowed(sa, [ip for ip in sa.ctx.addresses if ip.version == remote.version])
    # A stable sort: by the order in `local_addrs`, then what the routing table takes, then what is in use.
    return sorted(ours, key=lambda ip: (_rank(sa, ip), ip != routed, ip != here))


def _allowed(sa: IkeSa, addresses: Iterable[IpAddress]) -> list[IpAddress]:
    return [ip for ip in addresses if is_usable(ip) and within(ip, sa.config.local_addrs)]


def _detour(sa: IkeSa, ip: IpAddress, routed: IpAddress | None) -> int:
    """How far a path is from the routing table's own choice: the last ones are those to where it knows no way."""
    if routed is None:
        return 2
    return 0 if ip == routed or sa.config.local_addrs else 1


def _rank(sa: IkeSa, ip: IpAddress) -> int:
    return next((rank for rank, network in enumerate(sa.config.local_addrs) if within(ip, (network,))), 0)
