"""What a Rockhopper minds in the proposals of a CREATE_CHILD_SA, and at what it breaks.

A transform of a type that it does not know, as an additional key exchange is, makes the whole message invalid to it.
The KE payload has to be of the very group that it finds in its own choice, and it has none beyond MODP-2048; to any
other it says NO_PROPOSAL_CHOSEN. Whether a Child SA has to have a fresh key exchange is a setting of its realm, which
nobody can see before the first rekey. And of two IKE SA rekeys that cross it does not live to see the end.

So a connection that names its suite for IKE_SA_INIT, or that only answers, needs no word about rekeys.
"""

from collections.abc import Sequence
from dataclasses import replace

from rhp.crypto.choices import NO_KEY_EXCHANGE, EspProposal
from rhp.ike.ike_sa import IkeSa
from rhp.ike.maker import Maker
from rhp.wire.iana import KeMethod, Protocol
from rhp.wire.sa import Proposal

EspProposals = tuple[EspProposal, ...]

_ITS_METHODS = (KeMethod.MODP_2048, KeMethod.MODP_1536, KeMethod.MODP_1024)
"""All that it has, in its order."""


def ike_offer(sa: IkeSa, spi: bytes) -> tuple[Proposal, ...]:
    """The proposals for a new IKE SA. A Rockhopper is offered what it chose before, as it would do itself."""
    if sa.maker is Maker.ROCKHOPPER:
        return (Proposal(1, Protocol.IKE, spi, sa.agreed.transforms()),)
    return tuple(one.to_wire(number, spi) for number, one in enumerate(sa.config.proposals, 1))


def esp_proposals(sa: IkeSa, configured: EspProposals) -> EspProposals:
    """What is offered and accepted for a Child SA of an exchange of its own.

    From a Rockhopper a fresh key exchange is welcome also where the configuration names none, and none is additional.
    """
    if sa.maker is not Maker.ROCKHOPPER:
        return configured
    found = (_without_rounds(one) for one in configured)
    return tuple(_with_its_group(one) for one in found if one is not None) or configured


def preferred_method(sa: IkeSa, proposals: Sequence[EspProposal]) -> int:
    """The key exchange method to begin with, 0 for none."""
    if sa.maker is Maker.ROCKHOPPER:
        named = {method for proposal in proposals for method in proposal.key_exchanges}
        its = next((method for method in _ITS_METHODS if method in named), None)
        if its is not None:
            return its
    return next((method for proposal in proposals for method in proposal.key_exchanges[:1]), 0)


def survives_crossing(sa: IkeSa) -> bool:
    """Whether the peer copes with two IKE SA rekeys at once.

    A Rockhopper looks for the two new IKE SAs two seconds later, and where both are still there it ends with a fault.
    It takes TEMPORARY_FAILURE well: what it began is dropped, and what we began stays.
    """
    return sa.maker is not Maker.ROCKHOPPER


def _without_rounds(proposal: EspProposal) -> EspProposal | None:
    if not proposal.additional:
        return proposal
    optional = all(NO_KEY_EXCHANGE in choices for choices in proposal.additional if choices)
    return replace(proposal, additional=()) if optional else None


def _with_its_group(proposal: EspProposal) -> EspProposal:
    if any(proposal.key_exchanges):
        return proposal
    return replace(proposal, key_exchanges=(KeMethod.MODP_2048, NO_KEY_EXCHANGE))
