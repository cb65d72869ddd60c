"""One pair of ESP SAs, from its installation to its removal.

A lineage is the sequence of pairs that rekeys make out of one Child SA; its id stays. A group is a lineage with those
that serve further lanes of the same traffic (`lanes`). Each change of a pair is an
effect for the data plane, made here and nowhere else.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rhp.crypto.keymat import ChildKeys
from rhp.crypto.suite import EspSuite
from rhp.ike.config import ChildConfig
from rhp.ike.effects import ActivateSA, Carrier, DeactivateSA, InstallSA, Limits, MigrateSA, RemoveSA
from rhp.ike.errors import Fault
from rhp.ike.events import ChildClosed, ChildEstablished, ChildRekeyed
from rhp.ike.lanes import ANYWHERE, Place
from rhp.ike.states import CHILD_TRANSITIONS, ChildState
from rhp.ike.timers import Timer
from rhp.wire.ts import TrafficSelector

if TYPE_CHECKING:
    from rhp.ike.context import Context
    from rhp.ike.ike_sa import IkeSa
    from rhp.ike.tasks.collision import Rival


LINGER = 5.0
"""Seconds that a replaced pair still receives after its DELETE, for packets that took a longer way."""


@dataclass(frozen=True, slots=True)
class ChildTerms:
    """What both sides agreed on; `spi_in` is ours, `spi_out` the peer's, in host order."""

    config: ChildConfig
    suite: EspSuite
    spi_in: int
    spi_out: int
    local_ts: tuple[TrafficSelector, ...]
    remote_ts: tuple[TrafficSelector, ...]
    place: Place = ANYWHERE


class ChildSa:
    """A pair of ESP SAs. `sa` is the IKE SA that it belongs to now; `id` is its lineage's, `group` its group's.

    `rival` is what the peer made in place of this pair while our own request to replace it is out. `older` are pairs of
    its lineage that were deleted and still receive: their inbound SPIs, and the timers that end them. `refused` says
    that an attempt to replace it has failed.
    """

    __slots__ = (
        "created_at",
        "expires_at",
        "group",
        "id",
        "older",
        "outbound_active",
        "refused",
        "rekey_at",
        "rival",
        "sa",
        "state",
        "terms",
        "timer",
    )

    def __init__(self, sa: "IkeSa", child_id: int, terms: ChildTerms, outbound_active: bool, now: float) -> None:
        self.sa = sa
        self.id = child_id
        self.group = child_id if terms.place.group is None else terms.place.group
        self.terms = terms
        self.outbound_active = outbound_active
        self.state = ChildState.INSTALLED
        self.created_at = now
        self.refused = False
        self.rekey_at: float | None = None
        self.expires_at: float | None = None
        self.timer: Timer | None = None
        self.rival: Rival[ChildSa] | None = None
        self.older: tuple[tuple[int, Timer], ...] = ()

    @property
    def name(self) -> str:
        """The name of its configuration."""
        return self.terms.config.name

    @property
    def lane(self) -> int | None:
        """The only lane that sends on it, None where every lane may."""
        return None if self.group == self.id else self.terms.place.lane

    @property
    def spi_in(self) -> int:
        """The inbound SPI, ours."""
        return self.terms.spi_in

    def become(self, state: ChildState) -> None:
        """Change the state. Raises RuntimeError for a transition that is not in the table."""
        if state not in CHILD_TRANSITIONS[self.state]:
            raise RuntimeError(f"a Child SA cannot go from {self.state.value} to {state.value}")
        self.state = state


def carrier(sa: "IkeSa") -> Carrier:
    """How this IKE SA's ESP travels."""
    return sa.traffic[1]


def install(
    sa: "IkeSa",
    terms: ChildTerms,
    keys: ChildKeys,
    now: float,
    *,
    began: bool,
    limits: Limits,
    replaces: ChildSa | None = None,
    spare: bool = False,
) -> ChildSa:
    """Install a pair; `began` says whether we began its exchange, which decides whose key is whose.

    Of a replacement, and of a pair for a further lane, the side that began sends on the new pair at once; the other
    one waits until the peer shows that it is ready, by traffic or by deleting the old pair. It has another until then.
    A `spare` one is there for what the peer may still send on it, and goes soon.
    """
    alone = replaces is None and terms.place.group is None
    active = (began or alone) and not spare
    child = ChildSa(sa, sa.ctx.next_id() if replaces is None else replaces.id, terms, active, now)
    sa.children[child.spi_in] = child
    sa.ctx.table.add_child(child)
    sa.ctx.do(_install_effect(child, keys, began, replaces, limits))
    if spare:
        return child
    sa.ctx.count("child-rekeyed" if replaces is not None else "child-established")
    if replaces is not None:
        sa.ctx.emit(
            ChildRekeyed(
                child.id,
                sa.id,
                sa.connection_name,
                child.name,
                terms.spi_in,
                terms.spi_out,
                terms.suite.name,
            )
        )
    elif sa.peer is not None:
        sa.ctx.emit(
            ChildEstablished(
                child.id, sa.id, sa.connection_name, child.name, sa.peer, terms.config.mode,
                terms.spi_in, terms.spi_out, terms.suite.name, terms.local_ts, terms.remote_ts, child.lane,
            )
        )  # fmt: skip
    return child


def activate(child: ChildSa) -> None:
    """The peer is ready for the new pair: send on it from now on."""
    if not child.outbound_active and child.state is not ChildState.CLOSED:
        child.outbound_active = True
        child.sa.ctx.do(ActivateSA(child.spi_in))


def migrate(child: ChildSa) -> None:
    """The IKE SA's path changed, and its children's with it."""
    path, carried = child.sa.traffic
    child.sa.ctx.do(MigrateSA(child.spi_in, path, carried))


def remove(child: ChildSa, reason: str, fault: Fault, now: float) -> None:
    """Take a pair away; when it was the last of its lineage, say so. One that was replaced receives for a while."""
    if child.state is ChildState.CLOSED:
        return
    sa = child.sa
    child.become(ChildState.CLOSED)
    sa.ctx.timers.cancel(child.timer)
    sa.children.pop(child.spi_in, None)
    sa.ctx.table.remove_child(child)
    heir = sa.ctx.table.child_by_id(child.id)
    if heir is not None:
        activate(heir)
        _linger(child, heir, now)
        return
    for spi_in, timer in child.older:
        if timer.action is not None:
            sa.ctx.timers.cancel(timer)
            sa.ctx.do(RemoveSA(child.id, spi_in))
    sa.ctx.do(RemoveSA(child.id, child.spi_in))
    sa.ctx.emit(ChildClosed(child.id, sa.id, sa.connection_name, child.name, reason, fault))


def _linger(child: ChildSa, heir: ChildSa, now: float) -> None:
    ctx = heir.sa.ctx
    ctx.do(DeactivateSA(child.spi_in))
    timer = ctx.timers.start(now + LINGER, partial(_end, ctx, child.id, child.spi_in))
    heir.older += (*(entry for entry in child.older if entry[1].action is not None), (child.spi_in, timer))


def _end(ctx: "Context", child_id: int, spi_in: int, now: float) -> None:
    ctx.do(RemoveSA(child_id, spi_in))


def _install_effect(
    child: ChildSa, keys: ChildKeys, began: bool, replaces: ChildSa | None, limits: Limits
) -> InstallSA:
    sa, terms = child.sa, child.terms
    if sa.peer is None:
        raise RuntimeError("a Child SA needs an authenticated peer")
    inbound, outbound = (keys.encr_i, keys.integ_i), (keys.encr_r, keys.integ_r)
    if began:
        inbound, outbound = outbound, inbound
    return InstallSA(
        child_id=child.id,
        group=child.group,
        lane=child.lane,
        ike_id=sa.id,
        connection=sa.connection_name,
        child_name=child.name,
        peer=sa.peer,
        mode=terms.config.mode,
        spi_in=terms.spi_in,
        spi_out=terms.spi_out,
        suite=terms.suite,
        encr_in=inbound[0],
        integ_in=inbound[1],
        encr_out=outbound[0],
        integ_out=outbound[1],
        local_ts=terms.local_ts,
        remote_ts=terms.remote_ts,
        path=sa.traffic[0],
        encapsulation=carrier(sa),
        replay_window=terms.config.replay_window,
        outbound_active=child.outbound_active,
        replaces=None if replaces is None else replaces.spi_in,
        limits=limits,
        policy=sa.config.policy,
    )
