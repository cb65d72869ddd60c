"""What every SA and every task of one engine shares: configuration, chance, time to come, and the way out.

The context decides nothing. Whoever decides calls `do` with an effect, `emit` with an event or `count` with a reason.
"""

import traceback
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rhp.ike.config import EngineConfig
from rhp.ike.cookies import CookieJar
from rhp.ike.effects import Effect, Emit
from rhp.ike.events import EngineFault, Event
from rhp.ike.limiter import Limiter
from rhp.ike.table import SaTable
from rhp.ike.timers import Timers

if TYPE_CHECKING:
    from rhp.ike.lifetimes import Upkeep
    from rhp.ike.turn import Turn, Work

_FRACTION = float(1 << 32)


class Context:
    """One engine's shared state. `pending` holds the work that waits for a guard's answer, by request id."""

    __slots__ = (
        "_ids",
        "allocate_spi",
        "answers",
        "config",
        "cookies",
        "counters",
        "effects",
        "pending",
        "random",
        "table",
        "timers",
        "upkeep",
        "wall_clock",
    )

    def __init__(
        self,
        config: EngineConfig,
        allocate_spi: Callable[[], int],
        wall_clock: Callable[[], datetime],
        random: Callable[[int], bytes],
        upkeep: "Upkeep",
    ) -> None:
        self.config = config
        self.allocate_spi = allocate_spi
        self.wall_clock = wall_clock
        self.random = random
        self.upkeep = upkeep
        self.counters: Counter[str] = Counter()
        self.effects: list[Effect] = []
        self.timers = Timers()
        self.table = SaTable()
        self.cookies = CookieJar(random, config.cookie_lifetime)
        self.answers = Limiter(config.answer_rate)
        self.pending: dict[int, tuple[Turn, Work]] = {}
        self._ids = 0

    def next_id(self) -> int:
        """A number that this engine never gave before: for IKE SAs, children and guard requests alike."""
        self._ids += 1
        return self._ids

    def do(self, effect: Effect) -> None:
        """Have something done, after everything asked before."""
        self.effects.append(effect)

    def emit(self, event: Event) -> None:
        """Tell what happened."""
        self.effects.append(Emit(event))

    def count(self, name: str) -> None:
        """Count a reason by its kebab-case name."""
        self.counters[name] += 1

    def fault(self, ike_id: int, error: Exception) -> None:
        """A bug of ours: say where, without the values, and go on."""
        self.count("internal-error")
        places = traceback.extract_tb(error.__traceback__)[-3:]
        where = " < ".join(f"{place.name} ({Path(place.filename).name}:{place.lineno})" for place in reversed(places))
        # Only the texts of this package's own RuntimeErrors are known to hold no value from the network.
        what = f"RuntimeError: {error}" if type(error) is RuntimeError else type(error).__name__
        self.emit(EngineFault(ike_id, f"{what} in {where}"))

    def uniform(self) -> float:
        """A random share, 0 up to but not including 1."""
        return int.from_bytes(self.random(4)) / _FRACTION

    def new_ike_spi(self) -> bytes:
        """A fresh SPI of our own for an IKE SA: eight octets, not zero, unique among the living."""
        while True:
            spi = self.random(8)
            if any(spi) and not self.table.knows(spi):
                return spi
