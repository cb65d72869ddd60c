"""What every SA and every task of one engine shares: configuration, chance, time to come, and the way out.

The context decides nothing. Whoever decides calls `do` with an effect, `emit` with an event or `count` with a reason.
"""

import pathlib
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from rhp.ike.admission import Admission, SpiMint
from rhp.ike.config import EngineConfig
from rhp.ike.cookies import CookieJar
from rhp.ike.directory import Directory
from rhp.ike.effects import Effect, Emit, Send
from rhp.ike.events import EngineFault, Event
from rhp.ike.fragments import Shelves
from rhp.ike.limiter import Limiter
from rhp.ike.path import IpAddress, Path
from rhp.ike.resumed import HeldTicket
from rhp.ike.spent import SpentTickets
from rhp.ike.table import SaTable
from rhp.ike.timers import Timers
from rhp.ike.vault import Vault
from rhp.pki.verified import VerifiedChains
from rhp.realm.pools import Pools

if TYPE_CHECKING:
    from rhp.ike.assignment import Assignment
    from rhp.ike.lifetimes import Upkeep
    from rhp.ike.redirection import Gateway
    from rhp.ike.turn import Turn, Work

_FRACTION = float(1 << 32)

SourceOf = Callable[[IpAddress], IpAddress | None]


def no_route(remote: IpAddress) -> None:
    """For who has no routing table: whatever address is there will do."""


class Context:
    """One engine's shared state. `pending` holds the work that waits for a guard's answer, by request id;
    `had` what each connection was assigned last, to ask for it again.

    `addresses` are this machine's, None while nobody has told them.
    """

    __slots__ = (
        "_directory",
        "_ids",
        "_rule",
        "addresses",
        "allocate_spi",
        "answers",
        "begins",
        "chains",
        "config",
        "cookies",
        "counters",
        "effects",
        "followed",
        "fragments",
        "had",
        "held",
        "pending",
        "pools",
        "random",
        "redirects",
        "source_of",
        "spent",
        "spis",
        "strays",
        "table",
        "timers",
        "upkeep",
        "vault",
        "wall_clock",
    )

    def __init__(
        self,
        config: EngineConfig,
        allocate_spi: Callable[[int], int],
        wall_clock: Callable[[], datetime],
        random: Callable[[int], bytes],
        upkeep: "Upkeep",
        source_of: SourceOf = no_route,
    ) -> None:
        self.config = config
        self._directory = Directory()
        self.allocate_spi = allocate_spi
        self.wall_clock = wall_clock
        self.random = random
        self.upkeep = upkeep
        self.source_of = source_of
        self.addresses: tuple[IpAddress, ...] | None = None
        self.counters: Counter[str] = Counter()
        self.effects: list[Effect] = []
        self.timers = Timers()
        self.fragments = Shelves(self.timers)
        self.table = SaTable()
        self.cookies = CookieJar(random, config.cookie_lifetime)
        self.answers = Limiter(config.answer_rate)
        # Apart, so that a stream of lost ESP does not silence the answer that tells its sender why it is lost.
        self.strays = Limiter(config.answer_rate)
        self.vault: Vault | None = None
        self.held: dict[str, HeldTicket] = {}
        self.spent = SpentTickets()
        self.redirects: dict[str, Gateway] = {}
        self.followed: dict[str, tuple[float, ...]] = {}
        self.begins = Limiter(config.init_rate)
        self.spis = SpiMint(random)
        self.chains = VerifiedChains()
        self._rule: Admission | None = None
        self.pending: dict[int, tuple[Turn, Work]] = {}
        self.pools = Pools(config.pools)
        self.had: dict[str, Assignment] = {}
        self._ids = 0

    @property
    def directory(self) -> Directory:
        """The connections of the configuration, to find one by what a peer says."""
        if self._directory.connections is not self.config.connections:
            self._directory = Directory(self.config.connections)
        return self._directory

    def cookie_wanted(self, now: float) -> bool:
        """Whether one more first message has to bring a cookie; it counts (RFC 7296 section 2.6)."""
        in_rate = self.begins.allow(now)
        return not in_rate or self.table.half_open >= self.config.cookie_threshold

    def admission(self, now: float) -> Admission:
        """The rule for strangers; the same object as long as it does not change."""
        config = self.config
        always = self.table.half_open >= config.cookie_threshold
        rule = Admission(always, config.init_rate, *self.cookies.secrets(now), self.spis.key)
        if rule != self._rule:
            self._rule = rule
        return self._rule or rule

    def next_id(self) -> int:
        """A number that this engine never gave before: for IKE SAs, children and guard requests alike."""
        self._ids += 1
        return self._ids

    def do(self, effect: Effect) -> None:
        """Have something done, after everything asked before."""
        self.effects.append(effect)

    def send(self, datagrams: Iterable[bytes], path: Path) -> None:
        """Have a message sent: one datagram, or its fragments."""
        for datagram in datagrams:
            self.effects.append(Send(datagram, path))

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
        names = [f"{place.name} ({pathlib.Path(place.filename).name}:{place.lineno})" for place in reversed(places)]
        where = " < ".join(names)
        # Only the texts of this package's own RuntimeErrors are known to hold no value from the network.
        what = f"RuntimeError: {error}" if type(error) is RuntimeError else type(error).__name__
        self.emit(EngineFault(ike_id, f"{what} in {where}"))

    def uniform(self) -> float:
        """A random share, 0 up to but not including 1."""
        return int.from_bytes(self.random(4)) / _FRACTION

    def new_ike_spi(self) -> bytes:
        """A fresh SPI of our own for an IKE SA: eight octets, not zero, unique among the living."""
        while True:
            spi = self.spis.strike()
            if any(spi) and not self.table.knows(spi):
                return spi
