"""The states of an IKE SA and of a Child SA, and every transition there is.

How this works: an IKE SA is CREATED and leaves that state at once. As initiator it is CONNECTING until IKE_SA_INIT is
answered and the key exchanges of IKE_INTERMEDIATE are done (RFC 9242); as responder it is HALF_OPEN after having
answered, until IKE_AUTH. It is AUTHENTICATING during IKE_AUTH, guard questions included, then ESTABLISHED. A rekey
makes a successor that is ESTABLISHED at once and leaves the old one REKEYED, which only waits for its DELETE. DELETING
has its own DELETE (or its last word to a peer that failed to authenticate) on the way.
"""

import enum
from collections.abc import Mapping
from typing import TypeVar

from rhp.wire.iana import ExchangeType

S = TypeVar("S", bound=enum.Enum)


class IkeState(enum.Enum):
    """Where an IKE SA stands."""

    CREATED = "created"
    CONNECTING = "connecting"
    HALF_OPEN = "half-open"
    AUTHENTICATING = "authenticating"
    ESTABLISHED = "established"
    REKEYED = "rekeyed"
    DELETING = "deleting"
    CLOSED = "closed"


class ChildState(enum.Enum):
    """Where one pair of ESP SAs stands; REKEYING has our request out, REKEYED has a successor."""

    INSTALLED = "installed"
    REKEYING = "rekeying"
    REKEYED = "rekeyed"
    DELETING = "deleting"
    CLOSED = "closed"


IKE_TRANSITIONS: Mapping[IkeState, frozenset[IkeState]] = {
    IkeState.CREATED: frozenset(
        {IkeState.CONNECTING, IkeState.HALF_OPEN, IkeState.ESTABLISHED, IkeState.CLOSED},
    ),
    IkeState.CONNECTING: frozenset({IkeState.AUTHENTICATING, IkeState.CLOSED}),
    IkeState.HALF_OPEN: frozenset({IkeState.AUTHENTICATING, IkeState.CLOSED}),
    IkeState.AUTHENTICATING: frozenset({IkeState.ESTABLISHED, IkeState.DELETING, IkeState.CLOSED}),
    IkeState.ESTABLISHED: frozenset({IkeState.REKEYED, IkeState.DELETING, IkeState.CLOSED}),
    IkeState.REKEYED: frozenset({IkeState.DELETING, IkeState.CLOSED}),
    IkeState.DELETING: frozenset({IkeState.CLOSED}),
    IkeState.CLOSED: frozenset(),
}

CHILD_TRANSITIONS: Mapping[ChildState, frozenset[ChildState]] = {
    ChildState.INSTALLED: frozenset(
        {ChildState.REKEYING, ChildState.REKEYED, ChildState.DELETING, ChildState.CLOSED},
    ),
    ChildState.REKEYING: frozenset(
        {ChildState.INSTALLED, ChildState.REKEYED, ChildState.DELETING, ChildState.CLOSED},
    ),
    ChildState.REKEYED: frozenset({ChildState.REKEYING, ChildState.DELETING, ChildState.CLOSED}),
    ChildState.DELETING: frozenset({ChildState.CLOSED}),
    ChildState.CLOSED: frozenset(),
}

FIRST_EXCHANGES = frozenset({ExchangeType.IKE_SA_INIT, ExchangeType.IKE_SESSION_RESUME})
"""An IKE SA begins with one of these, in the clear, with Message ID 0 (RFC 7296 section 1.2, RFC 5723 4.3.2)."""

LIVE_CHILD = frozenset({ChildState.INSTALLED, ChildState.REKEYING})
"""A pair in these states is the one of its lineage that traffic goes on."""

_PROTECTED = frozenset({ExchangeType.CREATE_CHILD_SA, ExchangeType.INFORMATIONAL, ExchangeType.IKE_FOLLOWUP_KE})

CHANGES = frozenset({ExchangeType.CREATE_CHILD_SA, ExchangeType.IKE_FOLLOWUP_KE})
"""The exchanges that make new SAs on an established IKE SA."""

ACCEPTED_REQUESTS: Mapping[IkeState, frozenset[ExchangeType]] = {
    IkeState.CREATED: FIRST_EXCHANGES,
    IkeState.CONNECTING: frozenset(),
    IkeState.HALF_OPEN: frozenset({ExchangeType.IKE_INTERMEDIATE, ExchangeType.IKE_AUTH}),
    IkeState.AUTHENTICATING: frozenset(),
    IkeState.ESTABLISHED: _PROTECTED,
    IkeState.REKEYED: _PROTECTED,
    IkeState.DELETING: _PROTECTED,
    IkeState.CLOSED: frozenset(),
}
"""Which exchanges a peer may begin in which state; everything else is counted and dropped."""

HANDSHAKE_STATES = frozenset(
    {IkeState.CREATED, IkeState.CONNECTING, IkeState.HALF_OPEN, IkeState.AUTHENTICATING},
)


def diagram(table: Mapping[S, frozenset[S]]) -> str:
    """A transition table as a Mermaid state diagram; `docs/ike-states.md` is made of these."""
    lines = ["stateDiagram-v2", f"    [*] --> {_label(next(iter(table)))}"]
    for state, following in table.items():
        lines += [f"    {_label(state)} --> {_label(one)}" for one in sorted(following, key=list(table).index)]
        if not following:
            lines.append(f"    {_label(state)} --> [*]")
    return "\n".join(lines)


def _label(state: enum.Enum) -> str:
    # Mermaid reads a hyphen as part of an arrow.
    return str(state.value).replace("-", "_")
