"""A flood of strangers harms nobody who is in, costs no memory, and keeps out nobody who can be reached.

`python -m bench.flood` measures the same at full strength.
"""

from pathlib import Path

import pytest

from rhp.lab.lab import Lab
from rhp.lab.ping import ping
from rhp.lab.siege import Siege, poured

pytestmark = pytest.mark.netns

RATE = 20_000
SECONDS = 4
GROWTH = 8_000_000


@pytest.fixture(scope="module")
def siege():
    with Lab() as lab:
        made = Siege(lab)
        # What the first visitor brings into memory is not the flood's.
        made.let_in()
        made.send_away()
        yield made
        for node in (made.gateway, made.c, made.pair.a):
            assert "Traceback" not in node.process.text()
            assert node.process.status is None


class Losses:
    """What a machine that is too busy to take its packets in loses by itself, in numbers since the beginning."""

    def __init__(self, siege):
        self._siege = siege
        self._before = self._read()

    def _read(self):
        gateway = self._siege.gateway.status()["counters"]
        repeated = gateway["engine"].get("request-repeated", 0)
        softnet = (line.split()[1] for line in Path("/proc/net/softnet_stat").read_text().splitlines())
        backlog = sum(int(dropped, 16) for dropped in softnet)
        sent_again = self._siege.c.status()["counters"]["engine"].get("retransmitted", 0)
        sockets = gateway["dataplane"]["drop-socket-full"], gateway["edges"]["gate-full"]
        return backlog, *sockets, sent_again, repeated

    def now(self):
        """Packets without a place in the kernel; ESP and IKE without one in a socket; what the friend sent again, and
        what of that had come the first time, so that nothing but the answer was slow.
        """
        return tuple(now - before for now, before in zip(self._read(), self._before, strict=True))


@pytest.mark.parametrize(("port", "kind"), [(500, "begin"), (4500, "begin"), (500, "within"), (4500, "within")])
def test_a_flood_of_strangers(siege, port, kind):
    """Forged sources cannot bring a cookie back, and made-up SPIs lack our mark: neither reaches the engine."""
    before = siege.gateway.process.resident_bytes()
    counted, losses = siege.edges(), Losses(siege)
    engine = siege.gateway.status()["counters"]["engine"]
    flood = siege.flood(SECONDS, RATE, port=port, kind=kind)
    # Who is in talks on, and who comes gets in; both have to be quick about it.
    first = siege.let_in()
    answered = ping(siege.pair.a.namespace, siege.inner[1], count=100, interval=0.02, wait=1.0)
    half_open = sum(1 for sa in siege.gateway.status()["ike_sas"] if sa["ike_state"] == "half-open")
    siege.send_away()
    second = siege.let_in()
    sent = poured(flood)["sent"]
    siege.send_away()
    assert sent > RATE * SECONDS / 4, "the machine is too busy to flood itself"
    backlog, esp, ike, sent_again, repeated = losses.now()
    # A first message that is lost costs half a second, one that is lost again a whole one, and so on.
    assert max(first, second) < 5.0 + 0.5 * (2**sent_again - 1)
    # Who has not brought a cookie back yet is not told from others: one such message for each visit may have been slow.
    assert sent_again <= 2 + repeated or backlog + ike
    assert answered.sent - answered.received <= 2 + backlog + esp
    assert siege.established
    assert half_open <= 300
    assert siege.gateway.process.resident_bytes() - before < GROWTH
    now = siege.edges()
    turned_away = "gate-cookie-asked" if kind == "begin" else "gate-odd-withheld"
    seen = now[turned_away] - counted.get(turned_away, 0) + now["gate-full"] - counted["gate-full"]
    assert seen + backlog > sent * 0.9
    # What the engine was bothered with is what the rule lets through: a bounded number a second.
    after = siege.gateway.status()["counters"]["engine"]
    bothered = ("cookie-asked", "unknown-ike-spi")
    assert sum(after.get(name, 0) - engine.get(name, 0) for name in bothered) < 200 * (SECONDS + 5)
