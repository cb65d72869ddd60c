"""The tables of the state file, as steps: a file has a number of them, and the steps behind it are done at opening.

A step that was released is never changed; what has to be different is a further step.
"""

from __future__ import annotations

APPLICATION_ID = 0x72687031
"""Says in the file's head that it is rhp's: "rhp1"."""

STEPS: tuple[tuple[str, ...], ...] = (
    (
        # Who has which inner address. Dates are seconds since 1970; `changed` is when it was last taken or left.
        """CREATE TABLE leases (
            pool TEXT NOT NULL, address TEXT NOT NULL, id_type INTEGER NOT NULL, id_data BLOB NOT NULL,
            in_use INTEGER NOT NULL, since INTEGER NOT NULL, changed INTEGER NOT NULL,
            PRIMARY KEY (pool, address)) WITHOUT ROWID""",
        # Which tickets must not come again, until they expire by themselves.
        "CREATE TABLE spent_tickets (ticket_id BLOB PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID",
    ),
    (
        # What each connection has carried and done in its whole life.
        """CREATE TABLE totals (
            connection TEXT PRIMARY KEY, since INTEGER NOT NULL,
            bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
            packets_in INTEGER NOT NULL, packets_out INTEGER NOT NULL,
            handshakes INTEGER NOT NULL, resumed INTEGER NOT NULL, rekeys INTEGER NOT NULL,
            failures INTEGER NOT NULL, up_seconds INTEGER NOT NULL) WITHOUT ROWID""",
    ),
)
"""Each step as its statements; the file's user_version counts the steps that it has had."""

TABLES = ("leases", "spent_tickets", "totals")
"""What a file has after all steps."""
