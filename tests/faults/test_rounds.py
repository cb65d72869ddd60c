"""Eight rounds of faults under traffic; `make faults` plays fifty, and says what a round is."""

import pytest
from books import books, difference, strangers
from deck import SHORT
from office import Office
from rounds import play, summary

from rhp.lab.process import wait_until
from rhp.lab.programs import find

pytestmark = pytest.mark.netns


def test_rounds_of_faults_end_with_all_tunnels_up_and_nothing_leaked(lab):
    office = Office(lab)
    played, memory = play(office, SHORT, "short")
    print(*summary(office, played, memory), sep="\n")
    assert len(played) == len(SHORT)
    what_leaks_is_found(lab, office)


def what_leaks_is_found(lab, office):
    """What a node might leave behind is left behind, and each of it stands in the books' difference."""
    host, before = office.gate_host, books(office)
    host.ip("link add left0 type bridge", "route add 10.99.0.0/24 dev eth0", "rule add from 10.99.0.1 table 99")
    host.run([find("nft"), "add", "table", "inet", "left"])
    office.names["road"].path.write_text("nameserver 192.0.2.99\n")
    (office.gate.node.folder / "run" / "left").touch()
    left = lab.keep(host.start(["sleep", "infinity"], lab.path("left")))
    wait_until(lambda: strangers(host, set(host.processes()) - {left.pid}) == ["sleep infinity "], 30, "the stranger")
    found = "\n".join(difference(before, books(office)))
    for words in (
        "gate, links: new ifname=left0",
        "gate, routes: new 10.99.0.0/24 dev eth0",
        "from 10.99.0.1 lookup 99",
        "gate, nftables: new table inet left",
        "road, names: new nameserver 192.0.2.99",
        "gate, files: new run/left",
        "gate, processes: new sleep infinity",
    ):
        assert words in found
