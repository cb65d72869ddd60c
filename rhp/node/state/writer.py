"""The one thread that writes the state file.

`put` is called on the loop and never waits: it notes a change under a key, and a newer change of the same key takes its
place. The thread takes all that is there and writes it in one transaction. What could not be written goes back, under
what has come meanwhile, and is tried again later; so a disk that was full for an hour has everything once there is
room, and the queue is never longer than there are keys.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from rhp.node.state.database import StateError, is_damaged, open_database, set_aside

MOST_WAITING = 200_000
"""So many changes wait; beyond that the oldest is lost, and counted."""
RETRY_SECONDS = 30.0
CLOSE_SECONDS = 3.0
"""How long the end of the node waits for a disk that does not answer."""

FAILED, LOST, UNCLOSED = "state-write-failed", "state-change-lost", "state-close-failed"
"""What is counted: tries that failed, changes that are written by nobody any more, and files that did not close."""

Key = tuple[str, ...] | tuple[str, bytes]
Value = str | int | bytes
Change = tuple[str, tuple[Value, ...]]
_logger = logging.getLogger("rhp")
_Trouble = (sqlite3.Error, OSError, StateError)


class Writer:
    """Writes changes to the file `path`.

    Called on the writer's own thread: `failed` with a sentence when writing begins to fail, `recovered` when it works
    again, `renewed` with the place of a damaged file that was set aside, after which everything has to be put again.
    """

    def __init__(
        self,
        path: Path,
        wall_clock: Callable[[], datetime],
        *,
        failed: Callable[[str], None],
        recovered: Callable[[], None],
        renewed: Callable[[Path], None],
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._path = path
        self._wall_clock = wall_clock
        self._failed, self._recovered, self._renewed = failed, recovered, renewed
        self._retry = retry_seconds
        self._connection: sqlite3.Connection | None = None
        self._waiting: dict[Key, Change] = {}
        self._wake = threading.Condition()
        self._closing = False
        self._failing = False
        self._idle = True
        self._thread = threading.Thread(target=self._run, name="rhp-state", daemon=True)
        # All of them from the start: the loop reads them while the thread counts, and none may come up meanwhile.
        self.counters: Counter[str] = Counter(dict.fromkeys((FAILED, LOST, UNCLOSED), 0))

    def open(self) -> sqlite3.Connection | None:
        """Open the file, before `start`, to read what is in it; None, and told, where there is no way."""
        try:
            self._connection, aside = open_database(self._path, self._wall_clock())
        except _Trouble as error:
            self._in_trouble(error)
            return None
        if aside is not None:
            self._renewed(aside)
        return self._connection

    def damaged(self) -> None:
        """What was read makes no sense, before `start`: set the file aside and begin another."""
        try:
            self._begin_anew()
        except _Trouble as error:
            self._in_trouble(error)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, key: Key, statement: str, values: tuple[Value, ...]) -> None:
        """Have one statement carried out soon; a later one with the same key comes in its place."""
        with self._wake:
            # To the end, so that the oldest stays the first.
            self._waiting.pop(key, None)
            self._waiting[key] = (statement, values)
            self._bound()
            self._wake.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until all that was put is written; False when it is not within `timeout` seconds."""
        with self._wake:
            return self._wake.wait_for(lambda: self._idle and not self._waiting, timeout)

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Write what waits and close the file; a disk that does not answer is left to itself. Safe twice."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        if self._thread.ident is None:
            self._disconnect()
        else:
            self._thread.join(timeout)

    def _run(self) -> None:
        last = False
        while not last:
            with self._wake:
                self._idle = True
                self._wake.notify_all()
                self._wake.wait_for(lambda: self._waiting or self._closing)
                batch, self._waiting = self._waiting, {}
                self._idle, last = not batch, self._closing
            if not batch or self._try(batch):
                continue
            with self._wake:
                self._waiting = {**batch, **self._waiting}
                self._bound()
                self._wake.wait_for(lambda: self._closing, self._retry)
        self._disconnect()

    def _try(self, batch: dict[Key, Change]) -> bool:
        try:
            self._write(batch)
        except _Trouble as error:
            self._in_trouble(error)
            return False
        except Exception:
            # A mistake of ours with one of them: trying again would not help, and the others have to go on.
            self.counters[LOST] += len(batch)
            _logger.exception("step failed")
            return True
        if self._failing:
            self._failing = False
            self._recovered()
        return True

    def _write(self, batch: dict[Key, Change]) -> None:
        if self._connection is None:
            self._connection, aside = open_database(self._path, self._wall_clock())
            if aside is not None:
                self._renewed(aside)
        try:
            _commit(self._connection, batch)
        except sqlite3.DatabaseError as error:
            if not is_damaged(error):
                raise
            self._begin_anew()
            _commit(self._connection, batch)

    def _begin_anew(self) -> None:
        self._disconnect()
        aside = set_aside(self._path, self._wall_clock())
        self._connection, _ = open_database(self._path, self._wall_clock())
        self._renewed(aside)

    def _in_trouble(self, error: BaseException) -> None:
        self.counters[FAILED] += 1
        if not self._failing:
            self._failing = True
            self._failed(sentence(error, self._path))

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                self.counters[UNCLOSED] += 1

    def _bound(self) -> None:
        while len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
            self.counters[LOST] += 1


def sentence(error: BaseException, path: Path) -> str:
    """What is wrong and what to do about it."""
    if isinstance(error, StateError):
        return str(error)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_BUSY:
        return f"{path}: another program has the file open; end that one"
    why = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return f"{path}: {why}; make room there, or write a node.state_dir that the node can write to"


def _commit(connection: sqlite3.Connection, batch: dict[Key, Change]) -> None:
    """Carry out all changes or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement, values in batch.values():
            connection.execute(statement, values)
        connection.execute("COMMIT")
    except BaseException:
        # A disk that is full may have rolled it back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
