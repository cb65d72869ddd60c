"""Metrics: what is counted, under which names, and what a reading costs."""

import asyncio
import re
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rhp._fast.dataplane import DataPlane
from rhp.guard.protocol import AddRoute, CheckPsk
from rhp.ike import events
from rhp.ike.effects import InstallSA
from rhp.ike.errors import Fault
from rhp.node.children import Children, HubPlace
from rhp.node.metrics.counts import MOST_SERIES, Counts
from rhp.node.metrics.exporter import FRESH_SECONDS
from rhp.node.metrics.families import FAMILIES, SETUP_BUCKETS
from rhp.node.metrics.forgetting import forget
from rhp.node.settings import HubSettings
from rhp.node.watchedguard import WatchedGuard
from rhp.pki.ca import create_ca, issue
from rhp.pki.certificate import read_certificates

sys.path.insert(0, str(Path(__file__).parent))
from metrics_rig import NOW, Metered

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
MOST_LOOP_SECONDS = 0.05
"""For so long a reading may keep the loop at a time."""


def test_the_page_lists_every_metric_and_nothing_else():
    rows = re.findall(r"^\| `(rhp_\w+)` \| (\w+) \| ([^|]+) \| ([^|]+) \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    assert [(name, kind, unit, labels, meaning) for name, kind, unit, labels, meaning in rows] == [
        (one.name, one.kind, one.unit, ", ".join(f"`{label}`" for label in one.labels) or "none", one.meaning)
        for one in FAMILIES.values()
    ]


def test_every_metric_is_named_as_prometheus_wants_it():
    for family in FAMILIES.values():
        assert re.fullmatch(r"rhp_[a-z_]+", family.name)
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert not {"le", "quantile", "peer"} & set(family.labels)


def test_every_metric_is_told_with_its_meaning(pair, run):
    async def body():
        a, b, _ = pair()
        numbers = await Metered(a, ()).numbers()
        for family in FAMILIES.values():
            assert f"# HELP {family.name} {family.meaning}\n# TYPE {family.name} {family.kind}\n" in numbers.text
        assert numbers("rhp_start_time_seconds") == NOW - 60.0
        assert numbers("process_resident_memory_bytes") > 1e6
        for rig in (a, b):
            await rig.close()

    run(body())


def test_a_handshake_moves_the_numbers_of_both_ends(pair, run, make_connection):
    async def body():
        a, b, wire = pair()
        here = Metered(a, [make_connection("to-b", "a.example", "b.example", "192.0.2.2")])
        there = Metered(b, [make_connection("to-a", "b.example", "a.example")])
        before = await here.numbers()
        assert before("rhp_connection_up", connection="to-b") == 0
        assert before.series("rhp_handshakes_total") == []
        a.keeper.start()
        await wire.settle(lambda: a.named("ChildEstablished") and b.named("ChildEstablished"))
        mine, theirs = await here.numbers(), await there.numbers()
        for numbers, name, role in ((mine, "to-b", "initiator"), (theirs, "to-a", "responder")):
            assert numbers("rhp_connection_up", connection=name) == 1
            assert numbers("rhp_ike_sas", connection=name) == numbers("rhp_child_sas", connection=name) == 1
            assert numbers("rhp_handshakes_total", connection=name, role=role, resumed="no") == 1
            assert numbers("rhp_received_bytes_total", connection=name) == 100
            assert numbers("rhp_sent_bytes_total", connection=name) == 200
            assert numbers("rhp_ike_sas_half_open") == 0
            assert numbers("rhp_ike_events_total", event="ike-established") == 1
            assert numbers("rhp_node_events_total", event="ike-established") == 1
            assert "example" not in numbers.text
        assert mine("rhp_drops_total", reason="esp-bad-icv") == 3
        assert mine("rhp_events_lost_total", stream="sink-jsonl") == 3
        (sa,) = a.engine.status()
        a.adapter.command(lambda now: a.engine.rekey_ike(sa.ike_id, now))
        await wire.settle(lambda: a.named("IkeRekeyed"))
        assert (await here.numbers())("rhp_rekeys_total", connection="to-b", kind="ike") == 1
        for rig in (a, b):
            await rig.close()

    run(body())


def test_traffic_is_still_counted_when_its_tunnel_has_ended(pair, run, make_connection):
    async def body():
        a, b, wire = pair()
        here = Metered(a, [make_connection("to-b", "a.example", "b.example", "192.0.2.2")])
        a.keeper.start()
        await wire.settle(lambda: a.named("ChildEstablished") and b.named("ChildEstablished"))
        a.keeper.hold("to-b")
        (sa,) = a.engine.status()
        a.adapter.command(lambda now: a.engine.close(sa.ike_id, now))
        await wire.settle(lambda: a.named("IkeClosed"))
        numbers = await here.numbers()
        assert numbers("rhp_sent_bytes_total", connection="to-b") == 200
        assert numbers("rhp_connection_up", connection="to-b") == 0
        assert numbers("rhp_ike_closed_total", connection="to-b", reason="closed") == 1
        # Nothing is kept of a connection that is in the configuration no more; of one that is there, everything.
        forget(here.counts, a.engine, a.children, here.connections)
        assert (await here.numbers())("rhp_sent_bytes_total", connection="to-b") == 200
        here.connections = ()
        forget(here.counts, a.engine, a.children, here.connections)
        gone = await here.numbers()
        assert gone.series("rhp_sent_bytes_total") == gone.series("rhp_ike_closed_total") == []
        for rig in (a, b):
            await rig.close()

    run(body())


def test_what_lives_on_is_counted_though_it_is_in_the_configuration_no_more(pair, run):
    async def body():
        a, b, wire = pair()
        here = Metered(a, ())
        a.keeper.start()
        await wire.settle(lambda: a.named("ChildEstablished") and b.named("ChildEstablished"))
        here.counts.heard(events.HandshakeRefused(9, "", None, "no-proposal-chosen", ""))
        here.counts.heard(events.HandshakeRefused(9, "other", None, "no-proposal-chosen", ""))
        forget(here.counts, a.engine, a.children, ())
        assert here.counts.by_name == {
            "rhp_handshakes_total": {("to-b", "initiator", "no"): 1},
            "rhp_handshake_failures_total": {("", "responder", "no-proposal-chosen"): 1},
        }
        for rig in (a, b):
            await rig.close()

    run(body())


def test_a_wrong_key_is_counted_by_its_reason(pair, run, make_connection):
    async def body():
        a, b, wire = pair(psk_b=b"fedcba9876543210")
        there = Metered(b, [make_connection("to-a", "b.example", "a.example")])
        here = Metered(a, [make_connection("to-b", "a.example", "b.example", "192.0.2.2")])
        a.keeper.start()
        await wire.settle(lambda: a.named("InitiationFailed") and b.named("HandshakeRefused"))
        mine, theirs = await here.numbers(), await there.numbers()
        assert theirs("rhp_authentication_failures_total", connection="to-a", role="responder") == 1
        assert theirs("rhp_handshake_failures_total", connection="to-a", role="responder") == 1
        assert mine("rhp_handshake_failures_total", connection="to-b", role="initiator") == 1
        (labels,) = theirs.series("rhp_authentication_failures_total")
        assert re.fullmatch(r"[a-z-]+", labels["reason"])
        for rig in (a, b):
            await rig.close()

    run(body())


def test_the_books_and_the_hooks_are_counted(pair, run):
    async def body():
        a, b, _ = pair()
        metered = Metered(a, ())
        before = await metered.numbers()
        # From the first page on, so that a rate sees the first of them.
        names = ("state-write-failed", "hooks-skipped")
        assert {one["event"] for one in before.series("rhp_node_events_total")} >= set(names)
        metered.store.counters["state-write-failed"] += 2
        metered.hooks.counters["hooks-skipped"] += 1
        # The same word of two rooms is one number.
        a.adapter.counters["packets-late"] += 3
        a.journal.counters["packets-late"] += 4
        numbers = await metered.numbers()
        assert [numbers("rhp_node_events_total", event=name) for name in (*names, "packets-late")] == [2, 1, 7]
        for rig in (a, b):
            await rig.close()

    run(body())


def test_what_the_guard_is_asked_is_counted(pair, run):
    class Guard:
        async def ask(self, question):
            if isinstance(question, CheckPsk):
                raise RuntimeError("broken")
            return await a.guard.ask(question)

    async def body():
        nonlocal a
        a, b, _ = pair()
        metered = Metered(a, (), Guard())
        a.guard.refusals[AddRoute] = "there is no such interface"
        question = AddRoute("10.0.0.0/8", "rhp0")
        await metered.guard.ask(question)
        with pytest.raises(RuntimeError):
            await metered.guard.ask(CheckPsk("x", (2, b""), (2, b""), 5, b"", b""))
        numbers = await metered.numbers()
        assert numbers("rhp_guard_questions_total", question="add-route") == 1
        assert numbers("rhp_guard_refusals_total", question="add-route") == 1
        assert numbers("rhp_guard_failures_total", question="check-psk") == 1
        assert metered.refused == [("add-route", question, "there is no such interface")]
        for rig in (a, b):
            await rig.close()

    a = None
    run(body())


def test_the_watched_guard_is_a_guard(run):
    class Guard:
        async def ask(self, question):
            return question

    ticks = iter((1.0, 3.5))
    guard = WatchedGuard(Guard(), lambda: next(ticks), lambda *_: None)
    assert run(guard.ask("a question")) == "a question"
    assert guard.seconds == {"str": 2.5}


def test_other_events_count_for_what_they_are(path=None):
    counts = Counts()
    counts.heard(events.PathChanged(1, "office", path, path, "own-address"))
    counts.heard(events.ChildFailed(1, "office", "lan", "ts-unacceptable", "", Fault.PEER))
    counts.heard(events.ChildRekeyed(2, 1, "office", "lan", 2, 3, ""))
    counts.heard(events.Redirected(1, "office", "x", path))
    counts.heard(events.InitiationFailed(1, "office", "closed", "", Fault.NONE))
    assert {name: dict(found) for name, found in counts.by_name.items()} == {
        "rhp_moves_total": {("office", "own-address"): 1},
        "rhp_child_failures_total": {("office", "ts-unacceptable"): 1},
        "rhp_rekeys_total": {("office", "child"): 1},
        "rhp_redirects_total": {("office",): 1},
    }


def test_a_histogram_of_how_long_tunnels_take(pair, run):
    async def body():
        a, b, _ = pair()
        metered = Metered(a, ())
        event = events.ChildRekeyed(2, 1, "office", "lan", 2, 3, "")
        for ms in (4.0, 30.0, 30.0, 90_000.0):
            metered.counts.heard(event, ms)
        numbers = await metered.numbers()
        assert numbers("rhp_tunnel_setup_seconds_bucket", le="0.005") == 1
        assert numbers("rhp_tunnel_setup_seconds_bucket", le="0.05") == 3
        assert numbers("rhp_tunnel_setup_seconds_bucket", le=str(SETUP_BUCKETS[-1])) == 3
        assert numbers("rhp_tunnel_setup_seconds_bucket", le="+Inf") == numbers("rhp_tunnel_setup_seconds_count") == 4
        assert numbers("rhp_tunnel_setup_seconds_sum") == pytest.approx(90.064)
        for rig in (a, b):
            await rig.close()

    run(body())


def test_reasons_without_end_make_no_series_without_end():
    counts = Counts()
    for number in range(MOST_SERIES + 100):
        counts.heard(events.ChildFailed(1, "office", "lan", f"reason-{number}", "", Fault.PEER))
    counter = counts.by_name["rhp_child_failures_total"]
    assert len(counter) == MOST_SERIES + 1
    assert counter["office", "other"] == 100


def test_the_days_that_certificates_have_left(pair, run, make_connection):
    began = datetime.fromtimestamp(NOW, UTC) - timedelta(days=10)
    ca = create_ca("Test CA", began, days=100)
    chains = [read_certificates(issue(ca, ["a.example"], began, days=days).certificate)[0] for days in (30, 8)]
    authority = read_certificates(ca.certificate)

    async def body():
        a, b, _ = pair()
        plain = make_connection("to-b", "a.example", "b.example", "192.0.2.2")
        made = [
            replace(plain, name=name, local=replace(plain.local, chain=(der,)), remote=replace(plain.remote, cas=cas))
            for name, der, cas in (("good", chains[0], authority), ("late", chains[1], ()))
        ]
        numbers = await Metered(a, [*made, plain]).numbers()
        assert numbers("rhp_certificate_days_left", connection="good", use="own") == pytest.approx(20, abs=0.1)
        assert numbers("rhp_certificate_days_left", connection="good", use="ca") == pytest.approx(90, abs=0.1)
        assert numbers("rhp_certificate_days_left", connection="late", use="own") == pytest.approx(-2, abs=0.1)
        assert len(numbers.series("rhp_certificate_days_left")) == 3
        for rig in (a, b):
            await rig.close()

    run(body())


def test_many_who_ask_at_once_get_one_text(pair, run):
    async def body():
        a, b, _ = pair()
        metered = Metered(a, ())
        texts = await asyncio.gather(*(metered.exporter.text() for _ in range(20)))
        assert len({id(text) for text in texts}) == 1
        assert await metered.exporter.text() is texts[0]
        metered.exporter._made_at -= FRESH_SECONDS
        assert await metered.exporter.text() is not texts[0]
        for rig in (a, b):
            await rig.close()

    run(body())


def test_who_hangs_up_takes_nothing_from_others(pair, run):
    async def body():
        a, b, _ = pair()
        metered = Metered(a, ())
        first, second = (asyncio.ensure_future(metered.exporter.text()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert b"rhp_build_info" in await second
        for rig in (a, b):
            await rig.close()

    run(body())


@pytest.mark.parametrize(
    ("name", "most"),
    [("to-b", MOST_LOOP_SECONDS), ("office-{}", 5 * MOST_LOOP_SECONDS)],
    ids=["in-one-connection", "of-a-connection-each"],
)
def test_a_reading_of_a_thousand_peers_is_cheap(pair, run, make_connection, name, most):
    """Real lanes with a port and a pair for each peer; processor time, so that a busy machine changes nothing."""

    async def body():
        a, b, wire = pair()
        effect = await one_install(a, b, wire)
        with DataPlane() as plane:
            children = Children(plane, {"": HubPlace(0, HubSettings())}, lambda _: 1500)
            for number in range(1000):
                spi = plane.allocate_spi()
                connection = name.format(number)
                children.install(
                    replace(
                        effect, connection=connection, group=10_000 + number, ike_id=number, spi_in=spi, spi_out=spi
                    )
                )
            fake, a.plane, a.children = (a.plane, a.children), plane, children
            metered = Metered(a, [make_connection("to-b", "a.example", "b.example", "192.0.2.2")])
            spent = []
            for _ in range(5):
                numbers = await metered.numbers()
                spent.append((metered.exporter._spent.total, metered.exporter._spent.longest))
            assert numbers("rhp_child_sas") == 1000
            total, longest = map(min, zip(*spent, strict=True))
            assert total < most
            assert longest < MOST_LOOP_SECONDS
            a.plane, a.children = fake
        for rig in (a, b):
            await rig.close()

    run(body())


async def one_install(a, b, wire):
    """The effect that installs a pair of SAs, as the engine makes it."""
    found = []
    carry_out = a.adapter._carry_out

    def note(effect):
        if isinstance(effect, InstallSA):
            found.append(effect)
        carry_out(effect)

    a.adapter._carry_out = note
    a.keeper.start()
    await wire.settle(lambda: a.named("ChildEstablished") and b.named("ChildEstablished"))
    return found[0]
