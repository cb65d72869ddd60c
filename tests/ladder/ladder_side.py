"""One node of a ladder test: an engine, its guard, and a data plane that remembers.

Every effect is checked against what was there before: what is removed must have been installed, what is installed must
be new, and a lineage must always have a pair to send on.
"""

import random
from dataclasses import replace
from datetime import timedelta

from ladder_world import EPOCH

from rhp.crypto.secret import Secret
from rhp.guard.protocol import CheckPsk, FingerprintSecrets, MixPpk, ProvePsk, SignOctets
from rhp.guard.secrets import SecretStore
from rhp.ike.effects import ActivateSA, DeactivateSA, Emit, InstallSA, KeepAlive, MigrateSA, RemoveSA
from rhp.ike.engine import Engine
from rhp.ike.path import Endpoint, Path
from rhp.ike.vault import TicketKey, Vault


class Side:
    """An engine and what it has asked for so far. `sas` maps inbound SPIs to the pairs that are installed.

    `lingering` are those of replaced pairs that only receive what is still under way.
    """

    def __init__(self, name, address, engine_config, policy, clock, seed):
        self.name, self.address, self.config = name, address, engine_config
        self.also = ()
        self._spis = iter(range(0x1000 * (ord(name) - ord("a") + 1), 1 << 31))
        self._clock = clock
        self.years = timedelta()
        self._chance = random.Random(f"{seed} {name}")
        self.guard = SecretStore(policy)
        self.vault = None
        self.lanes = engine_config.lanes + engine_config.spare_lanes
        self.gone = []
        self.events = []
        self.keepalives = []
        self.migrations = []
        self.guard_waits = False
        self.routes = lambda remote: next((ip for ip in self.addresses if ip.version == remote.version), None)
        self.restart()

    def keep_vault(self, *ticket_keys):
        """Give the node secrets that outlive its restarts, and begin anew with them; before anything else happens."""
        names = ticket_keys or (1,)
        keys = tuple(TicketKey(bytes((number,)) * 8, Secret(self._chance.randbytes(32))) for number in names)
        self.vault = Vault(Secret(self._chance.randbytes(32)), keys)
        self.restart()

    def restart(self):
        """The program dies and starts again: nothing of its SAs is left, and nobody was told."""
        self.sas = {}
        self.lingering = set()
        self.questions = []
        self.engine = Engine(
            self.config,
            allocate_spi=lambda lane: next(spi for spi in self._spis if spi % self.lanes == lane),
            wall_clock=self._date,
            random=self._chance.randbytes,
            vault=self.vault,
            source_of=lambda remote: self.routes(remote),
        )

    def _date(self):
        return EPOCH + timedelta(seconds=self._clock()) + self.years

    @property
    def addresses(self):
        """Where it is reached: all its addresses, the main one first."""
        return (self.address, *self.also)

    @property
    def here(self):
        """Those of them that are any; it may have none at all."""
        return tuple(ip for ip in self.addresses if not ip.is_unspecified)

    def answer_guard(self, question):
        match question:
            case SignOctets():
                return self.guard.sign(question)
            case ProvePsk():
                return self.guard.prove(question)
            case CheckPsk():
                return self.guard.check(question)
            case MixPpk():
                return self.guard.mix(question)
            case FingerprintSecrets():
                return self.guard.fingerprint(question)
        raise TypeError(question)

    def apply(self, effect):
        """Carry out an effect that concerns this side alone."""
        match effect:
            case InstallSA():
                self._install(effect)
            case DeactivateSA():
                self._take_away(effect.spi_in)
                self.lingering.add(effect.spi_in)
            case RemoveSA() if effect.spi_in in self.lingering:
                self.lingering.remove(effect.spi_in)
            case RemoveSA():
                assert self._take_away(effect.spi_in).child_id == effect.child_id
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
        assert (effect.lane is None) == (effect.group == effect.child_id), "only a pair that joins has a lane"
        assert effect.lane is None or effect.lane == effect.spi_in % self.lanes, "the SPI is another lane's"
        used = [old for old in [*self.sas.values(), *self.gone] if old.encr_out == effect.encr_out]
        assert not used, "keys were installed twice"
        self.sas[effect.spi_in] = effect

    def _take_away(self, spi_in):
        assert spi_in in self.sas, "a pair was removed that is not there"
        old = self.sas.pop(spi_in)
        rest = [sa for sa in self.sas.values() if sa.child_id == old.child_id]
        assert not rest or any(sa.outbound_active for sa in rest), "a lineage must have somewhere to send"
        self.gone.append(old)
        return old

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
        assert self.lingering == set()
        assert self.engine.status() == []
        left = {
            name: getattr(table, name)
            for name in ("_by_spi", "_by_id", "_children", "_lineages", "_peers", "_first_messages", "tombstones")
            if getattr(table, name)
        }
        assert left == {}
        assert table.half_open == 0
        shelves = self.engine._ctx.fragments
        assert len(shelves.peers) == len(shelves.strangers) == shelves.peers.held == shelves.strangers.held == 0
        assert self.engine._ctx.pending == {}
        assert len(self.engine._ctx.timers) == 0
        assert self.engine.next_deadline() is None
        assert [pool.name for pool in self.engine.pools() if pool.online] == []

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
            "fragments": len(ctx.fragments.peers) + len(ctx.fragments.strangers),
            "installed": len(self.sas) + len(self.lingering),
        }
