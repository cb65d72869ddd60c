"""The gate before the engine, kept at the engine's own rule.

`rhp._fast.gate` reads the IKE ports and turns strangers away or asks them for a cookie; what enters is handed on. The
rule is asked for before each turn, for the number of half-open SAs, the secrets and the configuration change it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rhp.ike.admission import Admission
from rhp.net.udp import Read

if TYPE_CHECKING:
    from rhp._fast.gate import Arrival, Gate


class Gatekeeper:
    """Gives each socket its reader. `admission(now)` is the engine's, `clock` gives the engine's time."""

    def __init__(self, gate: Gate, admission: Callable[[float], Admission], clock: Callable[[], float]) -> None:
        self._gate = gate
        self._admission = admission
        self._clock = clock
        self._rule: Admission | None = None

    def reader(self, *, natt: bool) -> Read:
        """The reader of a socket of the IKE port, or of the NAT-T port, where each message stands behind a marker."""

        def read(fd: int, port: int) -> list[Arrival]:
            self._follow()
            return self._gate.read(fd, port, natt)

        return read

    def _follow(self) -> None:
        rule = self._admission(self._clock())
        if rule is not self._rule:
            self._rule = rule
            self._gate.set_rule(rule.always, rule.number, rule.newest, rule.before, rule.mark, rule.rate)
