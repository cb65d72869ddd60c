"""Opening the state file: its mode, its schema, and what is done with one that cannot be read.

Write-ahead logging, so that a process killed in the middle of a write leaves the last whole transaction. The file is
held exclusively: nobody else may write it, and SQLite then needs no shared memory file, which a full disk would turn
into SIGBUS. Commits are not flushed one by one: kill -9 loses nothing that was committed, and a power cut may cost the
last seconds, but never the file.

A file that is no database, or whose pages contradict each other, is moved aside and a new one is begun: a node without
its leases is better than no node.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from rhp.node.state.schema import APPLICATION_ID, STEPS, TABLES

NAME = "state.db"
KEPT_ASIDE = 3
"""So many damaged files are kept, the newest."""

_BUSY_SECONDS = 1.0
_LONGEST_LOG = 4 * 1024 * 1024
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class StateError(Exception):
    """The file cannot be used as it is, and has to stay as it is; the message is one sentence."""


def is_damaged(error: BaseException) -> bool:
    """Whether this error says that the file's content is wrong, and not that the disk or the moment is."""
    return isinstance(error, sqlite3.DatabaseError) and (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _CORRUPT


def open_database(path: Path, date: datetime) -> tuple[sqlite3.Connection, Path | None]:
    """Open the file or make it; with it where a damaged one was put, or None.

    The folder has to be there and locked. Raises OSError, sqlite3.Error or StateError where there is no way.
    """
    try:
        return _open(path), None
    except sqlite3.DatabaseError as error:
        if not is_damaged(error):
            raise
    aside = set_aside(path, date)
    return _open(path), aside


def set_aside(path: Path, date: datetime) -> Path:
    """Move a damaged file, and the log that belongs to it, out of the way; where it is now. Raises OSError."""
    aside = path.with_name(f"{path.name}.corrupt-{date:%Y%m%dT%H%M%SZ}")
    path.rename(aside)
    log = path.with_name(f"{path.name}-wal")
    if log.exists():
        log.rename(aside.with_name(f"{aside.name}-wal"))
    earlier = sorted(one for one in path.parent.glob(f"{path.name}.corrupt-*") if not one.name.endswith("-wal"))
    for old in earlier[:-KEPT_ASIDE]:
        old.unlink()
        old.with_name(f"{old.name}-wal").unlink(missing_ok=True)
    return aside


def _open(path: Path) -> sqlite3.Connection:
    # SQLite would make it with the mode of the umask. What is there already is given the right one again.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "rb"):
        os.fchmod(descriptor, 0o600)
    # The thread that opens it is not the one that writes; there is never more than one at a time.
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA trusted_schema = OFF")
        _check(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {_LONGEST_LOG}")
        _migrate(connection)
        _check_tables(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    whole = _one(connection, "PRAGMA integrity_check(1)")
    if whole != "ok":
        raise _damage(f"{path}: {whole}")
    owner, steps = _one(connection, "PRAGMA application_id"), _one(connection, "PRAGMA user_version")
    has_tables = _one(connection, "SELECT count(*) FROM sqlite_master")
    if owner != APPLICATION_ID and (has_tables or owner):
        raise _damage(f"{path} is another program's")
    if not isinstance(steps, int) or steps < 0:
        raise _damage(f"{path} has an impossible version")
    if steps > len(STEPS):
        told = f"{path} was written by a newer rhp (version {steps}; this one knows {len(STEPS)})"
        raise StateError(f"{told}; use that one, or move the file away")


def _migrate(connection: sqlite3.Connection) -> None:
    """Do the steps that are missing, all of them or none."""
    done = int(str(_one(connection, "PRAGMA user_version")))
    if done == len(STEPS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in STEPS[done:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _check_tables(connection: sqlite3.Connection, path: Path) -> None:
    for table in TABLES:
        try:
            connection.execute(f"SELECT * FROM {table} LIMIT 0")  # noqa: S608  # Names of our own.
        except sqlite3.OperationalError as error:
            raise _damage(f"{path}: {error}") from None


def _one(connection: sqlite3.Connection, question: str) -> object:
    with closing(connection.execute(question)) as cursor:
        row = cursor.fetchone()
    return row[0] if row else None


def _damage(what: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(what)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error
