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
