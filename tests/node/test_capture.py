"""A capture's place in the node: who may begin one, and what becomes of copies that nobody reads."""

from types import SimpleNamespace

import pytest

from rhp.node.capture import Capture
from rhp.node.control.protocol import Request
from rhp.node.control.server import CommandRefused


class Plane:
    """Lanes that have copied some frames already."""

    def __init__(self):
        self.frames = []
        self.asked = []
        self.lost = 3

    def capture(self, octets):
        self.asked.append(octets)

    def poll_frames(self, limit):
        taken, self.frames = self.frames[:limit], self.frames[limit:]
        return taken

    def frames_lost(self):
        return self.lost


class Journal:
    def __init__(self):
        self.lines = []

    def write(self, words, **fields):
        self.lines.append((words, fields))


@pytest.fixture
def lineages():
    """Those that live."""
    return []


@pytest.fixture
def world(lineages):
    plane, journal, soon = Plane(), Journal(), []
    return Capture(plane, lambda: iter(lineages), journal, soon.append), plane, journal, soon


def copies(number, size=100):
    return [(7, True, place, size, bytes(size)) for place in range(number)]


def request(octets, **more):
    return Request("capture", {"octets": octets, **more})


@pytest.mark.parametrize("octets", ["0", "65551", "-1", "ten", "1e3", "\u0661", "9" * 200])
def test_lengths_that_are_none(world, octets):
    capture, plane, _, _ = world
    with pytest.raises(CommandRefused, match="between 1 and 65550"):
        capture.begin(request(octets), lambda event: True)
    assert plane.asked == []


def test_one_at_a_time_and_nothing_of_the_one_before(world):
    capture, plane, journal, _ = world
    plane.frames = copies(5)
    lines = []
    end = capture.begin(request("100"), lambda event: lines.append(event) or True)
    with pytest.raises(CommandRefused, match="running already"):
        capture.begin(request("100"), lambda event: True)
    capture.drain()
    assert lines == []
    end()
    end()
    assert plane.asked == [100, 0]
    assert [words for words, _ in journal.lines] == ["capture begun", "capture ended"]
    capture.drain()
    capture.begin(request("100"), lambda event: True)


def test_a_reader_that_is_slow_loses_copies_and_is_told(world):
    capture, plane, _, soon = world
    lines, room = [], [True]
    end = capture.begin(request("65550"), lambda event: room[0] and (lines.append(event) or True))
    plane.frames = copies(300)
    capture.drain()
    assert len(lines[-1]["frames"]) == 256
    # The rest comes when the loop has seen to others.
    assert soon == [capture.drain]
    room[0] = False
    soon.pop()()
    room[0], plane.lost = True, 5
    plane.frames = copies(1)
    capture.drain()
    assert lines[-1]["lost"] == 44 + 2
    end()


def test_a_line_is_bounded(world):
    capture, plane, _, _ = world
    lines = []
    capture.begin(request("65550"), lambda event: lines.append(event) or True)
    plane.frames = copies(20, 60000)
    capture.drain()
    assert [len(line["frames"]) for line in lines] == [2] * 10


def test_only_the_connection_that_was_asked_for(world):
    capture, plane, _, _ = world
    lines = []
    capture.begin(request("100", connection="office"), lambda event: lines.append(event) or True)
    plane.frames = copies(4)
    capture.drain()
    assert lines == []


def test_a_port_that_is_another_connection_s_by_now_has_its_name(world, lineages):
    capture, plane, _, _ = world
    told = []
    for name, other in (("office", "home"), ("home", "office")):
        lineages[:] = [SimpleNamespace(port=7, connection=name, peer=(2, f"{name}.example.org".encode()))]
        end = capture.begin(request("100"), lambda event: told.extend(event["frames"]) or True)
        plane.frames = copies(1)
        capture.drain()
        end()
        # Whoever asks for the one that had the port gets nothing.
        end = capture.begin(request("100", connection=other), lambda event: told.extend(event["frames"]) or True)
        plane.frames = copies(1)
        capture.drain()
        end()
    assert [(one["connection"], one["peer"]) for one in told] == [
        ("office", "office.example.org"),
        ("home", "home.example.org"),
    ]
