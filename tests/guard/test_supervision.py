"""What a service manager hears: by a manager played here, which listens on a socket as systemd does."""

import asyncio
import contextlib
import os
import socket
import threading

import pytest

from rhp.guard.kinds import Heartbeat
from rhp.guard.manager import Manager
from rhp.guard.protocol import Done, Refused, TellAlive, TellState
from rhp.guard.supervision import Supervision


class Listener:
    """The manager's end: datagrams, each with the descriptors that came along."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)

    def heard(self):
        """All that was said so far, and the descriptors of it."""
        said, fds = [], []
        while True:
            try:
                octets, found, *_ = socket.recv_fds(self._socket, 4096, 16)
            except BlockingIOError:
                return said, fds
            said.append(octets.decode())
            fds += found

    def words(self):
        return self.heard()[0]

    def fill(self):
        """Have no room for another word, as a manager that does not read."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    sender.sendto(b"X_OTHER=1", self.path)

    def words_since(self):
        """What was said to a manager that was full, and is not any more."""
        return [word for word in self.words() if word != "X_OTHER=1"]

    def close(self):
        self._socket.close()


@pytest.fixture
def listener(tmp_path):
    made = Listener(tmp_path)
    yield made
    made.close()


@pytest.fixture
def manager(listener):
    return Manager({"NOTIFY_SOCKET": listener.path, "WATCHDOG_USEC": "60000", "WATCHDOG_PID": str(os.getpid())})


def test_without_a_manager_nothing_is_said_and_no_beat_is_sent():
    async def story():
        beats = []
        supervision = Supervision(Manager({}), beats.append)
        assert supervision.told(TellState("running")) == Done()
        await asyncio.sleep(0)
        supervision.close()
        return beats

    assert asyncio.run(story()) == []


def test_a_node_that_serves_and_answers_is_ready_and_alive(manager, listener):
    async def story():
        beats = asyncio.Queue()
        supervision = Supervision(manager, beats.put_nowait)
        supervision.told(TellState("running"))
        assert listener.words() == ["READY=1\nSTATUS=serving, 0 tunnels up"]
        for tunnels in (1, 1, 2):
            beat = await asyncio.wait_for(beats.get(), 60)
            assert supervision.told(TellAlive(beat.number, tunnels)) == Done()
        assert listener.words() == [
            *("WATCHDOG=1", "STATUS=serving, 1 tunnel up"),
            *("WATCHDOG=1",),
            *("WATCHDOG=1", "STATUS=serving, 2 tunnels up"),
        ]
        supervision.told(TellState("stopping"))
        supervision.stopping()
        assert listener.words() == ["STOPPING=1\nSTATUS=saying farewell"]
        supervision.close()

    asyncio.run(story())


def test_a_node_that_hangs_is_asked_once_and_the_watchdog_hears_nothing(manager, listener):
    async def story():
        beats = asyncio.Queue()
        supervision = Supervision(manager, beats.put_nowait)
        supervision.told(TellState("running"))
        beat = await asyncio.wait_for(beats.get(), 60)
        # Several times as long as it takes to beat again; a slow machine makes it longer, and none makes it fail.
        await asyncio.sleep(manager.watchdog * 3)
        assert beats.empty()
        assert listener.words() == ["READY=1\nSTATUS=serving, 0 tunnels up"]
        supervision.told(TellAlive(beat.number, 0))
        assert await asyncio.wait_for(beats.get(), 60) == Heartbeat(beat.number + 1)
        supervision.close()

    asyncio.run(story())


def test_a_node_that_has_been_taken_over_can_tell_the_manager_no_tales(manager, listener):
    async def story():
        beats = asyncio.Queue()
        supervision = Supervision(manager, beats.put_nowait)
        assert isinstance(supervision.told(TellAlive(1, 5)), Refused)
        supervision.told(TellState("running"))
        assert isinstance(supervision.told(TellState("running")), Refused)
        beat = await asyncio.wait_for(beats.get(), 60)
        assert isinstance(supervision.told(TellAlive(beat.number + 1, 0)), Refused)
        assert supervision.told(TellAlive(beat.number, 0)) == Done()
        assert isinstance(supervision.told(TellAlive(beat.number, 0)), Refused)
        supervision.told(TellState("stopping"))
        assert isinstance(supervision.told(TellState("running")), Refused)
        supervision.close()
        assert listener.words() == [
            "READY=1\nSTATUS=serving, 0 tunnels up",
            "WATCHDOG=1",
            "STOPPING=1\nSTATUS=saying farewell",
        ]

    asyncio.run(story())


def test_no_child_inherits_the_managers_line(listener, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", listener.path)
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    assert Manager().there
    assert "NOTIFY_SOCKET" not in os.environ
    assert "WATCHDOG_USEC" not in os.environ


def test_a_manager_that_has_gone_is_no_reason_to_end(manager, listener):
    listener.close()
    manager.ready("serving")
    manager.alive()


def at_once(act):
    """Nothing of it may wait; in a thread, so that what waits fails and does not hang."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


def test_a_manager_that_does_not_read_is_not_waited_for(manager, listener):
    listener.fill()

    def act():
        manager.ready("serving, 0 tunnels up")
        manager.alive()
        for tunnels in range(3):
            manager.status(f"serving, {tunnels} tunnels up")

    at_once(act)
    assert listener.words_since() == []
    # It reads again. The beat of before would be a lie; of the lines, the last one counts.
    manager.alive()
    assert listener.words_since() == [
        "READY=1\nSTATUS=serving, 0 tunnels up",
        "STATUS=serving, 2 tunnels up",
        "WATCHDOG=1",
    ]
    manager.alive()
    assert listener.words_since() == ["WATCHDOG=1"]


def test_descriptors_for_a_manager_that_does_not_read_are_kept_later(manager, listener):
    reader, writer = os.pipe()
    listener.fill()

    def act():
        manager.forget("tap-rhp0")
        manager.keep("tap-rhp0", [reader])
        manager.keep("tap-rhp1", [reader])
        # Whose interface has gone must not be there for what was not said.
        manager.forget("tap-rhp1")

    at_once(act)
    os.close(reader)
    listener.words()
    manager.alive()
    said, fds = listener.heard()
    assert said == [
        "FDSTOREREMOVE=1\nFDNAME=tap-rhp0",
        "FDSTORE=1\nFDNAME=tap-rhp0",
        "FDSTOREREMOVE=1\nFDNAME=tap-rhp1",
        "WATCHDOG=1",
    ]
    for fd in fds:
        os.close(fd)
    # Nobody has it any more.
    with pytest.raises(BrokenPipeError):
        os.write(writer, b"who reads this?")
    os.close(writer)


@pytest.mark.parametrize(
    "environment",
    [
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "0"},
        {"NOTIFY_SOCKET": "relative"},
        {"LISTEN_PID": "1", "LISTEN_FDS": "3"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "-1"},
    ],
)
def test_what_is_for_somebody_else_or_for_nobody_is_left_alone(environment):
    manager = Manager(environment)
    assert manager.watchdog is None
    assert not manager.there
    manager.close()


def test_descriptors_are_kept_under_a_name(manager, listener):
    reader, writer = os.pipe()
    manager.keep("tap-rhp0", [reader])
    manager.forget("tap-rhp0")
    said, fds = listener.heard()
    assert said == ["FDSTORE=1\nFDNAME=tap-rhp0", "FDSTOREREMOVE=1\nFDNAME=tap-rhp0"]
    os.write(writer, b"the same")
    assert os.read(fds[0], 10) == b"the same"
    for fd in (reader, writer, *fds):
        os.close(fd)
