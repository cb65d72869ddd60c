"""The book of leases: what is read back in which order, what is no row at all, and what nobody can see of it."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest

from rhp.node.state.leases import LeaseBook
from rhp.pki.identity import ANONYMOUS, parse_identity
from rhp.realm.pools import Remembered

BEGAN = datetime(2026, 6, 1, tzinfo=UTC)
ANNA, BERT, CARL = (parse_identity(f"{name}@example.org") for name in ("anna", "bert", "carl"))
TWO, THREE, FOUR = (ip_address(f"10.88.0.{number}") for number in (2, 3, 4))
SIX = ip_address("fd88::2")


class Clock:
    now = BEGAN

    def __call__(self):
        self.now += timedelta(minutes=1)
        return self.now


@pytest.fixture
def book(writer):
    """A book on a writer that is open, and a way to close it and read it anew."""
    one = writer()
    one.open()
    one.start()
    return LeaseBook(one.put, Clock())


@pytest.fixture
def reread(writer, book):
    def read():
        book._put.__self__.close()
        second = writer()
        again = LeaseBook(second.put, Clock())
        found = again.load(second.open())
        second.start()
        return again, found

    return read


def test_what_rested_longest_comes_first_and_what_was_in_use_last(book, reread):
    book.changed("staff", TWO, ANNA, in_use=True)
    book.changed("staff", THREE, BERT, in_use=True)
    book.changed("staff", FOUR, CARL, in_use=True)
    book.changed("staff", FOUR, CARL, in_use=False)
    book.changed("staff", THREE, BERT, in_use=False)
    # The node is killed: Anna's has not rested at all.
    _, found = reread()
    assert found == [Remembered("staff", CARL, FOUR), Remembered("staff", BERT, THREE), Remembered("staff", ANNA, TWO)]


def test_dates_are_kept_and_nothing_is_in_use_after_a_start(book, reread):
    book.changed("staff", TWO, ANNA, in_use=True)
    book.changed("staff", TWO, ANNA, in_use=False)
    book.changed("staff", TWO, ANNA, in_use=True)
    again, _ = reread()
    assert again.picture() == [
        {
            "address": "10.88.0.2",
            "pool": "staff",
            "identity": "anna@example.org",
            "state": "kept",
            "since": "2026-06-01T00:01:00+00:00",
            "changed": "2026-06-01T00:03:00+00:00",
        }
    ]


def test_an_address_that_was_given_to_somebody_else_is_only_theirs(book, reread):
    book.changed("staff", TWO, ANNA, in_use=True)
    book.changed("staff", TWO, None, in_use=False)
    book.changed("staff", TWO, BERT, in_use=True)
    assert list(book.owners(TWO)) == ["bert@example.org"]
    again, found = reread()
    assert found == [Remembered("staff", BERT, TWO)]
    assert again.picture()[0]["since"] == "2026-06-01T00:02:00+00:00"


def test_what_the_pools_do_not_take_up_is_forgotten(book, reread):
    book.changed("staff", TWO, ANNA, in_use=False)
    book.changed("guests", SIX, ANNA, in_use=False)
    again, found = reread()
    again.keep_only((found[0],))
    again._put.__self__.flush(10)
    assert [(one["pool"], one["address"]) for one in again.picture()] == [(found[0].pool, str(found[0].address))]


def test_peers_without_a_name_are_listed_but_not_written(book, reread):
    book.changed("staff", TWO, ANNA, in_use=False)
    book.changed("staff", TWO, ANONYMOUS, in_use=True)
    assert [one["state"] for one in book.picture()] == ["in use"]
    assert reread()[1] == []


def test_rows_that_are_none_are_left_out_and_taken_out(book, reread, rows):
    book.changed("staff", TWO, ANNA, in_use=False)
    writer = book._put.__self__
    wrong = [
        ("staff", "no address", 2, b"x", 0, 1, 1),
        ("staff", "10.88.0.9", 2, "text", 0, 1, 1),
        ("staff", "10.88.0.10", "two", b"x", 0, 1, 1),
        ("staff", "10.88.0.11", 2, b"x", 0, b"", 1),
        (b"staff", "10.88.0.12", 2, b"x", 0, 1, 1),
    ]
    for number, row in enumerate(wrong):
        writer.put(("wrong", str(number)), "INSERT INTO leases VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    again, found = reread()
    assert found == [Remembered("staff", ANNA, TWO)]
    again._put.__self__.close()
    assert rows("SELECT address FROM leases") == [("10.88.0.2",)]


def test_impossible_dates_are_no_trouble(book, reread):
    writer = book._put.__self__
    row = ("staff", "10.88.0.9", 2, b"x", 0, 1 << 62, -(1 << 62))
    writer.put(("wrong",), "INSERT INTO leases VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    again, _ = reread()
    assert [(one["since"], one["changed"]) for one in again.picture()] == [("", "")]
