"""Nodes with several lanes: a Child SA for each (RFC 9611), traffic on all of them, and what chooses the lane."""

import os
import threading
import time

import pytest

from rhp.lab.errors import LabError, NotReached
from rhp.lab.iperf3 import Iperf3
from rhp.lab.lab import Lab
from rhp.lab.pair import CHILD, CONNECTION, TAP, PairOptions, start_pair
from rhp.lab.ping import ping, reaches
from rhp.lab.topology import cable
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.netns

MEGABYTE = 1_000_000
SECONDS = 60.0


def options(lanes, **more):
    return PairOptions(more={"node": {"lanes": lanes, **more}})


def children(node):
    return node.connection(CONNECTION)["children"]


def wait_until(node, wanted, seconds=SECONDS):
    """Wait until `wanted` is true of the connection's children."""
    return node.wait_connection(CONNECTION, lambda entry: wanted(entry["children"]), seconds)["children"]


def all_lanes(count):
    return lambda found: len(found) == count and {one["state"] for one in found} == {"installed"}


@pytest.fixture(scope="module")
def two():
    """Two nodes with two lanes each, and a pair of SAs for each lane."""
    with Lab() as lab:
        pair = start_pair(lab, cable(lab), options(2))
        pair.wait_established()
        for node in (pair.a, pair.b):
            wait_until(node, all_lanes(2))
        yield pair
        for node in (pair.a, pair.b):
            assert "Traceback" not in node.process.text()
            assert node.process.status is None


def test_each_lane_has_a_pair_and_they_share_a_port(two):
    for node in (two.a, two.b):
        found = children(node)
        assert sorted(int(one["spi_in"], 16) % 2 for one in found) == [0, 1]
        assert sorted(one["lane"] is None for one in found) == [False, True]
        assert len({one["port"] for one in found}) == 1
        assert node.process.text().count("child established") == 2
        (own,) = [one for one in found if one["lane"] is not None]
        assert own["lane"] == int(own["spi_in"], 16) % 2
    assert {(one["spi_in"], one["spi_out"]) for one in children(two.a)} == {
        (one["spi_out"], one["spi_in"]) for one in children(two.b)
    }


def test_streams_use_every_lane(two, tmp_path):
    with Iperf3(two.a.namespace, two.b.namespace, two.inner[1], tmp_path / "iperf3.log") as iperf3:
        assert iperf3.tcp(2, streams=32).gbps > 0.01
    for node in (two.a, two.b):
        (own,) = [one for one in children(node) if one["lane"] is not None]
        assert own["packets_out"] > 0
        assert own["packets_in"] > 0
        assert own["replay_drops"] == own["auth_drops"] == 0
        drops = {name: count for name, count in node.status()["counters"]["dataplane"].items() if "replay" in name}
        assert set(drops.values()) == {0}


def test_files_arrive_whole_both_ways(two):
    a, b = two.a.namespace, two.b.namespace
    assert Transfer(a, b, two.inner[1]).run(20 * MEGABYTE)
    assert Transfer(b, a, two.inner[0]).run(20 * MEGABYTE, seed=b"back")


def test_rekeys_keep_the_lanes(two):
    before = {one["spi_in"] for one in children(two.a)}
    two.a.rekey_child(CONNECTION, CHILD)
    fresh = wait_until(two.a, lambda found: all_lanes(2)(found) and not before & {one["spi_in"] for one in found})
    assert sorted(int(one["spi_in"], 16) % 2 for one in fresh) == [0, 1]
    two.b.rekey_ike(CONNECTION)
    assert reaches(two.a.namespace, two.inner[1])
    assert len(wait_until(two.b, all_lanes(2))) == 2


def test_a_node_with_one_lane_gets_one_pair(lab):
    pair = start_pair(lab, cable(lab), options(2))
    pair.wait_established()
    pair.b.stop()
    text = pair.b.file.read_text()
    pair.b.file.write_text(text.replace("lanes = 2", "lanes = 1"))
    pair.b.start()
    pair.wait_established(60)
    assert reaches(pair.a.namespace, pair.inner[1], tries=20)
    # The time in which a second pair would have come, and in which the peer with one lane would have refused it.
    time.sleep(1)
    assert len(children(pair.b)) == len(children(pair.a)) == 1
    assert "child failed" not in pair.a.process.text() + pair.b.process.text()


@pytest.mark.parametrize("steering", ["flow", "station"])
def test_who_keeps_to_a_lane(lab, steering, tmp_path):
    pair = start_pair(lab, cable(lab), options(2, steering=steering))
    pair.wait_established()
    wait_until(pair.a, all_lanes(2))
    with Iperf3(pair.a.namespace, pair.b.namespace, pair.inner[1], tmp_path / "iperf3.log") as iperf3:
        before = frames(pair.a)
        iperf3.tcp(1, streams=16)
        after = frames(pair.a)
    taken = sorted(end - begin for begin, end in zip(before, after, strict=True))
    # One station is all that a talks to.
    assert taken[1] > 100
    assert (taken[0] > taken[1] / 50) == (steering == "flow"), taken


def frames(node):
    return [lane["counters"]["tap-frames-in"] for lane in node.status()["lane_details"]]


def test_lanes_are_bound_to_processors(lab):
    cpus = sorted(os.sched_getaffinity(0))[:2]
    pair = start_pair(lab, cable(lab), options(len(cpus), cpus=cpus))
    pair.wait_established()
    assert [lane["cpu"] for lane in pair.a.status()["lane_details"]] == cpus
    assert ping(pair.a.namespace, pair.inner[1], count=2)


def test_a_processor_that_is_not_there_is_told(lab):
    with pytest.raises(NotReached, match="processor 1023 is none that the node may use"):
        start_pair(lab, cable(lab), options("auto", cpus=[1023]))


def test_lanes_are_added_while_traffic_flows(lab, tmp_path):
    pair = start_pair(lab, cable(lab), options(1, spare_lanes=1))
    pair.wait_established()
    a, b = pair.a.namespace, pair.b.namespace
    assert reaches(a, pair.inner[1])
    assert pair.a.status()["lanes"] == 1
    done = []
    flow = threading.Thread(target=lambda: done.append(Transfer(a, b, pair.inner[1]).run(60 * MEGABYTE)))
    flow.start()
    assert pair.a.command("add-lane").strip() == "lane 1 is in use"
    assert pair.b.command("add-lane").strip() == "lane 1 is in use"
    assert ping(a, pair.inner[1], count=20, at_once=True).received == 20
    flow.join(120)
    assert done == [True]
    for node in (pair.a, pair.b):
        # A pair that was made while one side had one lane serves that lane twice; the other lane gets one of its own.
        found = wait_until(node, lambda found: {int(one["spi_in"], 16) % 2 for one in found} == {0, 1})
        assert {1} <= {one["lane"] for one in found}
        assert node.status()["lanes"] == 2
        assert "lane added" in node.process.text()
        counters = node.status()["counters"]["dataplane"]
        drops = {name: counters[f"drop-{name}"] for name in ("unknown-spi", "foreign-lane", "esp-replayed")}
        assert not any(drops.values()), drops
    # Both lanes carry what flows now.
    with Iperf3(a, b, pair.inner[1], tmp_path / "iperf3.log") as iperf3:
        iperf3.tcp(1, streams=16)
    assert all(lane["counters"]["esp-packets-out"] for lane in pair.a.status()["lane_details"])
    with pytest.raises(LabError, match="all 2 lanes are in use"):
        pair.a.command("add-lane")


def test_an_added_lane_outlives_the_interface(lab):
    pair = start_pair(lab, cable(lab), options(1, spare_lanes=1))
    pair.wait_established()
    pair.a.command("add-lane")
    pair.a.namespace.ip(f"link delete {TAP}")
    pair.a.process.wait_for("tap restored", 30)
    assert reaches(pair.a.namespace, pair.inner[1], tries=20)
    assert len(pair.a.status()["lane_details"]) == 2
