"""What the status tells of lanes and of what the kernel does for them."""

import pytest

from rhp.node.lanes import lane_details, offloads, shares

EVERYTHING = 0x6F


class Plane:
    """Two lanes with what a test says of them."""

    lanes = 2

    def __init__(self, found=None, refused=0):
        self.found = found or {}
        self.refused = refused

    def cpu(self, lane):
        return (None, 0) if lane == 0 else (7, 2_345_678_901)

    def lane_counters(self, lane):
        return {"trains-in": 0, "train-packets-in": 0, "trains-out": 3 * lane, "train-packets-out": 100 * lane}

    def counters(self):
        return {"trains-refused": self.refused}

    def offloads(self, lane):
        return self.found

    def port_counters(self, port, lane):
        return {"packets_in": 10 * port + lane}


def told(found, refused=0):
    return {one["name"]: (one["in_use"], one["detail"]) for one in offloads(Plane(found, refused))}


def test_a_lane_tells_its_processor_and_how_long_its_trains_are():
    first, second = lane_details(Plane())
    assert (first["lane"], first["cpu"], first["cpu_s"]) == (0, None, 0.0)
    assert (first["packets_per_train_in"], first["packets_per_train_out"]) == (None, None)
    assert (second["cpu"], second["cpu_s"], second["packets_per_train_out"]) == (7, 2.346, 33.3)
    assert second["counters"]["train-packets-out"] == 100


def test_each_lane_has_its_share_of_a_port():
    assert shares(Plane(), 4) == [{"lane": 0, "packets_in": 40}, {"lane": 1, "packets_in": 41}]


def test_everything_in_use():
    found = told({"tap": EVERYTHING, "udp4": (64, True), "udp6": (128, True)})
    assert {in_use for in_use, _ in found.values()} == {True}
    assert found["udp6-send-trains"][1] == "up to 128 datagrams"


def test_nothing_in_use_says_why():
    found = told({"tap": 0, "udp4": (1, False), "esp6": (1, False)})
    assert {in_use for in_use, _ in found.values()} == {False}
    assert all(detail for _, detail in found.values())
    assert "udp6-send-trains" not in found
    assert "protocol 50" in found["esp6-receive-trains"][1]


@pytest.mark.parametrize(
    ("bits", "missing"),
    [
        (0x01, ["tap-tcp-super-frames", "tap-tcp-super-frames-ecn", "tap-udp-super-frames"]),
        (0x07, ["tap-tcp-super-frames-ecn", "tap-udp-super-frames"]),
        (0x0F, ["tap-udp-super-frames"]),
        (0x2F, ["tap-udp-super-frames"]),
    ],
)
def test_half_of_what_the_tap_can(bits, missing):
    assert [name for name, (in_use, _) in told({"tap": bits}).items() if not in_use] == missing


def test_trains_that_were_refused_are_told():
    assert "; 3 trains were refused" in told({"tap": 0, "udp4": (64, True)}, refused=3)["udp4-send-trains"][1]
