"""The Configuration payload: inner addresses and what goes with them (RFC 7296 sections 2.19, 2.20 and 3.15).

In IKE_AUTH the initiator asks and the responder lends, before the Child SA's selectors are settled, which are narrowed
to the address. Later requests, in CREATE_CHILD_SA or INFORMATIONAL, get the same answer again. A peer that would set
something here by CFG_SET is told that nothing was taken over.
"""

from rhp.ike import attributes, leases
from rhp.ike.errors import Fault, PeerError
from rhp.ike.events import AddressesAssigned
from rhp.ike.tasks import delete
from rhp.ike.tasks.registry import hook
from rhp.ike.turn import Ending, Task, Turn
from rhp.wire.cp import CP
from rhp.wire.iana import CfgAttribute, CfgType, ExchangeType, NotifyType

_ADDRESSES = frozenset({CfgAttribute.INTERNAL_IP4_ADDRESS, CfgAttribute.INTERNAL_IP6_ADDRESS})


@hook(ExchangeType.IKE_AUTH, order=42)
class Configure(Task):
    """The request and the reply that ride on IKE_AUTH, once both sides are authenticated."""

    __slots__ = ()

    def build(self, turn: Turn) -> None:
        """As initiator ask, if the connection wants to; as responder answer, or say why there is no Child SA."""
        sa = turn.sa
        if turn.ours:
            if sa.config.request_addresses:
                turn.out.append(attributes.request(turn.ctx.had.get(sa.connection_name), sa.maker))
            return
        asked = _asked(turn)
        if asked is None or sa.established_at is None:
            return
        try:
            leases.take(sa, asked)
        except PeerError as error:
            sa.shake.childless = error
            return
        _answer(turn, asked)

    def process(self, turn: Turn) -> None:
        """As initiator take what was given. Without an address the IKE SA is of no use, and goes."""
        if not turn.ours or turn.sa.established_at is None or not turn.sa.config.request_addresses:
            return
        given = turn.message.first(CP)
        if given is not None and given.type == CfgType.REPLY:
            _take(turn, given)
        if turn.sa.assigned is None:
            detail = "the peer gave us no inner address"
            turn.ctx.count("no-address-assigned")
            turn.sa.shake.childless = PeerError(
                "no-address-assigned", NotifyType.INTERNAL_ADDRESS_FAILURE, detail=detail
            )
            turn.follow.append(delete.deletion(turn.sa, Ending("no-address-assigned", Fault.PEER, detail)))


class _Again(Task):
    """A peer's payload in a later exchange."""

    __slots__ = ()

    @classmethod
    def concerns(cls, turn: Turn) -> bool:
        """Whether there is one."""
        return turn.message.first(CP) is not None

    def build(self, turn: Turn) -> None:
        """Answer as before; what cannot be lent is not told, for the exchange is about something else."""
        if turn.ours:
            return
        asked = _asked(turn)
        if asked is not None:
            try:
                leases.take(turn.sa, asked)
            except PeerError as error:
                turn.ctx.count(error.reason)
            _answer(turn, asked)
        elif (payload := turn.message.first(CP)) is not None and payload.type == CfgType.SET:
            turn.ctx.count("cp-set-declined")
            turn.out.append(CP(CfgType.ACK, ()))


@hook(ExchangeType.CREATE_CHILD_SA, order=5)
class ConfigureChild(_Again):
    """Some peers ask anew with each Child SA and each rekey; they mean the address that they have."""

    __slots__ = ()


@hook(ExchangeType.INFORMATIONAL, order=40)
class ConfigureLater(_Again):
    """A request by itself, as for the version (section 2.20)."""

    __slots__ = ()


def _asked(turn: Turn) -> CP | None:
    payload = turn.message.first(CP)
    return payload if payload is not None and payload.type == CfgType.REQUEST else None


def _answer(turn: Turn, asked: CP) -> None:
    """Append the reply. Where no pool is, a peer that asks for addresses is told nothing (section 3.15.4)."""
    wants_address = any(one.type in _ADDRESSES for one in asked.attributes)
    if turn.sa.leases or not wants_address:
        turn.out.append(attributes.reply(asked, leases.grant(turn.sa), turn.sa.maker))


def _take(turn: Turn, given: CP) -> None:
    sa, ctx = turn.sa, turn.ctx
    mode = sa.config.children[0].mode if sa.config.children else "ethernet"
    draft = attributes.read(given, lambda reason: ctx.count(f"cp-{reason}"), sa.maker)
    if draft.domains and sa.config.remote.method == "null":
        # Nobody without a name decides where names are looked up (RFC 8598 section 8).
        draft.domains, draft.dns = [], []
    assignment = draft.finished(mode)
    if not assignment.addresses or sa.peer is None:
        return
    if assignment == sa.assigned:
        # A reauthentication has brought what there is already.
        return
    sa.assigned = ctx.had[sa.connection_name] = assignment
    ctx.count("address-assigned")
    ctx.emit(AddressesAssigned(sa.id, sa.connection_name, sa.peer, sa.path, assignment))
