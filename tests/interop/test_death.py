"""One side is killed without a farewell: the other notices (RFC 7296 section 2.4), and a new start replaces the old."""

import pytest

from rhp.lab.lab import Lab
from rhp.lab.meeting import meet
from rhp.lab.process import wait_until
from rhp.lab.strongswan import SwanPrograms
from rhp.lab.topology import cable

pytestmark = pytest.mark.interop

GIVEN_UP = 31.5
"""Seconds for which rhp repeats itself to a silent peer."""


def start(lab, programs, *, dpd_delay="1s"):
    """Who is killed and comes back is to be believed at once, so strongSwan heeds INITIAL_CONTACT."""
    theirs = {"dpd_delay": dpd_delay, "unique": "no"}
    # It gives up after 11 s.
    settings = {"retransmit_timeout": "0.5", "retransmit_tries": 4}
    return meet(lab, cable(lab), programs, ours={"dpd_delay": 1}, theirs=theirs, settings=settings)


@pytest.fixture(scope="session", autouse=True)
def dying(newest):
    """A strongSwan of each version, killed before anything else here is done: to notice takes its time."""
    with Lab() as old_lab, Lab() as new_lab:
        both = [start(old_lab, SwanPrograms.installed()), start(new_lab, newest)]
        for met in both:
            met.establish("rhp")
            met.swan.kill()
        yield both


@pytest.fixture
def met(programs):
    with Lab() as lab:
        yield start(lab, programs)


def test_strongswan_notices_that_rhp_is_dead(feature, met):
    with feature("DPD by strongSwan after a kill -9 of rhp", role="responder", peer=met.swan):
        met.establish("rhp")
        met.node.kill()
        wait_until(lambda: not met.swan.sas(), 60, "strongSwan giving rhp up")
        met.node.start()
        met.establish("rhp")
        assert met.alone()


def dies_and_calls_again(met, name, program):
    """Nobody has noticed by then; one IKE SA is left all the same."""
    met.establish(name)
    program.kill()
    program.start()
    met.establish(name)
    assert met.alone()


def test_rhp_comes_back_before_it_was_missed(feature, programs):
    """Only what it says itself has strongSwan let go of the old IKE SA, which does not look for life by itself."""
    with Lab() as lab:
        met = start(lab, programs, dpd_delay="0s")
        with feature("INITIAL_CONTACT after a kill -9 of rhp", role="initiator", peer=met.swan):
            dies_and_calls_again(met, "rhp", met.node)


def test_strongswan_comes_back_before_it_was_missed(feature, met):
    with feature("INITIAL_CONTACT after a kill -9 of strongSwan", role="responder", peer=met.swan):
        dies_and_calls_again(met, "strongSwan", met.swan)
        assert met.entry()["peers"] == 1


def test_rhp_notices_that_strongswan_is_dead(feature, dying):
    for met in dying:
        with feature("DPD by rhp after a kill -9 of strongSwan", role="initiator", peer=met.swan):
            gone = met.node.wait_connection(met.name, lambda entry: entry["state"] != "established", GIVEN_UP + 60)
            assert gone["children"] == []
            met.swan.start()
            met.establish("rhp")
