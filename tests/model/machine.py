"""Two engines, and everything that may happen to them in any order.

The machine holds no model of what ought to happen on the way: with messages lost, late and twice, almost anything may.
What it knows is how things must stand whenever it looks (`check_now`), and how they must have come to stand once the
network has been good for a while (`check_rest`).
"""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from ladder_net import A, B, LadderNet, check_traffic
from ladder_roam import A2, B2, has
from ladder_world import ESP_PROPOSAL, IKE_PROPOSAL, child, config, connection

from rhp.ike.config import EngineConfig
from rhp.ike.errors import LocalError
from rhp.ike.lifetimes import PEER_FIRST

HYBRID_IKE = f"{IKE_PROPOSAL}-ke1_mlkem768"
HYBRID_ESP = f"{ESP_PROPOSAL}-x25519-ke1_ecp256-ke2_mlkem768"
PLAIN = ((IKE_PROPOSAL,), (ESP_PROPOSAL,))
HYBRID = ((HYBRID_IKE,), (HYBRID_ESP,))
EITHER = ((HYBRID_IKE, IKE_PROPOSAL), (HYBRID_ESP, ESP_PROPOSAL))
SUITES = [(PLAIN, PLAIN), (HYBRID, HYBRID), (HYBRID, HYBRID), (EITHER, tuple(one[::-1] for one in EITHER))]
"""What a and b propose for the IKE SA and for the child, the preferred one first."""
SIDES = st.sampled_from("ab")
REKEYS = st.sampled_from(["rekey_child", "rekey_ike"])
HOMES = {"a": (A, A2), "b": (B, B2)}
CHOICE = st.integers(0, 9)
PATIENCE = 400.0
"""Seconds: a silent peer is asked (90), given up (31.5), and what was replaced is reaped (60), one after the other."""
SETTLING = 15.0
MOST_IN_FLIGHT = 60
MOST_PAIRS = 2 * EngineConfig().max_children
"""What an IKE SA may have at most, while its pairs are being replaced."""
FEW_PAIRS = 10


class TwoEngines(RuleBasedStateMachine):
    """Rules are what people, time and the network do."""

    @initialize(
        seed=st.integers(0, 2**16),
        lanes=st.sampled_from([(1, 1), (1, 1), (2, 1), (2, 3)]),
        timed=st.booleans(),
        suites=st.sampled_from(SUITES),
        size=st.sampled_from([0, 600, 1280]),
    )
    def begin(self, seed, lanes, timed, suites, size):
        """Two nodes with a tunnel, whose lifetimes may be so short that time brings rekeys of its own.

        With several key exchanges for each SA, and long messages in fragments, there is more to lose and to mix up.
        Where each side prefers something else, the rekeys of one have further key exchanges, and the other's have none.
        """
        short = {"rekey_time": 170.0, "life_time": 230.0, "reauth_time": 410.0} if timed else {}
        lives = {"rekey_time": 70.0, "life_time": 100.0} if timed else {}
        a, b = (
            config(
                connection(own, peer, ike=ike, children=(child(esp=esp, **lives),), **short),
                lanes=count,
                fragment_size=size,
            )
            for own, peer, count, (ike, esp) in zip(("a@x", "b@x"), ("b@x", "a@x"), lanes, suites, strict=True)
        )
        self.net = LadderNet(a, b, seed=seed)
        for who, homes in HOMES.items():
            has(self.net, getattr(self.net, who), homes[0])
        self.net.establish()

    # What people want.

    @rule(who=SIDES)
    def call_the_peer(self, who):
        side = getattr(self.net, who)
        if not side.engine.status():
            self.net.initiate(side)

    @rule(who=SIDES, pick=CHOICE)
    def rekey_child(self, who, pick):
        self._wish(who, "rekey_child", self._child(who, pick))

    @rule(who=SIDES, pick=CHOICE)
    def delete_child(self, who, pick):
        self._wish(who, "delete_child", self._child(who, pick))

    @rule(who=SIDES, pick=CHOICE)
    def create_child(self, who, pick):
        side = getattr(self.net, who)
        wishes = sum(len(sa.queue or ()) for sa in side.table.sas())
        if len(side.sas) + wishes < FEW_PAIRS:
            self._wish(who, "create_child", self._ike(who, pick), "ethernet")

    @rule(who=SIDES, pick=CHOICE)
    def rekey_ike(self, who, pick):
        self._wish(who, "rekey_ike", self._ike(who, pick))

    @rule(of_a=REKEYS, of_b=REKEYS, pick=CHOICE, good=st.integers(0, 8))
    def both_rekey(self, of_a, of_b, pick, good):
        """At the same moment, and so many messages arrive: by chance alone that is rare."""
        self.net.settle()
        for who, verb in (("a", of_a), ("b", of_b)):
            self._wish(who, verb, (self._child if verb == "rekey_child" else self._ike)(who, pick))
        for _ in range(good):
            if self.net.flight:
                self.net.deliver()

    @rule(who=SIDES, pick=CHOICE)
    def reauthenticate(self, who, pick):
        self._wish(who, "reauthenticate", self._ike(who, pick))

    @rule(who=SIDES, pick=CHOICE)
    def close(self, who, pick):
        self._wish(who, "close", self._ike(who, pick))

    # What the network does.

    @precondition(lambda self: self.net.flight)
    @rule(pick=CHOICE)
    def deliver(self, pick):
        self.net.deliver(pick % len(self.net.flight))

    @precondition(lambda self: self.net.flight)
    @rule()
    def deliver_all(self):
        self.net.settle()

    @precondition(lambda self: self.net.flight)
    @rule(pick=CHOICE)
    def lose(self, pick):
        self.net.drop(pick % len(self.net.flight))

    @precondition(lambda self: self.net.flight)
    @rule(pick=CHOICE)
    def double(self, pick):
        self.net.hand_over(self.net.flight[pick % len(self.net.flight)], "and will come again")

    @rule(pick=CHOICE)
    def replay(self, pick):
        """Somebody sends an old message again."""
        recent = self.net.sent[-10:]
        self.net.hand_over(recent[pick % len(recent)], "recorded before")

    @rule(who=SIDES)
    def packets_pass(self, who):
        """ESP of a side reaches the other one, whose data plane tells of the first on a new pair."""
        side = getattr(self.net, who)
        other = self.net.other(side)
        for pair in list(side.sas.values()):
            if pair.outbound_active and pair.spi_out in other.sas:
                self.net.call(other, "first_inbound", pair.spi_out)

    # What time and misfortune do.

    @rule(seconds=st.sampled_from([0.1, 0.6, 2.0, 7.0, 40.0]))
    def wait(self, seconds):
        """Time passes, and nothing is delivered."""
        self.net.advance(seconds, settle=False)
        del self.net.flight[:-MOST_IN_FLIGHT]

    @rule(who=SIDES, slow=st.booleans())
    def guard_takes_its_time(self, who, slow):
        side = getattr(self.net, who)
        side.guard_waits = slow
        if not slow:
            self.net.answer_guards(side)

    @rule(who=SIDES, where=st.sampled_from([(0,), (1,), (0, 1), (1, 0), ()]))
    def move(self, who, where):
        """A side has other addresses from now on, perhaps none."""
        has(self.net, getattr(self.net, who), *(HOMES[who][number] for number in where))

    @rule(who=SIDES)
    def die(self, who):
        """A program ends without a word and starts anew, with nothing of its SAs."""
        side = getattr(self.net, who)
        side.restart()
        side.guard_waits = False
        has(self.net, side, *side.here)

    @invariant()
    def check_now(self):
        """Whatever has happened: no bug of ours, no pair without its SA, nothing that grows."""
        if not hasattr(self, "net"):
            return
        self.net.check_no_faults()
        for side in self.net.sides:
            assert set(side.sas) == set(side.table._children), "the data plane and the engine disagree"
            assert len(side.sas) <= MOST_PAIRS
            assert side.table.half_open >= 0

    def teardown(self):
        """The network is good again, and some minutes pass."""
        if not hasattr(self, "net"):
            return
        for side in self.net.sides:
            side.guard_waits = False
            self.net.answer_guards(side)
            if not side.here:
                has(self.net, side, HOMES[side.name][0])
        self.net.settle()
        self.net.advance(PATIENCE)
        if any(self._is_young(side) for side in self.net.sides):
            # Pairs for further lanes take a moment after a reauthentication.
            self.net.advance(SETTLING)
        try:
            self.check_rest()
        except BaseException:
            print(self.net.diagram())
            raise

    def check_rest(self):
        """Both sides agree, nothing is left over, and traffic passes."""
        net = self.net
        self.check_now()
        assert net.flight == []
        assert ike_spis(net.a) == ike_spis(net.b), "the sides have different IKE SAs"
        assert len(ike_spis(net.a)) <= 1, "two IKE SAs with one peer"
        for side, other in ((net.a, net.b), (net.b, net.a)):
            self._check_side(side, other)

    def _check_side(self, side, other):
        assert {pair.spi_out for pair in side.sas.values()} == set(other.sas), "a pair has no other half"
        lineages = [pair.child_id for pair in side.sas.values()]
        assert len(lineages) == len(set(lineages)), "two pairs of one Child SA"
        states = {one.state for status in side.engine.status() for one in status.children}
        assert states <= {"installed"}, "something is still under way"
        assert set(side.states()) <= {"established"}
        sizes = side.sizes()
        assert sizes["ike"] == sizes["ids"] == len(side.states()), "an IKE SA that nobody needs"
        assert sizes["pending"] == sizes["first"] == side.table.half_open == 0
        for pair in side.sas.values():
            mirror = other.sas[pair.spi_out]
            assert pair.path.local.ip in side.here, "a pair begins where nobody is"
            assert (pair.path.local, pair.path.remote) == (mirror.path.remote, mirror.path.local), "they go elsewhere"
            assert pair.outbound_active or self._awaits_peer(side, pair), "a pair that nobody sends on"
            check_traffic(pair, other.sas[pair.spi_out])

    def _wish(self, who, verb, *args):
        if args[0] is None:
            return
        try:
            self.net.call(getattr(self.net, who), verb, *args)
        except LocalError:
            # The engine says that it cannot be done now, which is an answer.
            self.net.collect(getattr(self.net, who))

    def _awaits_peer(self, side, pair):
        """A pair for a further lane that the peer asked for: it has some time to install it, and others carry all."""
        age = self.net.now - side.table.child_by_spi(pair.spi_in).created_at
        return pair.lane is not None and age < PEER_FIRST

    def _is_young(self, side):
        return any(self.net.now - (one.established_at or 0.0) < SETTLING for one in side.engine.status())

    def _ike(self, who, pick):
        found = getattr(self.net, who).engine.status()
        return found[pick % len(found)].ike_id if found else None

    def _child(self, who, pick):
        found = [one.child_id for status in getattr(self.net, who).engine.status() for one in status.children]
        return found[pick % len(found)] if found else None


def ike_spis(side):
    """The SPIs of a side's IKE SAs."""
    return sorted((one.spi_i, one.spi_r) for one in side.engine.status())
