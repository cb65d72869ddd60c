"""The beginning of an IKE SA of ours, the first one with a peer or one that renews another."""

from rhp.ike import conductor, renewal
from rhp.ike.config import ChildConfig, ConnectionConfig
from rhp.ike.context import Context
from rhp.ike.handshake import Handshake
from rhp.ike.ike_sa import NO_SPI, IkeSa
from rhp.ike.path import IpAddress, Path
from rhp.ike.states import IkeState
from rhp.ike.tasks import child_create, init, resume


def begin(
    ctx: Context,
    config: ConnectionConfig,
    child: ChildConfig | None,
    path: Path,
    now: float,
    renews: IkeSa | None = None,
    redirected_from: IpAddress | None = None,
) -> IkeSa:
    """Send IKE_SA_INIT, or show a ticket where there is one and nobody has to prove anything anew.

    `child` will ride on IKE_AUTH; `redirected_from` is the gateway that sent us to this one.
    """
    sa = IkeSa(ctx, ctx.next_id(), "initiator", config, (ctx.new_ike_spi(), NO_SPI), path, now)
    sa.handshake = Handshake(child=child, redirected_from=redirected_from)
    sa.renews = renews
    ctx.table.add(sa)
    sa.become(IkeState.CONNECTING)
    ticket = resume.begin(sa, now) if renews is None else None
    sa.enqueue(ticket or init.begin(sa))
    conductor.pump(sa, now)
    return sa


def renew(old: IkeSa, now: float) -> IkeSa | None:
    """Begin to reauthenticate, with the settings as they are now; None while the old IKE SA has other changes to do."""
    if old.renewal is not None or old.state is not IkeState.ESTABLISHED or child_create.is_rekeying(old):
        return None
    config = old.ctx.config.connection(old.connection_name) or old.config
    names = {child.name for child in renewal.remaining(old)}
    child = next((one for one in config.children if one.name in names), next(iter(config.children), None))
    old.renewal = begin(old.ctx, config, child, old.path, now, renews=old)
    return old.renewal
