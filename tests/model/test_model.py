"""Random lives of two engines: a short form of `make model`, which goes on for as long as it is told to."""

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from machine import TwoEngines

SHORT = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_two_engines_come_to_rest():
    # Always the same lives, so that a change that breaks one is told apart from bad luck.
    seed(1)(run_state_machine_as_test)(TwoEngines, settings=SHORT)


def test_an_update_that_crosses_a_reauthentication():
    """A life that `make model` met: the update, on the old IKE SA, has the answering side take the new one along."""
    state = TwoEngines()
    ciphers = (("aes128gcm16-prfsha256-x25519",), ("aes128gcm16",))
    state.begin(seed=0, lanes=(1, 1), timed=False, suites=(ciphers, ciphers), size=0)
    state.move(where=(0,), who="a")
    state.rekey_child(pick=0, who="a")
    state.delete_child(pick=0, who="a")
    state.move(where=(0,), who="a")
    state.reauthenticate(pick=0, who="b")
    state.delete_child(pick=0, who="a")
    state.move(where=(1,), who="a")
    for _ in range(2):
        state.replay(pick=0)
    state.reauthenticate(pick=0, who="a")
    state.replay(pick=0)
    state.rekey_child(pick=0, who="a")
    for _ in range(12):
        state.replay(pick=0)
    state.replay(pick=7)
    state.move(where=(1,), who="b")
    state.replay(pick=0)
    state.move(where=(0, 1), who="b")
    state.move(where=(1, 0), who="a")
    state.teardown()
