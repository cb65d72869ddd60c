"""The choice between what is offered and what is configured (RFC 7296 sections 2.7 and 3.3.6).

The chooser's own order decides among everything offered, whatever the order and the grouping of the offers. Of a
proposal one transform of every type in it is taken, so a proposal with a type that we do not know is not acceptable
as a whole, while an unknown transform, or one with a key length that its algorithm does not have, only takes itself
out of the running.

An additional key exchange (RFC 9370) that one side does not know fits only where the other accepts NONE. No method is
taken twice. Of several proposals the one with the most key exchanges is preferred: one that is left out is a fallback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Concatenate, ParamSpec, TypeVar

from rhp.crypto.algorithms import ENCRYPTIONS, INTEGRITIES, PRFS, Encryption, Integrity
from rhp.crypto.choices import (
    ADDITIONAL_TYPES,
    KEY_EXCHANGE_TYPES,
    NO_KEY_EXCHANGE,
    Additional,
    EspProposal,
    IkeProposal,
    key_exchange_name,
    round_name,
)
from rhp.crypto.errors import NoProposalChosen
from rhp.crypto.suite import EspSuite, IkeSuite, Rounds
from rhp.wire.iana import Protocol, TransformType
from rhp.wire.sa import SA, Proposal, Transform

_Key = tuple[int, int | None]
_Types = dict[int, set[_Key]]
_Own = TypeVar("_Own")
_Suite = TypeVar("_Suite")
_P = ParamSpec("_P")
_Settle = Callable[Concatenate[_Own, tuple[Transform, ...], _P], _Suite]

_IKE_TYPES = KEY_EXCHANGE_TYPES | {TransformType.ENCR, TransformType.PRF, TransformType.INTEG}
_ESP_TYPES = KEY_EXCHANGE_TYPES | {TransformType.ENCR, TransformType.INTEG, TransformType.ESN}
_NONE: _Key = (0, None)
_LOWEST_SPI = 256
_MOST_NAMES = 40
_REMEMBERED = 256
_USUAL = 32
_NAMES: dict[int, dict[_Key, str]] = {
    TransformType.ENCR: {(item.id, item.key_length): item.name for item in ENCRYPTIONS},
    TransformType.INTEG: {(item.id, None): item.name for item in INTEGRITIES},
    TransformType.PRF: {(item.id, None): item.name for item in PRFS},
    TransformType.ESN: {(0, None): "noesn", (1, None): "esn"},
}


def add_name(kind: int, number: int, key_bits: int | None, name: str) -> None:
    """Have sentences name one more algorithm, for `rhp.crypto.additions`."""
    _NAMES[kind][number, key_bits] = name


def choose_ike(
    offered: SA, configured: Sequence[IkeProposal], sent_key_exchange: int | None = None
) -> tuple[int, IkeSuite]:
    """Return the number of the offered proposal taken and the suite; raises `NoProposalChosen`.

    `sent_key_exchange` is the method of the KE payload that came along: if it is acceptable with the cipher chosen it
    is taken, which spares the INVALID_KE_PAYLOAD round trip; without it our own order decides alone.
    """
    candidates = [item for item in offered.proposals if item.protocol == Protocol.IKE]
    for own in configured:
        found: list[tuple[tuple[int, int, int], IkeSuite]] = []
        for proposal in candidates:
            suite = _ike_suite(own, proposal.transforms, sent_key_exchange)
            if suite is not None:
                rank = -len(suite.rounds), own.encryptions.index(suite.encryption), proposal.number
                found.append((rank, suite))
        if found:
            rank, suite = min(found, key=lambda item: item[0])
            return rank[2], suite
    raise NoProposalChosen(_nothing(offered, [own.name for own in configured]))


def choose_esp(
    offered: SA, configured: Sequence[EspProposal], with_key_exchange: bool = True, sent_key_exchange: int | None = None
) -> tuple[int, bytes, EspSuite]:
    """Return the number of the offered proposal taken, the peer's SPI and the suite; raises `NoProposalChosen`.

    Within IKE_AUTH `with_key_exchange` is False: key exchange transforms are ignored on both sides (RFC 7296 section
    1.2).
    """
    candidates = [item for item in offered.proposals if _is_esp(item)]
    for own in configured:
        found: list[tuple[tuple[int, int, int], bytes, EspSuite]] = []
        for proposal in candidates:
            suite = _esp_suite(own, proposal.transforms, with_key_exchange, sent_key_exchange)
            if suite is not None:
                rank = -len(suite.rounds), own.encryptions.index(suite.encryption), proposal.number
                found.append((rank, proposal.spi, suite))
        if found:
            rank, spi, suite = min(found, key=lambda item: item[0])
            return rank[2], spi, suite
    raise NoProposalChosen(_nothing(offered, [own.name for own in configured]))


def accept_ike(chosen: SA, configured: Sequence[IkeProposal]) -> IkeSuite:
    """Return the suite of the responder's answer.

    Raises `NoProposalChosen` unless it is exactly one that we offered.
    """
    proposal = _only(chosen)
    if proposal.protocol == Protocol.IKE:
        for own in configured:
            suite = _ike_suite(own, proposal.transforms, None)
            if suite is not None:
                return suite
    raise NoProposalChosen(f"the peer chose {describe(proposal)}, which was not offered")


def accept_esp(chosen: SA, configured: Sequence[EspProposal], with_key_exchange: bool = True) -> tuple[bytes, EspSuite]:
    """Return the responder's SPI and the suite; raises `NoProposalChosen` unless it is exactly one that we offered."""
    proposal = _only(chosen)
    if _is_esp(proposal):
        for own in configured:
            suite = _esp_suite(own, proposal.transforms, with_key_exchange, None)
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
    if transform.type in ADDITIONAL_TYPES:
        return round_name(transform.type - TransformType.ADDKE1 + 1, transform.id)
    name = _NAMES.get(transform.type, {}).get((transform.id, transform.key_length))
    size = "" if transform.key_length is None else f"/{transform.key_length}"
    return name or f"transform{int(transform.type)}:{int(transform.id)}{size}"


def _nothing(offered: SA, own: Iterable[str]) -> str:
    offers = ", ".join(describe(item) for item in offered.proposals[:6]) or "nothing"
    return f"the peer offers {offers}; configured is {', '.join(own)}"


def _by_type(transforms: Iterable[Transform]) -> _Types:
    types: _Types = {}
    for item in transforms:
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


def _additional(own: Additional, types: _Types, first: int) -> Rounds | None:
    """The additional key exchanges beside the method `first`, or None when one does not fit."""
    used, found = {first}, []
    for number, kind in enumerate(ADDITIONAL_TYPES, 1):
        choices = own[number - 1] if number <= len(own) else ()
        if kind not in types:
            if choices and NO_KEY_EXCHANGE not in choices:
                return None
            continue
        free = (method for method in choices or (NO_KEY_EXCHANGE,) if method not in used or method == NO_KEY_EXCHANGE)
        chosen = next((method for method in free if (method, None) in types[kind]), None)
        if chosen is None:
            return None
        used.add(chosen)
        found.append((number, chosen))
    return tuple(found)


def _integrity_fits(cipher: Encryption, own: Iterable[Integrity], types: _Types) -> tuple[bool, Integrity | None]:
    """Whether integrity can be settled, and how: an AEAD takes none, which an offer says by silence or by NONE."""
    offered = types.get(TransformType.INTEG, set())
    if cipher.aead:
        return TransformType.INTEG not in types or _NONE in offered, None
    found = _first_integrity(own, offered)
    return found is not None, found


def _remembered(settle: _Settle[_Own, _P, _Suite]) -> _Settle[_Own, _P, _Suite]:
    """Peers of one kind offer the same, so most have been answered before; a long offer is not worth the memory."""
    known = lru_cache(_REMEMBERED)(settle)

    def look(own: _Own, offered: tuple[Transform, ...], /, *more: _P.args, **named: _P.kwargs) -> _Suite:
        return (known if len(offered) <= _USUAL else settle)(own, offered, *more, **named)

    return look


@_remembered
def _ike_suite(own: IkeProposal, offered: tuple[Transform, ...], sent: int | None) -> IkeSuite | None:
    types = _by_type(offered)
    if not types.keys() <= _IKE_TYPES:
        return None
    cipher = _first_cipher(own.encryptions, types.get(TransformType.ENCR, set()))
    method = _first_method(own.key_exchanges, types.get(TransformType.KE, set()), sent)
    prfs = types.get(TransformType.PRF, set())
    prf = next((item for item in own.prfs if (item.id, None) in prfs), None)
    if cipher is None or method is None or prf is None:
        return None
    rounds = _additional(own.additional, types, method)
    fits, mac = _integrity_fits(cipher, own.integrities, types)
    return IkeSuite(cipher, mac, prf, method, rounds) if fits and rounds is not None else None


@_remembered
def _esp_suite(
    own: EspProposal, offered: tuple[Transform, ...], with_key_exchange: bool, sent: int | None
) -> EspSuite | None:
    types = _by_type(offered)
    if not types.keys() <= _ESP_TYPES:
        return None
    cipher = _first_cipher(own.encryptions, types.get(TransformType.ENCR, set()))
    # RFC 7296 section 3.3.3 wants the ESN transform in every ESP proposal; silence is read as "no extended numbers".
    numbers = types.get(TransformType.ESN, {_NONE})
    esn = next((wanted for wanted in own.esn if (int(wanted), None) in numbers), None)
    method: int | None = NO_KEY_EXCHANGE
    if with_key_exchange:
        method = _first_method(own.key_exchanges or (NO_KEY_EXCHANGE,), types.get(TransformType.KE, {_NONE}), sent)
    rounds: Rounds | None = ()
    if with_key_exchange and method is not None:
        rounds = _additional(own.additional, types, method)
    if cipher is None or esn is None or method is None or rounds is None:
        return None
    fits, mac = _integrity_fits(cipher, own.integrities, types)
    return EspSuite(cipher, mac, esn, method or None, rounds) if fits else None
