"""Session resumption (RFC 5723): tickets given, tickets held, tickets used up.

Who began an IKE SA asks for a ticket and holds it, with the SK_d that goes with it, as long as the IKE SA lives. If
that is lost, because the path or the peer went silent, the ticket begins the next one: one round trip fewer, no key
exchange and no signature. An IKE SA that was ended in order takes its ticket along on both sides.

The other side keeps nothing but what it must not accept a second time. A ticket is good for one IKE SA, and only as
long as its connection demands of a peer what it did when the peer was authenticated.
"""

from dataclasses import dataclass, field
from hashlib import blake2s

from rhp.crypto.errors import AuthenticationFailed, NoProposalChosen
from rhp.crypto.proposal import accept_ike
from rhp.crypto.secret import Secret
from rhp.crypto.suite import IkeSuite
from rhp.ike import candidates, ticket
from rhp.ike.config import ConnectionConfig
from rhp.ike.context import Context
from rhp.ike.crash import CRASHED
from rhp.ike.errors import Fault, PeerError
from rhp.ike.ike_sa import IkeSa
from rhp.ike.path import Path
from rhp.ike.resumed import HeldTicket, Resumed
from rhp.ike.ticket import Ticket
from rhp.ike.turn import Ending
from rhp.wire.iana import NotifyType, Protocol
from rhp.wire.notify import Notify
from rhp.wire.sa import SA, Proposal

LIFETIME = 12 * 3600
"""Seconds that a ticket is good for at most, as long as a key of the vault seals."""

MOST_HELD_OCTETS = 4096
"""The longest ticket of a peer that is kept: it has to fit into one message."""


@dataclass(slots=True)
class Redeemed:
    """A ticket that is good: what the responder goes on with."""

    connection: ConnectionConfig
    suite: IkeSuite
    sk_d: Secret = field(repr=False)
    ppk: bool
    resumed: Resumed


def wanted(connection: ConnectionConfig) -> bool:
    """Whether a connection uses tickets. Who has no name cannot be known again by one."""
    return connection.resumption and "null" not in (connection.local.method, connection.remote.method)


def issue(sa: IkeSa, now: float) -> Notify:
    """A ticket for the peer of an established IKE SA, which uses up the one before.

    TICKET_NACK where there is none to give.
    """
    ctx, vault = sa.ctx, sa.ctx.vault
    lifetime = _lifetime(sa, now)
    if vault is None or not vault.tickets or not wanted(sa.config) or lifetime < 1:
        return Notify(NotifyType.TICKET_NACK)
    if sa.peer is None or sa.local is None or sa.sk_d is None:
        raise RuntimeError("a ticket needs an authenticated peer")
    date = wall_seconds(ctx)
    made = Ticket(
        connection=sa.config.name,
        policy=policy(ctx, sa.config),
        local=sa.local.identity,
        peer=sa.peer.identity,
        authenticated=date - int(now - sa.authenticated_at),
        expires=date + lifetime,
        suite=SA((Proposal(1, Protocol.IKE, b"", sa.agreed.transforms()),)),
        sk_d=sa.sk_d,
        ppk=sa.ppk,
    )
    try:
        octets = ticket.seal(made, vault.tickets[0], ctx.random)
    except ValueError:
        ctx.count("ticket-too-long")
        return Notify(NotifyType.TICKET_NACK)
    ctx.count("ticket-issued")
    retire(sa)
    sa.ticket_id = ticket.ticket_id(octets)
    return Notify(NotifyType.TICKET_LT_OPAQUE, lifetime.to_bytes(4) + octets)


def redeem(ctx: Context, octets: bytes, path: Path, now: float) -> Redeemed:
    """Judge a ticket of anybody. Raises PeerError, to be answered with TICKET_NACK, which leads to a full handshake."""
    try:
        found = ticket.unseal(octets, ctx.vault.tickets if ctx.vault is not None else ())
    except AuthenticationFailed as error:
        raise _refused("ticket-unreadable") from error
    spends = ticket.ticket_id(octets)
    date = wall_seconds(ctx)
    if found.expires <= date:
        raise _refused("ticket-expired")
    if spends in ctx.spent:
        raise _refused("ticket-spent")
    connection = ctx.directory.named(found.connection)
    if connection is None or not candidates.serves(connection, path) or not wanted(connection):
        raise _refused("ticket-connection-gone")
    if found.policy != policy(ctx, connection):
        raise _refused("ticket-policy-changed")
    try:
        suite = accept_ike(found.suite, connection.proposals)
    except NoProposalChosen as error:
        raise _refused("ticket-suite-refused") from error
    # Another connection may know this peer better by now.
    claim = candidates.Claim(found.peer, found.local, connection.remote.method, suite)
    if not candidates.still_means(ctx.directory, path, claim, connection):
        raise _refused("ticket-policy-changed")
    since = now - max(0, date - found.authenticated)
    resumed = Resumed(found.local, found.peer, since, spends, found.expires)
    return Redeemed(connection, suite, found.sk_d, found.ppk, resumed)


def spend(sa: IkeSa) -> bool:
    """As responder, use up the ticket of a resumed handshake; False when another one was quicker."""
    resumed = sa.shake.resumed
    if resumed is None or resumed.spends in sa.ctx.spent:
        return False
    sa.ctx.spent.add(resumed.spends, resumed.expires, wall_seconds(sa.ctx))
    return True


def hold(sa: IkeSa, notify: Notify, now: float) -> None:
    """Keep the ticket that the peer gave us for this IKE SA, in place of the one before."""
    lifetime, octets = int.from_bytes(notify.data[:4]), notify.data[4:]
    if not octets or len(octets) > MOST_HELD_OCTETS or not lifetime:
        sa.ctx.count("bad-ticket")
        return
    if sa.peer is None or sa.local is None or sa.sk_d is None:
        raise RuntimeError("a ticket needs an authenticated peer")
    drop(sa.ctx, sa.connection_name)
    sa.ctx.held[sa.connection_name] = HeldTicket(
        ike_id=sa.id,
        octets=octets,
        expires=now + min(lifetime, LIFETIME),
        gateway=sa.path.remote.ip,
        policy=policy(sa.ctx, sa.config),
        local=sa.local.identity,
        peer=sa.peer.identity,
        suite=sa.agreed,
        sk_d=Secret(sa.sk_d.expose()),
        authenticated=sa.authenticated_at,
        ppk=sa.ppk,
    )
    sa.ctx.count("ticket-held")


def take(ctx: Context, connection: ConnectionConfig, path: Path, now: float) -> HeldTicket | None:
    """The ticket to call that gateway with, if there is a good one; it is in the caller's hands from now on."""
    held = ctx.held.get(connection.name)
    # As long as an IKE SA lives its ticket waits: it is for the time after a loss.
    if held is None or held.gateway != path.remote.ip or ctx.table.knows_connection(connection.name):
        return None
    if held.expires <= now or held.policy != policy(ctx, connection) or not wanted(connection):
        drop(ctx, connection.name)
        return None
    if not candidates.allows(connection, held.suite):
        drop(ctx, connection.name)
        return None
    return ctx.held.pop(connection.name)


def give_back(ctx: Context, name: str, held: HeldTicket) -> None:
    """Nobody has seen the ticket: it is good for another try, unless there is a newer one."""
    if name in ctx.held:
        held.sk_d.wipe()
    else:
        ctx.held[name] = held


def drop(ctx: Context, name: str) -> None:
    """Forget the ticket of a connection, if there is one."""
    held = ctx.held.pop(name, None)
    if held is not None:
        held.sk_d.wipe()


def settle(sa: IkeSa, ending: Ending) -> None:
    """An established IKE SA has ended: its ticket outlives it only where a loss was the reason."""
    if ending.fault is Fault.NETWORK or ending.reason == CRASHED.reason:
        return
    held = sa.ctx.held.get(sa.connection_name)
    if held is not None and held.ike_id == sa.id:
        drop(sa.ctx, sa.connection_name)
    retire(sa)


def retire(sa: IkeSa) -> None:
    """As responder, use up the ticket that the peer has of an IKE SA."""
    if sa.ticket_id:
        date = wall_seconds(sa.ctx)
        sa.ctx.spent.add(sa.ticket_id, date + LIFETIME, date)
        sa.ticket_id = b""


def policy(ctx: Context, connection: ConnectionConfig) -> bytes:
    """A digest of what a connection demands of its peer, the keys included: with another one a ticket says nothing.

    A realm's contains what every realm matches, for that decides as well who is of this one.
    """
    remote, local = connection.remote, connection.local
    digest = blake2s(digest_size=16)
    for part in (
        local.method.encode(),
        local.identity.build(),
        remote.method.encode(),
        remote.pattern.text.encode(),
        repr(connection.ppk).encode(),
        connection.secrets,
        ctx.directory.rules if connection.match else b"",
        *remote.cas,
    ):
        digest.update(len(part).to_bytes(4) + part)
    return digest.digest()


def wall_seconds(ctx: Context) -> int:
    """The date, in seconds since 1970."""
    return int(ctx.wall_clock().timestamp())


def _lifetime(sa: IkeSa, now: float) -> int:
    """Not longer than a key lives, nor than the proof that stands behind it (RFC 5723 section 6.2)."""
    config = sa.config
    proved = config.reauth_time - (now - sa.authenticated_at) if config.reauth_time else LIFETIME
    return int(min(LIFETIME, config.life_time or LIFETIME, proved))


def _refused(reason: str) -> PeerError:
    return PeerError(reason, NotifyType.TICKET_NACK)
