"""Eight rounds of faults under traffic; `make faults` plays fifty, and says what a round is."""

import pytest
from deck import SHORT
from office import Office
from rounds import play, summary

pytestmark = pytest.mark.netns


def test_rounds_of_faults_end_with_all_tunnels_up_and_nothing_leaked(lab):
    office = Office(lab)
    played, memory = play(office, SHORT, "short")
    print(*summary(office, played, memory), sep="\n")
    assert len(played) == len(SHORT)
