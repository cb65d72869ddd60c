"""The state file: its mode, its schema from step to step, and every way in which it can be no good."""

import random
import sqlite3
import stat
from datetime import UTC, datetime, timedelta

import pytest

from rhp.node.state import database
from rhp.node.state.database import StateError, open_database
from rhp.node.state.schema import APPLICATION_ID, STEPS

DATE = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)


def opened(file, date=DATE):
    connection, aside = open_database(file, date)
    return connection, aside


def filled(file, leases=2000):
    """A file with more leases than fit a few pages; closed, so that nothing is left in the log."""
    connection, _ = opened(file)
    connection.execute("BEGIN")
    for number in range(leases):
        row = ("staff", f"10.0.{number // 256}.{number % 256}", 2, b"client%d.example.org" % number, 0, 1, number)
        connection.execute("INSERT INTO leases VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    connection.execute("COMMIT")
    connection.close()


def count(connection):
    return connection.execute("SELECT count(*) FROM leases").fetchone()[0]


def test_it_is_its_owner_s_alone(file):
    connection, aside = opened(file)
    assert aside is None
    connection.execute("INSERT INTO spent_tickets VALUES (x'00', 1)")
    for one in file.parent.iterdir():
        assert stat.S_IMODE(one.stat().st_mode) == 0o600, one
    # No shared memory file, which a full disk could take away under the node.
    assert {one.name for one in file.parent.iterdir()} == {"state.db", "state.db-wal"}
    connection.close()
    assert [one.name for one in file.parent.iterdir()] == ["state.db"]


def test_a_mode_that_is_too_wide_is_narrowed(file):
    filled(file, 3)
    file.chmod(0o644)
    connection, _ = opened(file)
    connection.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_link_is_not_followed(file, tmp_path):
    (tmp_path / "passwd").write_bytes(b"")
    file.symlink_to(tmp_path / "passwd")
    with pytest.raises(OSError, match="symbolic links"):
        opened(file)


def test_nobody_else_can_write_while_it_is_open(file):
    connection, _ = opened(file)
    connection.execute("INSERT INTO spent_tickets VALUES (x'00', 1)")
    other = sqlite3.connect(file, timeout=0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("INSERT INTO spent_tickets VALUES (x'01', 1)")
    other.close()
    connection.close()


@pytest.mark.parametrize("done", range(len(STEPS)))
def test_a_file_of_an_older_rhp_gets_the_steps_that_it_lacks(file, done):
    old = sqlite3.connect(file)
    for step in STEPS[:done]:
        for statement in step:
            old.execute(statement)
    if done:
        old.execute("INSERT INTO leases VALUES ('staff', '10.0.0.7', 2, x'61', 0, 1, 2)")
    old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    old.execute(f"PRAGMA user_version = {done}")
    old.commit()
    old.close()
    connection, aside = opened(file)
    assert aside is None
    assert count(connection) == (done > 0)
    assert connection.execute("SELECT count(*) FROM totals").fetchone() == (0,)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(STEPS),)
    connection.close()


def test_a_step_that_fails_leaves_the_file_as_it_was(file, monkeypatch):
    filled(file, 5)
    monkeypatch.setattr(database, "STEPS", (*STEPS, ("CREATE TABLE more (one)", "CREATE TABLE leases (one)")))
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        opened(file)
    monkeypatch.undo()
    connection, aside = opened(file)
    assert (count(connection), aside) == (5, None)
    connection.close()


def test_a_file_of_a_newer_rhp_is_left_alone(file):
    filled(file, 5)
    newer = sqlite3.connect(file)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    before = file.read_bytes()
    with pytest.raises(StateError, match=r"newer rhp \(version 99; this one knows 2\); use that one"):
        opened(file)
    assert file.read_bytes() == before
    assert [one.name for one in file.parent.iterdir()] == ["state.db"]


def damage_garbage(content):
    return random.Random(1).randbytes(len(content))


def damage_half(content):
    return content[: len(content) // 2]


def damage_odd_end(content):
    return content[: len(content) - 1000]


def damage_a_few_octets(content):
    return content[:50]


def damage_flipped_page(content):
    at = 5 * 4096
    return content[:at] + bytes(octet ^ 0xFF for octet in content[at : at + 4096]) + content[at + 4096 :]


def damage_head(content):
    return b"\xff" * 100 + content[100:]


def damage_zeroes(content):
    return content[:4096] + bytes(len(content) - 4096)


def damage_pages_of_another_place(content):
    return content[: 4 * 4096] + content[8 * 4096 : 12 * 4096] + content[8 * 4096 :]


DAMAGES = [value for name, value in list(globals().items()) if name.startswith("damage_")]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_set_aside_and_another_begun(file, damage):
    filled(file)
    damaged = damage(file.read_bytes())
    file.write_bytes(damaged)
    connection, aside = opened(file)
    assert aside == file.with_name("state.db.corrupt-20260601T123000Z")
    assert aside.read_bytes() == damaged
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    assert count(connection) == 0
    connection.execute("INSERT INTO spent_tickets VALUES (x'00', 1)")
    connection.close()
    connection, again = opened(file)
    assert again is None
    connection.close()


@pytest.mark.parametrize("statement", ["DROP TABLE leases", "PRAGMA application_id = 7", "PRAGMA user_version = -1"])
def test_what_is_a_database_but_not_ours_is_set_aside_too(file, statement):
    filled(file, 5)
    other = sqlite3.connect(file)
    other.execute(statement)
    other.close()
    connection, aside = opened(file)
    assert aside is not None
    assert count(connection) == 0
    connection.close()


def test_a_log_that_is_garbage_costs_what_was_in_it(file):
    filled(file, 5)
    file.with_name("state.db-wal").write_bytes(random.Random(2).randbytes(50_000))
    connection, aside = opened(file)
    assert (count(connection), aside) == (5, None)
    connection.close()


def test_only_the_newest_damaged_files_are_kept(file):
    for number in range(6):
        file.write_bytes(b"no database, but as long as one" * 100)
        opened(file, DATE + timedelta(seconds=number))[0].close()
    kept = sorted(one.name for one in file.parent.iterdir())
    assert kept == ["state.db", *(f"state.db.corrupt-20260601T12300{number}Z" for number in (3, 4, 5))]
