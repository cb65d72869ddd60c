"""The commands that look at a node, against a real control socket and the books of a node with its tunnel up."""

import asyncio
import json
from datetime import UTC, datetime

import pytest


def test_peers_are_listed_and_chosen(looked):
    async def body(node):
        (shown,) = await node.told("peers")
        assert shown["schema_version"] == 1
        (peer,) = shown["peers"]
        assert (peer["peer"], peer["connection"], peer["address"]) == ("b.example", "to-b", "192.0.2.2:4500")
        assert (peer["bytes_in"], peer["bytes_out"]) == (100, 200)
        assert datetime.fromisoformat(peer["since"]) <= datetime.now(UTC)
        for chosen, count in (
            (["--peer", "*.EXAMPLE"], 1),
            (["--peer", "a*"], 0),
            (["--connection", "to-b"], 1),
            (["--connection", "other"], 0),
        ):
            assert (await node.told("peers", *chosen))[0]["total"] == count, chosen
        head, row = (await node.rhp("peers")).splitlines()
        assert head.split() == ["PEER", "CONNECTION", "ADDRESS", "FOR", "TUNNEL", "RECEIVED", "SENT"]
        assert row.split()[:3] == ["b.example", "to-b", "192.0.2.2:4500"]
        assert row.endswith("Ethernet  100 B     200 B")

    looked(body)


def test_sas_are_listed_with_their_spis(looked):
    async def body(node):
        (shown,) = await node.told("sas")
        (sa,) = shown["ike_sas"]
        (child,) = sa["children"]
        text = await node.rhp("sas", "--peer", "b.*")
        for word in (sa["ike_spi_i"], sa["ike_spi_r"], child["spi_in"], child["spi_out"], child["suite"]):
            assert word in text
        assert (await node.told("sas", "--connection", "other"))[0]["total"] == 0

    looked(body)


def test_the_hub_tells_who_is_where(looked):
    async def body(node):
        (shown,) = await node.told("hub")
        assert [(one["mac"], one["where"], one["peer"], one["static"]) for one in shown["stations"]] == [
            ("02:00:00:00:00:02", "peer", "b.example", False),
            ("02:00:00:00:00:01", "here", None, True),
        ]
        assert (await node.told("hub", "--mac", "02-00-00-00-00-02"))[0]["matching"] == 1
        assert (await node.told("hub", "--peer", "b*", "--mac", "02:00"))[0]["matching"] == 1
        assert (await node.told("hub", "--connection", "other"))[0]["matching"] == 0
        text = await node.rhp("hub", "--most", "1")
        assert text.splitlines()[-1] == "1 more; --most shows them"
        assert "this machine" in await node.rhp("hub")

    looked(body)


def test_watch_counts_from_look_to_look(looked):
    async def body(node):
        counted = iter(range(0, 1_000_000, 1000))
        fixed = node.rig.plane.port_counters

        def growing(port, lane=None):
            return {**fixed(port), "bytes_in": next(counted)}

        node.rig.plane.port_counters = growing
        looks = await node.told("watch", "--count", "2", "--interval", "0.1")
        assert len(looks) == 2
        for look in looks:
            (peer,) = look["peers"]
            assert peer["bits_in_s"] == pytest.approx(8000 / look["interval_s"], rel=0.05)
            assert peer["bits_out_s"] == 0
        assert "bit/s" in await node.rhp("watch", "--count", "1", "--interval", "0.1")

    looked(body)


def test_the_log_is_shown(looked):
    async def body(node):
        lines = await node.told("log")
        assert {"ike established", "child established"} <= {one["event"] for one in lines}
        assert all(one["schema_version"] == 1 for one in lines)
        text = await node.rhp("log", "--level", "info", "-n", "1")
        assert text.count("\n") == 1
        assert " info " in text
        assert await node.told("log", "--connection", "other") == []

    looked(body)


def test_initiate_waits_and_tells_what_came_of_it(looked):
    async def body(node):
        assert "to-b: is up with b.example after" in await node.rhp("initiate", "to-b", "--wait")
        assert await node.rhp("initiate", "to-b", "--wait") == "to-b: is up already\n"
        assert await node.rhp("initiate", "to-b") == "to-b: asked for\n"
        assert "there is no connection" in await node.rhp("initiate", "nobody", "--wait", code=1)
        await node.rhp("terminate", "to-b")
        node.wire.cut = True
        assert "not up after 0.2 s" in await node.rhp("initiate", "to-b", "--wait", "--timeout", "0.2", code=1)

    looked(body, up=False)


def test_the_books_and_the_hooks_are_in_the_status(looked):
    async def body(node):
        node.store._writer.counters["state-write-failed"] += 2
        node.hooks.counters["hooks-skipped"] += 1
        counters = json.loads(await node.rhp("status", "-o", "json"))["counters"]["node"]
        assert (counters["state-write-failed"], counters["hooks-skipped"]) == (2, 1)
        assert counters["ike-established"] == 1

    looked(body)


def test_status_ends_with_4_while_a_wanted_tunnel_is_down(looked):
    async def body(node):
        await node.rhp("status")
        await node.rhp("terminate", "to-b")
        await node.wire.settle()
        await node.rhp("status")  # It was taken down on purpose.
        node.wire.cut = True
        await node.rhp("initiate", "to-b")
        assert "connecting" in await node.rhp("status", code=4)

    looked(body)


@pytest.mark.parametrize("fields", [{"level": "loud"}, {"lines": "many"}, {"lines": "9" * 200}, {"lines": "-1"}])
def test_wrong_wishes_are_refused_with_a_sentence(looked, fields):
    async def body(node):
        from rhp.node.control.client import ControlError, ask
        from rhp.node.control.protocol import Request

        with pytest.raises(ControlError, match=r"level|number"):
            await asyncio.to_thread(ask, node.folder / "control.sock", Request("log", fields))

    looked(body, up=False)
