"""The thread that writes: newest wins, nothing waits for it, and what cannot be written now is written later."""

import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from rhp.node.state import writer as writer_module
from rhp.node.state.database import open_database

WRITE = "INSERT OR REPLACE INTO spent_tickets VALUES (?, ?)"
READ = "SELECT ticket_id, expires FROM spent_tickets ORDER BY 1"


def put(writer, name, number):
    writer.put(("spent", name), WRITE, (name, number))


@pytest.fixture
def logged():
    """What the program logs, whatever was set up for its log elsewhere."""
    found = []
    handler = logging.Handler()
    handler.emit = found.append
    logging.getLogger("rhp").addHandler(handler)
    yield found
    logging.getLogger("rhp").removeHandler(handler)


def test_what_was_put_is_written(writer, rows):
    one = writer()
    one.open()
    one.start()
    put(one, b"a", 1)
    put(one, b"b", 2)
    assert one.flush(60)
    one.close()
    assert rows(READ) == [(b"a", 1), (b"b", 2)]


def test_of_changes_to_one_thing_the_newest_is_written(writer, rows):
    one = writer()
    one.open()
    for number in range(10_000):
        put(one, b"a", number)
    assert len(one._waiting) == 1
    one.start()
    one.close()
    assert rows(READ) == [(b"a", 9999)]


def test_the_end_writes_what_waits(writer, rows):
    one = writer()
    one.open()
    one.start()
    for number in range(500):
        put(one, b"%03d" % number, number)
    one.close()
    one.close()
    assert len(rows(READ)) == 500


def test_the_queue_has_an_end(writer, monkeypatch):
    monkeypatch.setattr(writer_module, "MOST_WAITING", 3)
    one = writer()
    for number in range(5):
        put(one, b"%d" % number, number)
    assert [key for _, key in one._waiting] == [b"2", b"3", b"4"]
    assert one.counters["state-change-lost"] == 2


def test_what_cannot_be_written_at_all_does_not_stop_the_rest(writer, rows, logged):
    one = writer()
    one.open()
    one.start()
    put(one, b"a", 1 << 70)
    assert one.flush(60)
    put(one, b"b", 2)
    assert one.flush(60)
    one.close()
    assert rows(READ) == [(b"b", 2)]
    assert one.counters == {"state-write-failed": 0, "state-change-lost": 1, "state-close-failed": 0}
    assert [record.getMessage() for record in logged] == ["step failed"]


def test_putting_never_waits_for_the_disk(writer, file, monkeypatch):
    """The disk does not answer at all, and the caller does not notice."""
    blocked, entered = threading.Event(), threading.Event()
    real = writer_module._commit

    def slow(connection, batch):
        entered.set()
        blocked.wait(30)
        real(connection, batch)

    monkeypatch.setattr(writer_module, "_commit", slow)
    one = writer()
    one.open()
    one.start()
    put(one, b"a", 0)
    assert entered.wait(60)
    began = time.thread_time()
    for number in range(1000):
        put(one, b"a", number)
    assert time.thread_time() - began < 1
    assert not one.flush(0)
    blocked.set()
    assert one.flush(60)


def test_another_program_in_the_file_is_told_and_waited_for(writer, file, told, rows, monkeypatch):
    monkeypatch.setattr("rhp.node.state.database._BUSY_SECONDS", 0.01)
    open_database(file, writer_module.datetime.now())[0].close()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    one = writer()
    assert one.open() is None
    assert told.failed == [f"{file}: another program has the file open; end that one"]
    one.start()
    put(one, b"a", 1)
    assert not one.flush(0.05)
    other.execute("COMMIT")
    other.close()
    assert one.flush(60)
    assert (len(told.failed), told.recovered) == (1, [True])
    one.close()
    assert rows(READ) == [(b"a", 1)]


def test_a_folder_that_is_not_there(writer, file, told):
    file.parent.rmdir()
    one = writer()
    assert one.open() is None
    assert told.failed == [
        f"{file}: No such file or directory; make room there, or write a node.state_dir that the node can write to"
    ]
    one.start()
    put(one, b"a", 1)
    file.parent.mkdir()
    assert one.flush(60)
    assert told.recovered == [True]


def test_a_file_that_is_damaged_under_a_running_node_is_set_aside(writer, file, told, rows):
    one = writer()
    one.open()
    one.start()
    for number in range(3000):
        put(one, b"%05d" % number, number)
    assert one.flush(60)
    # Everything is in the file itself, and SQLite has forgotten what it knew of it.
    one._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    one._connection.execute("PRAGMA shrink_memory")
    with file.open("r+b") as damaged:
        damaged.seek(4096)
        damaged.write(os.urandom(file.stat().st_size - 4096))
    put(one, b"x", 1)
    assert one.flush(60)
    (aside,) = told.aside
    assert aside.exists()
    assert told.failed == []
    one.close()
    assert rows(READ) == [(b"x", 1)]


KILLED = """
import os, random, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from rhp.node.state.database import open_database
from rhp.node.state.writer import Writer

file, chance = Path(sys.argv[1]), random.Random(9)
WRITE = "INSERT OR REPLACE INTO spent_tickets VALUES (?, ?)"

def node(first, out):
    nothing = lambda *_: None
    one = Writer(file, lambda: datetime.now(UTC), failed=print, recovered=nothing, renewed=print)
    one.open()
    one.start()
    for number in range(first + 1, first + 100_000):
        # One transaction may end between the two, but the second is never there without the first.
        for name in (b"first", b"second"):
            one.put(("spent", name), WRITE, (name, number))
        other = b"%d" % (number % 5000)
        one.put(("spent", other), WRITE, (other, 0))
        if number % 3 == 0 and one.flush(30):
            out.write(b"%d\\n" % number)

written = 0
for _ in range(100):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        node(written, os.fdopen(writing, "wb", buffering=0))
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as told:
        for _ in range(chance.randrange(1, 60)):
            written = int(told.readline())
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    connection, aside = open_database(file, datetime.now(UTC))
    assert aside is None
    found = dict(connection.execute("SELECT ticket_id, expires FROM spent_tickets WHERE expires > 0").fetchall())
    connection.close()
    assert found[b"first"] - found[b"second"] in (0, 1), found
    assert found[b"second"] >= written, (found, written)
    written = found[b"first"]
assert [one.name for one in file.parent.iterdir()] == ["state.db"]
print("survived")
"""


def test_kill_9_in_the_middle_of_writing_a_hundred_times(file):
    ran = subprocess.run([sys.executable, "-c", KILLED, str(file)], capture_output=True, text=True, timeout=900)
    assert (ran.stdout, ran.stderr) == ("survived\n", "")


FULL = """
import sqlite3, subprocess, sys, time
from datetime import UTC, datetime
from pathlib import Path
from rhp.node.state.writer import Writer

folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], check=True)
told = []
one = Writer(
    folder / "state.db", lambda: datetime.now(UTC), failed=lambda why: told.append(why),
    recovered=lambda: told.append("recovered"), renewed=lambda aside: told.append("renewed"), retry_seconds=0.01,
)
WRITE = "INSERT OR REPLACE INTO spent_tickets VALUES (?, ?)"
put = lambda name, number: one.put(("spent", name), WRITE, (name, number))
if len(sys.argv) < 3:
    assert one.open() is not None
    one.start()
    for number in range(1000):
        put(b"%d" % number, 1)
    assert one.flush(30)
room = folder / "room"
with room.open("wb", buffering=0) as filler:
    try:
        while True:
            filler.write(bytes(4096))
    except OSError:
        pass
if len(sys.argv) == 3:
    assert one.open() is None
    one.start()
# More than the last page has room for, again and again.
number = 0
while not number or not told:
    number += 1
    put(b"more %d" % number, number)
    one.flush(0.001)
while one.counters["state-write-failed"] < 3:
    time.sleep(0.001)
print(told[0])
assert told == [told[0]]
put(b"last", 1)
room.unlink()
assert one.flush(30)
assert told[1:] == ["recovered"]
one.close()
found = dict(sqlite3.connect(folder / "state.db").execute("SELECT * FROM spent_tickets").fetchall())
assert found[b"last"] == 1 and found[b"more %d" % number] == number
assert len(found) == number + 1 + (1000 if len(sys.argv) < 3 else 0)
"""


@pytest.mark.netns
@pytest.mark.parametrize("when", [(), ("at the start",)], ids=["later", "at the start"])
def test_a_full_disk_is_told_once_and_loses_nothing(tmp_path, when):
    script = [sys.executable, "-c", FULL, str(tmp_path), *when]
    ran = subprocess.run(["unshare", "-m", *script], capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(f"{tmp_path}/state.db: ")
    assert ran.stdout.endswith("; make room there, or write a node.state_dir that the node can write to\n")
