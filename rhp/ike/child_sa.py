"""One pair of ESP SAs, from its installation to its removal.

A lineage is the sequence of pairs that rekeys make out of one Child SA; its id stays. Each change of a pair is an
effect for the data plane, made here and nowhere else.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rhp.crypto.keymat import ChildKeys
from rhp.crypto.suite import EspSuite
from rhp.ike.config import ChildConfig
from rhp.ike.effects import ActivateSA, Carrier, InstallSA, MigrateSA, RemoveSA
from rhp.ike.errors import Fault
from rhp.ike.events import ChildClosed, ChildEstablished, ChildRekeyed
from rhp.ike.states import CHILD_TRANSITIONS, ChildState
from rhp.ike.timers import Timer
from rhp.wire.ts import TrafficSelector

if TYPE_CHECKING:
    from rhp.ike.ike_sa import IkeSa


@dataclass(frozen=True, slots=True)
class ChildTerms:
    """What both sides agreed on; `spi_in` is ours, `spi_out` the peer's, in host order."""

    config: ChildConfig
    suite: EspSuite
    spi_in: int
    spi_out: int
    local_ts: tuple[TrafficSelector, ...]
    remote_ts: tuple[TrafficSelector, ...]


class ChildSa:
    """A pair of ESP SAs. `sa` is the IKE SA that it belongs to now; `id` is its lineage's."""

    __slots__ = (
        "created_at",
        "expires_at",
        "id",
        "outbound_active",
        "rekey_at",
        "sa",
        "state",
        "terms",
        "timer",
    )

    def __init__(self, sa: "IkeSa", child_id: int, terms: ChildTerms, outbound_active: bool, now: float) -> None:
        self.sa = sa
        self.id = child_id
        self.terms = terms
        self.outbound_active = outbound_active
        self.state = ChildState.INSTALLED
        self.created_at = now
        self.rekey_at: float | None = None
        self.expires_at: float | None = None
        self.timer: Timer | None = None

    @property
    def name(self) -> str:
        """The name of its configuration."""
        return self.terms.config.name

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
    return "udp" if sa.encapsulate else "esp"


def install(
    sa: "IkeSa", terms: ChildTerms, keys: ChildKeys, now: float, *, began: bool, replaces: ChildSa | None = None
) -> ChildSa:
    """Install a pair; `began` says whether we began its exchange, which decides whose key is whose.

    Of a replacement, the side that began sends on the new pair at once; the other one waits until the peer shows that
    it is ready, by traffic or by deleting the old pair.
    """
    child = ChildSa(sa, sa.ctx.next_id() if replaces is None else replaces.id, terms, began or replaces is None, now)
    sa.children[child.spi_in] = child
    sa.ctx.table.add_child(child)
    sa.ctx.do(_install_effect(child, keys, began, replaces))
    sa.ctx.count("child-rekeyed" if replaces is not None else "child-established")
    if replaces is not None:
        sa.ctx.emit(
            ChildRekeyed(
                child.id,
                sa.id,
                sa.connection_name,
                child.name,
                replaces.spi_in,
                terms.spi_in,
                terms.spi_out,
                terms.suite.name,
            )
        )
    elif sa.peer is not None:
        sa.ctx.emit(
            ChildEstablished(
                child.id, sa.id, sa.connection_name, child.name, sa.peer, terms.config.mode,
                terms.spi_in, terms.spi_out, terms.suite.name, terms.local_ts, terms.remote_ts,
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
    child.sa.ctx.do(MigrateSA(child.spi_in, child.sa.path, carrier(child.sa)))


def remove(child: ChildSa, reason: str, fault: Fault) -> None:
    """Take a pair away; when it was the last of its lineage, say so."""
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
    sa.ctx.do(RemoveSA(child.id, child.spi_in, heir is None))
    if heir is None:
        sa.ctx.emit(ChildClosed(child.id, sa.id, sa.connection_name, child.name, reason, fault))


def _install_effect(child: ChildSa, keys: ChildKeys, began: bool, replaces: ChildSa | None) -> InstallSA:
    sa, terms = child.sa, child.terms
    if sa.peer is None:
        raise RuntimeError("a Child SA needs an authenticated peer")
    inbound, outbound = (keys.encr_i, keys.integ_i), (keys.encr_r, keys.integ_r)
    if began:
        inbound, outbound = outbound, inbound
    return InstallSA(
        child_id=child.id,
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
        path=sa.path,
        encapsulation=carrier(sa),
        replay_window=terms.config.replay_window,
        outbound_active=child.outbound_active,
        replaces=None if replaces is None else replaces.spi_in,
    )
