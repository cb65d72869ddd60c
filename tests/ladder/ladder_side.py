"""One node of a ladder test: an engine, its guard, and a data plane that remembers.

Every effect is checked against what was there before: what is removed must have been installed, what is installed must
be new, and a lineage must always have a pair to send on.
"""

import random
from dataclasses import replace
from datetime import timedelta

from ladder_world import EPOCH

from rhp.guard.protocol import CheckPsk, ProvePsk, SignOctets
from rhp.guard.secrets import SecretStore
from rhp.ike.effects import ActivateSA, Emit, InstallSA, KeepAlive, MigrateSA, RemoveSA
from rhp.ike.engine import Engine
from rhp.ike.path import Endpoint, Path


class Side:
    """An engine and what it has asked for so far. `sas` maps inbound SPIs to the pairs that are installed."""

    def __init__(self, name, address, engine_config, policy, clock, seed):
        self.name, self.address, self.config = name, address, engine_config
        self._spis = iter(range(0x1000 * (ord(name) - ord("a") + 1), 1 << 31))
        self._clock = clock
        self.years = timedelta()
        self._chance = random.Random(f"{seed} {name}")
        self.guard = SecretStore(policy)
        self.gone = []
        self.events = []
        self.keepalives = []
        self.migrations = []
        self.guard_waits = False
        self.restart()

    def restart(self):
        """The program dies and starts again: nothing of its SAs is left, and nobody was told."""
        self.sas = {}
        self.questions = []
        self.engine = Engine(
            self.config,
            allocate_spi=lambda: next(self._spis),
            wall_clock=self._date,
            random=self._chance.randbytes,
        )

    def _date(self):
        return EPOCH + timedelta(seconds=self._clock()) + self.years

    def answer_guard(self, question):
        match question:
            case SignOctets():
                return self.guard.sign(question)
            case ProvePsk():
                return self.guard.prove(question)
            case CheckPsk():
                return self.guard.check(question)
        raise TypeError(question)

    def apply(self, effect):
        """Carry out an effect that concerns this side alone."""
        match effect:
            case InstallSA():
                self._install(effect)
            case RemoveSA():
                self._remove(effect)
            case ActivateSA():
                assert not self.sas[effect.spi_in].outbound_active, "activated twice"
                self.sas[effect.spi_in] = replace(self.sas[effect.spi_in], outbound_active=True)
            case MigrateSA():
                self.migrations.append(effect)
                self.sas[effect.spi_in] = replace(
                    self.sas[effect.spi_in], path=effect.path, encapsulation=effect.encapsulation
                )
            case KeepAlive():
                self.keepalives.append(effect)
            case Emit():
                self.events.append(effect.event)
            case _:
                raise TypeError(effect)

    def _install(self, effect):
        assert effect.spi_in not in self.sas, "an inbound SPI was installed twice"
        assert effect.replaces is None or effect.replaces in self.sas, "the pair replaced is not there"
        lineage = [sa for sa in self.sas.values() if sa.child_id == effect.child_id]
        assert bool(lineage) == (effect.replaces is not None), "a lineage begins once"
        used = [old for old in [*self.sas.values(), *self.gone] if old.encr_out == effect.encr_out]
        assert not used, "keys were installed twice"
        self.sas[effect.spi_in] = effect

    def _remove(self, effect):
        assert effect.spi_in in self.sas, "a pair was removed that is not there"
        old = self.sas.pop(effect.spi_in)
        assert old.child_id == effect.child_id
        rest = [sa for sa in self.sas.values() if sa.child_id == effect.child_id]
        assert effect.last == (not rest), "`last` must tell whether the lineage ends"
        assert not rest or any(sa.outbound_active for sa in rest), "a lineage must have somewhere to send"
        self.gone.append(old)

    def path_to(self, other, natt=False):
        port = 4500 if natt else 500
        return Path(Endpoint(self.address, port), Endpoint(other.address, port), natt)

    def happened(self, *kinds):
        """The events of these classes, in order."""
        return [event for event in self.events if isinstance(event, kinds)]

    def count(self, name):
        return self.engine.counters.get(name, 0)

    @property
    def table(self):
        return self.engine._ctx.table

    def states(self):
        return [status.state for status in self.engine.status()]

    def status(self):
        """The one IKE SA there is."""
        (found,) = self.engine.status()
        return found

    def sa(self):
        """The one IKE SA there is, from within the engine."""
        return self.table.by_id(self.status().ike_id)

    def child(self):
        """The one pair of ESP SAs there is."""
        (found,) = self.sas.values()
        return found

    def check_empty(self):
        """Nothing is left: no SA, no timer, no waiting work, no installed pair."""
        table = self.table
        assert self.sas == {}
        assert self.engine.status() == []
        left = {
            name: getattr(table, name)
            for name in ("_by_spi", "_by_id", "_children", "_lineages", "_peers", "_first_messages", "tombstones")
            if getattr(table, name)
        }
        assert left == {}
        assert table.half_open == 0
        assert self.engine._ctx.pending == {}
        assert len(self.engine._ctx.timers) == 0
        assert self.engine.next_deadline() is None

    def sizes(self):
        """How much the engine keeps, to see that it does not grow."""
        table, ctx = self.table, self.engine._ctx
        return {
            "ike": len(table._by_spi),
            "ids": len(table._by_id),
            "children": len(table._children),
            "lineages": len(table._lineages),
            "peers": sum(map(len, table._peers.values())),
            "first": len(table._first_messages),
            "tombstones": len(table.tombstones),
            "pending": len(ctx.pending),
            "timers": len(ctx.timers),
            "installed": len(self.sas),
        }
