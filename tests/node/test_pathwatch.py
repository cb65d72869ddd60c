"""When a path is asked, whom we believe, and what follows: over fakes, with time as an argument."""

import asyncio
from ipaddress import ip_address

import pytest

from rhp.guard.protocol import ConfigureLink
from rhp.net.icmp import TooBig
from rhp.node.pathwatch import PROBE_SECONDS
from rhp.node.settings import InterfaceSettings

B = ip_address("192.0.2.2")
UDP_HEADERS = 28


def changes(a):
    return [one for one in a.published if one["event"] == "path mtu changed"]


@pytest.fixture
def watched(pair, run):
    """Run a story with one end of a tunnel that stands."""

    def tell(story, **options):
        async def body():
            a, b, wire = pair(**options)
            a.keeper.start()
            await wire.settle(until=lambda: a.plane.sas and b.plane.sas)
            await wire.settle()
            try:
                await story(a)
            finally:
                await a.close()
                await b.close()

        run(body())

    return tell


def word(a, mtu, *, remote=B, spi=None, length=1500):
    (sa,) = a.plane.sas.values()
    return TooBig(remote, sa.spi_out if spi is None else spi, length, mtu)


def answer(a, size):
    """The peer says that a probe of that size came."""
    (spi,) = a.plane.sas
    a.watch.answered(spi, size - UDP_HEADERS)


def port(a):
    (values,) = a.plane.ports.values()
    return values


def sizes(a):
    """How long the probes were, outer headers included."""
    (spi,) = a.plane.sas
    assert {spi_in for spi_in, _ in a.plane.probes} <= {spi}
    return [octets + UDP_HEADERS for _, octets in a.plane.probes]


def test_a_new_tunnel_is_asked_at_once_and_then_by_the_minute_while_in_use(watched):
    async def story(a):
        a.watch.look(0.0)
        assert sizes(a) == [1280, 1500]
        answer(a, 1500)
        a.plane.sent += 1
        a.watch.look(PROBE_SECONDS - 1)
        assert sizes(a) == [1280, 1500]
        a.watch.look(PROBE_SECONDS)
        assert sizes(a) == [1280, 1500] * 2
        answer(a, 1500)
        a.watch.look(10 * PROBE_SECONDS)
        assert sizes(a) == [1280, 1500] * 2
        assert changes(a) == []

    watched(story)


def test_a_peer_of_another_kind_is_asked_three_times_and_teaches_nothing(watched):
    async def story(a):
        for now in range(0, 20, 2):
            a.watch.look(float(now))
        assert sizes(a) == [1280, 1500] * 3
        assert changes(a) == []

    watched(story)


def test_a_word_is_followed_by_all_that_has_a_size(watched):
    async def story(a):
        a.watch.look(0.0)
        assert (port(a)["mss"], port(a)["limit"]) == (1382, 1436)
        a.watch.heard(word(a, 1400))
        await a.queue.drained()
        assert (port(a)["mss"], port(a)["limit"]) == (1282, 1336)
        assert [lineage.mtu for lineage in a.children] == [1322]
        assert a.guard.asked == [ConfigureLink("rhp0", mtu=1322)]
        # The next router may carry less still, so the smaller size is asked as well, once.
        assert sizes(a) == [1280, 1500, 1280, 1400]
        a.watch.heard(word(a, 1400))
        assert sizes(a) == [1280, 1500, 1280, 1400]
        a.watch.heard(word(a, 1350, length=1400))
        assert sizes(a) == [1280, 1500, 1280, 1400, 1280, 1350]
        assert a.watch.counters["icmp-believed"] == 3
        answer(a, 1350)
        (first, second) = changes(a)
        assert (first["mtu"], first["reason"], second["mtu"]) == (1400, "icmp", 1350)
        assert a.paths.source(B) == "icmp"

    watched(story)


def test_a_wider_word_for_a_longer_probe_does_not_hide_the_narrower_link(watched):
    """The first router lets 1450 octets pass and the second 1400: each minute the first one speaks first."""

    async def story(a):
        now = a.loop.time()
        a.watch.look(now)
        a.watch.heard(word(a, 1450))
        a.watch.heard(word(a, 1400, length=1450))
        answer(a, 1400)
        a.plane.sent += 1
        a.watch.look(now + PROBE_SECONDS)
        a.watch.heard(word(a, 1450))
        assert a.paths.mtu(B) == 1400
        assert sizes(a)[-3:] == [1280, 1400, 1450]
        a.watch.heard(word(a, 1400, length=1450))
        answer(a, 1400)
        assert (a.paths.mtu(B), a.paths.source(B)) == (1400, "icmp")

    watched(story)


def test_silence_is_believed_when_small_probes_are_answered(watched):
    async def story(a):
        passes, now = 1400, 0.0
        for _ in range(40):
            before = len(a.plane.probes)
            a.watch.look(now)
            while before < len(a.plane.probes):
                size = sizes(a)[before]
                before += 1
                if size <= passes:
                    answer(a, size)
            now += 2.0
        said = [(one["mtu"], one["reason"]) for one in changes(a)]
        # At once to what passes everywhere, for over IPv6 nothing else does; then to what was found to pass.
        assert said == [(1280, "silence"), (1400, "peer")]
        assert port(a)["limit"] == 1336
        a.plane.sent += 1
        a.watch.look(now + PROBE_SECONDS)
        assert sizes(a)[-3:] == [1280, 1400, 1500]
        answer(a, 1500)
        assert a.paths.source(B) == "interface"

    watched(story)


@pytest.mark.parametrize("forged", [{"spi": 0x01020304}, {"remote": ip_address("192.0.2.77")}], ids=["spi", "peer"])
def test_who_does_not_know_the_spi_of_that_peer_is_not_believed(watched, forged):
    async def story(a):
        a.watch.look(0.0)
        a.watch.heard(word(a, 600, **forged))
        assert [lineage.mtu for lineage in a.children] == [1422]
        assert sizes(a) == [1280, 1500]
        assert dict(a.watch.counters) == {"icmp-unproven": 1}

    watched(story)


def test_a_path_of_next_to_nothing_ends_the_asking(watched):
    async def story(a):
        a.watch.look(0.0)
        for _ in range(3):
            a.watch.heard(word(a, 68))
        assert a.paths.mtu(B) == 576
        assert sizes(a) == [1280, 1500, 576]
        await a.queue.drained()
        # The kernel takes IPv6 off an interface that is narrower; fragments carry the rest.
        assert a.guard.asked == [ConfigureLink("rhp0", mtu=1280)]
        assert [lineage.mtu for lineage in a.children] == [576]

    watched(story)


def test_old_knowledge_is_asked_again_and_dropped_when_nobody_objects(watched):
    async def story(a):
        now = a.loop.time()
        for second in range(0, 10, 2):
            a.watch.look(now + second)
            if second == 0:
                a.watch.heard(word(a, 1400))
        asked = len(a.plane.probes)
        a.watch.look(now + 599)
        assert len(a.plane.probes) == asked
        a.watch.look(now + 601)
        assert sizes(a)[asked:] == [1280, 1400, 1500]
        assert port(a)["limit"] == 1336
        a.watch.look(now + 612)
        assert port(a)["limit"] == 1436
        await a.queue.drained()
        assert a.guard.asked[-1] == ConfigureLink("rhp0", mtu=1422)
        assert changes(a)[-1]["reason"] == "interface"

    watched(story)


def test_a_tunnel_that_moves_is_asked_anew(watched):
    async def story(a):
        a.watch.look(0.0)
        answer(a, 1500)
        (lineage,) = a.children
        lineage.remote_ip = ip_address("192.0.2.9")
        a.watch.look(2.0)
        assert sizes(a) == [1280, 1500] * 2

    watched(story)


def test_a_configured_path_is_not_asked(watched):
    async def story(a):
        a.paths.fixed = 1400
        a.watch.look(0.0)
        a.watch.heard(word(a, 1300))
        assert a.plane.probes == []
        assert a.paths.mtu(B) == 1400

    watched(story)


@pytest.mark.parametrize(
    "interface", [InterfaceSettings(mtu=1500), InterfaceSettings(bridge="br0")], ids=["configured", "bridge"]
)
def test_the_interface_stays_as_it_is_where_that_is_wanted(watched, interface):
    async def story(a):
        a.watch.look(0.0)
        a.watch.heard(word(a, 1400))
        await a.queue.drained()
        assert a.guard.asked == []
        assert port(a)["limit"] == 1336

    watched(story, interface=interface)


def test_it_looks_by_itself_until_it_is_stopped(watched, monkeypatch):
    monkeypatch.setattr("rhp.node.pathwatch.LOOK_SECONDS", 0.01)

    async def story(a):
        a.watch.start()
        async with asyncio.timeout(60):
            while len(sizes(a)) < 4:
                await asyncio.sleep(0.005)
        assert sizes(a)[:4] == [1280, 1500] * 2
        a.watch.stop()
        a.watch.stop()
        before = len(a.plane.probes)
        await asyncio.sleep(0.05)
        assert len(a.plane.probes) == before

    watched(story)


def test_a_tunnel_that_ended_is_asked_no_more_and_its_spi_proves_nothing(watched):
    async def story(a):
        a.watch.look(0.0)
        (spi_in,) = a.plane.sas
        asked = len(a.plane.probes)
        last = word(a, 1400)
        lineage = a.children.get(spi_in)
        a.children._drop(lineage)
        a.watch.heard(last)
        assert dict(a.watch.counters) == {"icmp-unproven": 1}
        a.watch.answered(spi_in, 1472)
        a.watch.look(100.0)
        assert len(a.plane.probes) == asked

    watched(story)
