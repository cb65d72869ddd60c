"""Event sinks: they get what happens, and nothing that they do or fail to do reaches the node."""

import asyncio
import json
import socket
import stat
import threading
from collections import Counter

import pytest
from planes import wait_for

from rhp.node import sinks
from rhp.node.sinks import MOST_FAILURES, MOST_WAITING, Sink, Sinks
from rhp.spi import find
from rhp.spi.builtin.jsonl import JsonLines
from rhp.spi.events import SinkPlace

SECONDS = 60


class Recorder:
    """A provider and its sink in one; `ready` holds it up, `wrong` has it fail."""

    api_version = 1

    def __init__(self, wrong=None):
        self.taken, self.closed, self.told = [], 0, []
        self.ready, self.reached, self.off = threading.Event(), threading.Event(), threading.Event()
        self.ready.set()
        self.wrong = wrong or (lambda event: False)

    def open(self, place):
        self.place = place
        return self

    def take(self, event):
        self.reached.set()
        assert self.ready.wait(SECONDS)
        if self.wrong(event):
            raise RuntimeError("a\nsink")
        self.taken.append(event)

    def close(self):
        self.closed += 1

    def tell(self, name, why):
        self.told.append((name, why))
        self.off.set()


@pytest.fixture
def begin(tmp_path):
    def make(recorder):
        return Sink(SinkPlace("one", tmp_path), recorder, recorder.tell)

    return make


def ended(sink):
    sink.end()
    return sink.join(SECONDS)


def test_it_takes_every_event_in_order_and_closes(begin, tmp_path):
    recorder = Recorder()
    sink = begin(recorder)
    for number in range(100):
        sink.put({"event": "n", "number": number})
    assert ended(sink)
    assert [event["number"] for event in recorder.taken] == list(range(100))
    assert (recorder.closed, recorder.told) == (1, [])
    assert recorder.place == SinkPlace("one", tmp_path)
    assert sink.counters == Counter(taken=100, dropped=0, failed=0)


def test_a_slow_one_loses_events_and_they_are_counted(begin):
    recorder = Recorder()
    recorder.ready.clear()
    sink = begin(recorder)
    sink.put({"number": -1})
    assert recorder.reached.wait(SECONDS)
    for number in range(MOST_WAITING + 7):
        sink.put({"number": number})
    assert sink.counters["dropped"] == 7
    recorder.ready.set()
    # There is room for the end again when one of them has been taken.
    wait_for(lambda: not sink._waiting.full())
    assert ended(sink)
    assert sink.counters["taken"] == MOST_WAITING + 1


def test_one_that_fails_now_and_then_goes_on(begin):
    recorder = Recorder(lambda event: event["number"] % 10)
    sink = begin(recorder)
    for number in range(1, 96):
        sink.put({"number": number})
    assert ended(sink)
    assert sink.counters == Counter(taken=9, dropped=0, failed=86)
    assert recorder.told == []


def test_one_that_only_fails_is_let_go_with_one_line(begin):
    recorder = Recorder(lambda event: True)
    sink = begin(recorder)
    for _ in range(MOST_FAILURES + 5):
        sink.put({"event": "n"})
    assert sink.join(SECONDS)
    sink.put({"event": "n"})
    assert not sink.working
    assert recorder.told == [("one", f"it failed {MOST_FAILURES} times in a row (RuntimeError: a sink)")]
    assert (sink.counters["failed"], recorder.closed) == (MOST_FAILURES, 1)


def test_one_that_cannot_be_opened(begin):
    recorder = Recorder()
    recorder.open = lambda place: 1 / 0
    sink = begin(recorder)
    assert sink.join(SECONDS)
    assert recorder.told == [("one", "it cannot be opened (ZeroDivisionError: division by zero)")]
    sink.put({})
    assert sink.counters == Counter(taken=0, dropped=0, failed=0)


def test_one_that_hangs_is_left_behind(tmp_path, monkeypatch):
    recorder = Recorder()
    recorder.ready.clear()
    monkeypatch.setattr(sinks, "CLOSE_SECONDS", 0.05)

    async def live():
        made = Sinks({"hanging": recorder}, tmp_path, asyncio.get_running_loop())
        assert made.working
        seen = []
        publish = made.beside(seen.append)
        publish({"event": "one"})
        await asyncio.wait_for(made.close(), SECONDS)
        return seen

    assert asyncio.run(live()) == [{"event": "one"}]
    recorder.ready.set()


def test_what_one_does_to_an_event_the_others_do_not_see(tmp_path, monkeypatch):
    monkeypatch.setattr(sinks, "CLOSE_SECONDS", SECONDS)
    recorders = {"vandal": Recorder(lambda event: event.clear()), "other": Recorder()}

    async def live():
        made = Sinks(recorders, tmp_path, asyncio.get_running_loop())
        seen = []
        made.beside(seen.append)({"event": "one"})
        await made.close()
        return seen, made.counters(), made.dropped()

    seen, counters, dropped = asyncio.run(live())
    assert seen == recorders["other"].taken == [{"event": "one"}]
    assert counters["sink-other-taken"] == 1
    assert dropped == {"vandal": 0, "other": 0}


def test_the_node_is_told_in_its_own_thread_of_one_that_was_let_go(tmp_path):
    recorder = Recorder()
    recorder.open = lambda place: 1 / 0

    async def live():
        heard = asyncio.get_running_loop().create_future()
        made = Sinks({"broken": recorder}, tmp_path, asyncio.get_running_loop())
        made.listen(lambda name, why: heard.set_result((name, why, threading.current_thread())))
        name, why, thread = await asyncio.wait_for(heard, SECONDS)
        await made.close()
        assert not made.working
        return name, why, thread is threading.current_thread()

    assert asyncio.run(live()) == ("broken", "it cannot be opened (ZeroDivisionError: division by zero)", True)


def test_without_a_sink_nothing_is_in_the_way(tmp_path):
    async def live():
        made = Sinks({}, tmp_path, asyncio.get_running_loop())
        assert made.beside(print) is print
        assert (made.working, made.counters()) == (False, {})
        await made.close()

    asyncio.run(live())


def test_lines_of_json(tmp_path):
    sink = find.load(find.EVENT_SINK, "jsonl").open(SinkPlace("jsonl", tmp_path / "state"))
    sink.take({"event": "ike established", "peer": "é", "path": tmp_path})
    sink.take({"event": "ike closed"})
    sink.close()
    file = tmp_path / "state" / "events.jsonl"
    assert [json.loads(line) for line in file.read_text().splitlines()] == [
        {"event": "ike established", "peer": "é", "path": str(tmp_path)},
        {"event": "ike closed"},
    ]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_file_of_lines_is_bounded(tmp_path):
    sink = JsonLines(tmp_path / "events.jsonl", most=100)
    for number in range(20):
        sink.take({"event": "n", "number": number})
    sink.close()
    files = [tmp_path / "events.jsonl.1", tmp_path / "events.jsonl"]
    assert all(file.stat().st_size <= 100 for file in files)
    numbers = [json.loads(line)["number"] for file in files for line in file.read_text().splitlines()]
    assert numbers == list(range(20))[-len(numbers) :]
    with pytest.raises(OSError):
        JsonLines(tmp_path / "events.jsonl" / "no folder").close()


def test_the_example_sends_datagrams_to_who_listens(extended, tmp_path):
    sink = find.load(find.EVENT_SINK, "datagrams").open(SinkPlace("datagrams", tmp_path))
    sink.take({"event": "nobody listens"})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "events.sock"))
        listener.settimeout(SECONDS)
        sink.take({"event": "somebody does"})
        assert json.loads(listener.recv(1000)) == {"event": "somebody does"}
    sink.take({"event": "gone again"})
    sink.close()
