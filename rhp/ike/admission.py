"""The rule by which strangers are let in, so that an edge can apply it before the engine hears of them.

A flood is turned away by native code (rhp/_fast/admission.pyx), which is told `Admission` and nothing else. The engine
judges again whatever enters, by the same rule, and so needs no such edge to be safe; only to be quick.

Our own IKE SPIs bear a mark: four octets of chance, then four of a keyed hash over them. So an edge that knows the key
and no table tells the messages of IKE SAs that we may have from those of anybody who makes up an SPI.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2s

_KEY_OCTETS = 32
_CHANCE_OCTETS = 4
_MARK_OCTETS = 4


@dataclass(frozen=True, slots=True)
class Admission:
    """What begins an IKE SA needs a cookie if `always`, else beyond `rate` a second (RFC 7296 section 2.6).

    `newest` is the secret of number `number` that cookies are baked with, `before` the one before it, whose cookies
    are still good (rhp.ike.cookies). `mark` is the key of our SPIs' mark. Each secret has 32 octets.
    """

    always: bool
    rate: int
    number: int
    newest: bytes = field(repr=False)
    before: bytes | None = field(repr=False)
    mark: bytes = field(repr=False)


class SpiMint:
    """Makes IKE SPIs that bear our mark. The mark is no secret, and nothing rests on it but who is heard first."""

    __slots__ = ("_random", "key")

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self.key = random(_KEY_OCTETS)

    def strike(self) -> bytes:
        """Eight octets, of which the first four are chance."""
        chance = self._random(_CHANCE_OCTETS)
        return chance + blake2s(chance, key=self.key, digest_size=_MARK_OCTETS).digest()
