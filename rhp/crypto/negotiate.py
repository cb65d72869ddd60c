"""The choice between what is offered and what is configured (RFC 7296 sections 2.7 and 3.3.6).

The chooser's own order decides among everything offered, whatever the order and the grouping of the offers. Of a
proposal one transform of every type in it is taken, so a proposal with a type that we do not know is not acceptable
as a whole, while an unknown transform, or one with a key length that its algorithm does not have, only takes itself
out of the running.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rhp.crypto.algorithms import ENCRYPTIONS, INTEGRITIES, PRFS, Encryption, Integrity
from rhp.crypto.choices import NO_KEY_EXCHANGE, EspProposal, IkeProposal, key_exchange_name
from rhp.crypto.errors import NoProposalChosen
from rhp.crypto.suite import EspSuite, IkeSuite
from rhp.wire.iana import Protocol, TransformType
from rhp.wire.sa import SA, Proposal, Transform

_Key = tuple[int, int | None]
_Types = dict[int, set[_Key]]

_IKE_TYPES = frozenset({TransformType.ENCR, TransformType.PRF, TransformType.INTEG, TransformType.KE})
_ESP_TYPES = frozenset({TransformType.ENCR, TransformType.INTEG, TransformType.KE, TransformType.ESN})
_NONE: _Key = (0, None)
_LOWEST_SPI = 256
_MOST_NAMES = 40
_NAMES: dict[int, dict[_Key, str]] = {
    TransformType.ENCR: {(item.id, item.key_length): item.name for item in ENCRYPTIONS},
    TransformType.INTEG: {(item.id, None): item.name for item in INTEGRITIES},
    TransformType.PRF: {(item.id, None): item.name for item in PRFS},
    TransformType.ESN: {(0, None): "noesn", (1, None): "esn"},
}


def choose_ike(
    offered: SA, configured: Sequence[IkeProposal], sent_key_exchange: int | None = None
) -> tuple[int, IkeSuite]:
    """Return the number of the offered proposal taken and the suite; raises `NoProposalChosen`.

    `sent_key_exchange` is the method of the KE payload that came along: if it is acceptable with the cipher chosen it
    is taken, which spares the INVALID_KE_PAYLOAD round trip; without it our own order decides alone.
    """
    candidates = [(item, _by_type(item)) for item in offered.proposals if item.protocol == Protocol.IKE]
    for own in configured:
        found: list[tuple[int, int, IkeSuite]] = []
        for proposal, types in candidates:
            suite = _ike_suite(own, types, sent_key_exchange)
            if suite is not None:
                found.append((own.encryptions.index(suite.encryption), proposal.number, suite))
        if found:
            _, number, suite = min(found, key=lambda item: item[:2])
            return number, suite
    raise NoProposalChosen(_nothing(offered, [own.name for own in configured]))


def choose_esp(
    offered: SA, configured: Sequence[EspProposal], with_key_exchange: bool = True, sent_key_exchange: int | None = None
) -> tuple[int, bytes, EspSuite]:
    """Return the number of the offered proposal taken, the peer's SPI and the suite; raises `NoProposalChosen`.

    Within IKE_AUTH `with_key_exchange` is False: key exchange transforms are ignored on both sides (RFC 7296 section
    1.2).
    """
    candidates = [(item, _by_type(item)) for item in offered.proposals if _is_esp(item)]
    for own in configured:
        found: list[tuple[int, int, bytes, EspSuite]] = []
        for proposal, types in candidates:
            suite = _esp_suite(own, types, with_key_exchange, sent_key_exchange)
            if suite is not None:
                found.append((own.encryptions.index(suite.encryption), proposal.number, proposal.spi, suite))
        if found:
            _, number, spi, suite = min(found, key=lambda item: item[:2])
            return number, spi, suite
    raise NoProposalChosen(_nothing(offered, [own.name for own in configured]))


def accept_ike(chosen: SA, configured: Sequence[IkeProposal]) -> IkeSuite:
    """Return the suite of the responder's answer.

    Raises `NoProposalChosen` unless it is exactly one that we offered.
    """
    proposal = _only(chosen)
    if proposal.protocol == Protocol.IKE:
        types = _by_type(proposal)
        for own in configured:
            suite = _ike_suite(own, types, None)
            if suite is not None:
                return suite
    raise NoProposalChosen(f"the peer chose {describe(proposal)}, which was not offered")


def accept_esp(chosen: SA, configured: Sequence[EspProposal], with_key_exchange: bool = True) -> tuple[bytes, EspSuite]:
    """Return the responder's SPI and the suite; raises `NoProposalChosen` unless it is exactly one that we offered."""
    proposal = _only(chosen)
    if _is_esp(proposal):
        types = _by_type(proposal)
        for own in configured:
            suite = _esp_suite(own, types, with_key_exchange, None)
            if suite is not None:
                return proposal.spi, suite
    raise NoProposalChosen(f"the peer chose {describe(proposal)}, which was not offered")


def describe(proposal: Proposal) -> str:
    """Return an offer in swanctl's notation, with numbers for what has no name here; cut when a peer offers a lot."""
    names = [_transform_name(item) for item in proposal.transforms[:_MOST_NAMES]]
    if len(proposal.transforms) > _MOST_NAMES:
        names.append("...")
    return "-".join(names) or "an empty proposal"


def _transform_name(transform: Transform) -> str:
    if transform.type == TransformType.KE:
        return key_exchange_name(transform.id)
    name = _NAMES.get(transform.type, {}).get((transform.id, transform.key_length))
    size = "" if transform.key_length is None else f"/{transform.key_length}"
    return name or f"transform{int(transform.type)}:{int(transform.id)}{size}"


def _nothing(offered: SA, own: Iterable[str]) -> str:
    offers = ", ".join(describe(item) for item in offered.proposals[:6]) or "nothing"
    return f"the peer offers {offers}; configured is {', '.join(own)}"


def _by_type(proposal: Proposal) -> _Types:
    types: _Types = {}
    for item in proposal.transforms:
        keys = types.setdefault(item.type, set())
        # A transform with an attribute that we do not know is not acceptable (RFC 7296 section 3.3.6).
        if not item.unknown:
            keys.add((item.id, item.key_length))
    return types


def _is_esp(proposal: Proposal) -> bool:
    return (
        proposal.protocol == Protocol.ESP
        and len(proposal.spi) == 4
        and int.from_bytes(proposal.spi, "big") >= _LOWEST_SPI
    )


def _only(chosen: SA) -> Proposal:
    if len(chosen.proposals) != 1:
        raise NoProposalChosen(f"the peer chose {len(chosen.proposals)} proposals instead of one")
    proposal = chosen.proposals[0]
    if len({item.type for item in proposal.transforms}) != len(proposal.transforms):
        raise NoProposalChosen(f"the peer chose {describe(proposal)}, with two transforms of one type")
    return proposal


def _first_cipher(own: Iterable[Encryption], offered: set[_Key]) -> Encryption | None:
    return next((item for item in own if (item.id, item.key_length) in offered), None)


def _first_integrity(own: Iterable[Integrity], offered: set[_Key]) -> Integrity | None:
    return next((item for item in own if (item.id, None) in offered), None)


def _first_method(own: Sequence[int], offered: set[_Key], sent: int | None) -> int | None:
    if sent is not None and sent in own and (sent, None) in offered:
        return sent
    return next((method for method in own if (method, None) in offered), None)


def _integrity_fits(cipher: Encryption, own: Iterable[Integrity], types: _Types) -> tuple[bool, Integrity | None]:
    """Whether integrity can be settled, and how: an AEAD takes none, which an offer says by silence or by NONE."""
    offered = types.get(TransformType.INTEG, set())
    if cipher.aead:
        return TransformType.INTEG not in types or _NONE in offered, None
    found = _first_integrity(own, offered)
    return found is not None, found


def _ike_suite(own: IkeProposal, types: _Types, sent: int | None) -> IkeSuite | None:
    if not types.keys() <= _IKE_TYPES:
        return None
    cipher = _first_cipher(own.encryptions, types.get(TransformType.ENCR, set()))
    method = _first_method(own.key_exchanges, types.get(TransformType.KE, set()), sent)
    prfs = types.get(TransformType.PRF, set())
    prf = next((item for item in own.prfs if (item.id, None) in prfs), None)
    if cipher is None or method is None or prf is None:
        return None
    fits, mac = _integrity_fits(cipher, own.integrities, types)
    return IkeSuite(cipher, mac, prf, method) if fits else None


def _esp_suite(own: EspProposal, types: _Types, with_key_exchange: bool, sent: int | None) -> EspSuite | None:
    if not types.keys() <= _ESP_TYPES:
        return None
    cipher = _first_cipher(own.encryptions, types.get(TransformType.ENCR, set()))
    # RFC 7296 section 3.3.3 wants the ESN transform in every ESP proposal; silence is read as "no extended numbers".
    numbers = types.get(TransformType.ESN, {_NONE})
    esn = next((wanted for wanted in own.esn if (int(wanted), None) in numbers), None)
    method: int | None = NO_KEY_EXCHANGE
    if with_key_exchange:
        method = _first_method(own.key_exchanges or (NO_KEY_EXCHANGE,), types.get(TransformType.KE, {_NONE}), sent)
    if cipher is None or esn is None or method is None:
        return None
    fits, mac = _integrity_fits(cipher, own.integrities, types)
    return EspSuite(cipher, mac, esn, method or None) if fits else None
