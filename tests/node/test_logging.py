"""The log: its vocabulary, its form, its limits, and the page that describes it."""

import io
import json
import logging
import re
from datetime import UTC, datetime
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest

from rhp.ike import events
from rhp.ike.assignment import Assignment
from rhp.ike.errors import Fault
from rhp.ike.path import Endpoint
from rhp.ike.path import Path as IkePath
from rhp.node.journal import FAILURES_KEPT, Journal, translate
from rhp.node.log import EventLog, quote, render, set_up
from rhp.node.ratelimit import RateLimit
from rhp.node.vocabulary import EVENTS, FIELDS
from rhp.pki.identity import parse_identity
from rhp.wire.identity import Identity

PAGE = Path(__file__).parents[2] / "docs" / "logging.md"
SOURCES = Path(__file__).parents[2] / "rhp"
LISTS = ("vocabulary.py", "subsystems.py")
PATH = IkePath(
    Endpoint(__import__("ipaddress").ip_address("192.0.2.1"), 4500),
    Endpoint(__import__("ipaddress").ip_address("192.0.2.2"), 4500),
    True,
)
PEER = parse_identity("b.example.org")
SAMPLES = [
    events.StateChanged(1, "office", "connecting", "established"),
    events.IkeEstablished(1, "office", "initiator", PEER, PATH, "aes128gcm16-prfsha256-x25519"),
    events.IkeRekeyed(1, "office", "initiator", "aes128gcm16-prfsha256-x25519"),
    events.IkeClosed(1, "office", PEER, "no-answer", Fault.NETWORK),
    events.ChildEstablished(2, 1, "office", "lan", PEER, "tunnel", 0x1000, 0xFFFFFFFF, "aes128gcm16", (), ()),
    events.ChildRekeyed(2, 1, "office", "lan", 0x1001, 0x1002, "aes128gcm16"),
    events.ChildClosed(2, 1, "office", "lan", "deleted", Fault.PEER),
    events.ChildFailed(1, "office", "lan", "ts-unacceptable", "the peer refused", Fault.PEER),
    events.AuthenticationFailed(1, "office", "responder", PEER, PATH, "wrong-key", "it differs", Fault.PEER),
    events.InitiationFailed(1, "office", "no-answer", "", Fault.NETWORK),
    events.HandshakeRefused(1, "", PATH, "no-proposal-chosen", ""),
    events.PathChanged(1, "office", PATH, PATH, "own-address"),
    events.PathRefused(1, "office", PATH, "unacceptable-addresses"),
    events.Redirected(1, "office", "gate.example.org", PATH.remote.ip),
    events.AddressLeased(1, "office", PEER, (ip_address("10.88.0.2"), ip_address("fd88::2"))),
    events.LeaseEnded(1, "office", PEER, (ip_address("10.88.0.2"),)),
    events.AddressesAssigned(
        1,
        "office",
        PEER,
        PATH,
        Assignment((ip_interface("10.88.0.2/32"),), dns=(ip_address("10.88.0.1"),), domains=("x.y",)),
    ),
    events.EngineFault(1, "KeyError"),
    events.ExtensionNote(1, "office", PEER, "peer-note", "rhp 0.1.0"),
    events.IkeReauthenticated(1, "office", "initiator", PEER, PATH, "aes128gcm16-prfsha256-x25519", 7),
]

FOLLOWING = (
    events.StateChanged
    | events.IkeRekeyed
    | events.ChildRekeyed
    | events.ChildClosed
    | events.ChildFailed
    | events.PathChanged
    | events.PathRefused
    | events.Redirected
)
"""What happens to an IKE SA whose peer has proved itself, and says no name."""


@pytest.fixture
def logged():
    stream = io.StringIO()
    set_up("debug", stream)
    yield stream
    for handler in list(logging.getLogger("rhp").handlers):
        logging.getLogger("rhp").removeHandler(handler)
    logging.getLogger("rhp").propagate = True


@pytest.fixture
def journal(make_journal):
    return make_journal(office="b.example.org")


@pytest.fixture
def make_journal():
    def make(**expected):
        published = []
        made = Journal(
            EventLog(lambda: 0.0, burst=10**6), lambda: datetime(2026, 3, 1, tzinfo=UTC), published.append, expected
        )
        made.published = published
        return made

    return make


SAMPLES_REFUSED = events.HandshakeRefused(1, "office", PATH, "no-proposal-chosen", "no")


def test_the_page_lists_every_event_and_every_field_and_nothing_else():
    text = PAGE.read_text()
    events_part, fields_part = text.split("## Fields")
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \| (.+) \|$", events_part, re.MULTILINE)
    assert [(words, level, meaning) for words, level, meaning in rows] == [
        (words, logging.getLevelName(word.level).lower(), word.meaning) for words, word in EVENTS.items()
    ]
    assert dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", fields_part, re.MULTILINE)) == FIELDS


def test_every_event_of_the_vocabulary_is_written_somewhere():
    sources = "".join(file.read_text() for file in SOURCES.rglob("*.py") if file.name not in LISTS)
    missing = [words for words in EVENTS if f'"{words}"' not in sources]
    assert missing == []


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_every_event_of_the_engine_becomes_one_line(event, logged, make_journal):
    journal = make_journal(office="b.example.org")
    journal.record(event)
    (line,) = logged.getvalue().splitlines()
    words, fields = translate(event)
    assert f" {words}" in line
    assert set(fields) <= set(FIELDS)
    assert "Identity(" not in line
    assert "Fault" not in line
    (published,) = journal.published
    assert json.loads(json.dumps(published))["event"] == words


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_every_line_says_who_and_every_bad_end_says_why(event, logged, make_journal):
    make_journal(office="b.example.org").record(event)
    (line,) = logged.getvalue().splitlines()
    if getattr(event, "connection", ""):
        assert " connection=office" in line
        assert " peer=b.example.org" in line
    if re.search(r"(closed|failed|refused|path changed) ", line):
        assert " reason=" in line


def test_no_event_of_the_engine_is_forgotten():
    assert {type(event) for event in SAMPLES} == set(events.Event.__args__)


def test_events_are_published_only_to_followers_and_failures_are_kept_for_all(logged):
    published, followers = [], []
    log = EventLog(lambda: 0.0)
    journal = Journal(log, lambda: datetime(2026, 3, 1, tzinfo=UTC), published.append, {}, lambda: bool(followers))
    for event in SAMPLES:
        journal.record(event)
    assert published == [] and sum(journal.counters.values()) == len(SAMPLES)
    assert "authentication failed" in [failure["event"] for failure in journal.failures()]
    followers.append("one")
    journal.record(SAMPLES[8])
    assert [one["event"] for one in published] == ["authentication failed"]


def test_an_authentication_failure_names_who_and_why(logged, journal):
    journal.record(SAMPLES[8])
    assert "authentication failed connection=office peer=b.example.org role=responder" in logged.getvalue()
    assert "reason=wrong-key" in logged.getvalue()
    assert journal.last_errors == {"office": "authentication failed: b.example.org: it differs"}
    (failure,) = journal.failures()
    assert (failure["event"], failure["peer"], failure["reason"]) == (
        "authentication failed",
        "b.example.org",
        "wrong-key",
    )


@pytest.mark.parametrize(
    "event", [one for one in SAMPLES if isinstance(one, FOLLOWING)], ids=lambda event: type(event).__name__
)
def test_of_a_connection_for_many_the_line_names_who_it_was(event, logged, make_journal):
    journal = make_journal(office="*.example.org")
    journal.record(events.IkeEstablished(1, "office", "responder", PEER, PATH, "aes128gcm16-prfsha256-x25519"))
    stranger = parse_identity("c.example.org")
    journal.record(events.IkeEstablished(5, "office", "responder", stranger, PATH, "aes128gcm16-prfsha256-x25519"))
    journal.record(event)
    assert " peer=b.example.org" in logged.getvalue().splitlines()[-1]
    assert journal.published[-1]["peer"] == "b.example.org"
    # Nothing is kept of an IKE SA that is over.
    for ike_id, peer in ((1, PEER), (5, stranger)):
        journal.record(events.IkeClosed(ike_id, "office", peer, "deleted", Fault.NONE))
    assert journal._proved == {}
    journal.record(event)
    assert journal.published[-1]["peer"] == "*.example.org"


def test_a_peer_that_has_told_no_identity_is_named_as_expected(make_journal):
    journal = make_journal(office="b.example.org")
    journal.record(events.AuthenticationFailed(1, "office", "initiator", None, PATH, "refused", "no", Fault.LOCAL))
    assert journal.failures()[0]["peer"] == "b.example.org"


def test_a_caller_s_identity_is_never_guessed(logged, make_journal):
    make_journal(office="b.example.org").record(SAMPLES_REFUSED)
    assert "b.example.org" not in logged.getvalue()


def test_who_is_called_is_named(logged, make_journal):
    journal = make_journal(office="b.example.org")
    journal.write("connecting", connection="office", path=PATH)
    journal.write("connecting failed", connection="office", reason="no-route")
    assert logged.getvalue().count("peer=b.example.org") == 2


def test_an_initiation_that_is_no_longer_wanted_is_no_failure(logged, journal):
    journal.record(events.InitiationFailed(1, "office", "closed", "", Fault.NONE))
    assert "connecting ended connection=office reason=closed" in logged.getvalue()
    assert journal.failures() == []
    assert journal.last_errors == {}


def test_a_failed_authentication_is_one_line_at_the_responder(logged, journal):
    for ike_id in (1, 2):
        journal.record(
            events.AuthenticationFailed(ike_id, "office", "responder", PEER, PATH, "wrong-key", "no", Fault.PEER)
        )
        journal.record(events.StateChanged(ike_id, "office", "authenticating", "closed"))
        journal.record(events.HandshakeRefused(ike_id, "office", PATH, "wrong-key", "no"))
    journal.record(events.HandshakeRefused(3, "office", PATH, "no-proposal-chosen", "no"))
    assert logged.getvalue().count("authentication failed") == 2
    assert logged.getvalue().count("handshake refused") == 1
    assert [one["event"] for one in journal.published].count("handshake refused") == 3
    assert journal.counters["handshake-refused"] == 3


def test_a_consequence_does_not_hide_its_cause(journal):
    journal.record(events.AuthenticationFailed(1, "office", "initiator", PEER, PATH, "refused", "no", Fault.LOCAL))
    journal.record(events.InitiationFailed(1, "office", "refused", "no", Fault.PEER))
    assert [one["event"] for one in journal.failures()] == ["authentication failed"]
    assert journal.last_errors["office"].startswith("authentication failed")
    journal.record(events.InitiationFailed(1, "office", "no-answer", "", Fault.NETWORK))
    assert [one["event"] for one in journal.failures()] == ["connecting failed", "authentication failed"]


def test_equal_failures_are_counted_and_the_list_is_bounded(journal):
    for _ in range(5):
        journal.record(SAMPLES[9])
    assert journal.failures()[0]["count"] == 5
    for number in range(FAILURES_KEPT * 2):
        journal.record(events.InitiationFailed(1, f"office{number}", "no-answer", "", Fault.NETWORK))
    assert len(journal.failures()) == FAILURES_KEPT
    assert journal.failures()[0]["connection"] == f"office{FAILURES_KEPT * 2 - 1}"


def test_an_end_that_was_asked_for_is_no_failure(journal):
    journal.record(events.IkeClosed(1, "office", PEER, "closed", Fault.NONE))
    assert journal.failures() == []
    assert journal.last_errors == {}


def test_success_forgets_the_last_error_and_keeps_the_history(journal):
    journal.record(SAMPLES[8])
    journal.record(SAMPLES[1])
    assert journal.last_errors == {}
    assert len(journal.failures()) == 1


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"),
        ("192.0.2.1:4500", "192.0.2.1:4500"),
        ("two words", '"two words"'),
        ('a"b', '"a\\"b"'),
        ("a=b", '"a=b"'),
        ("line\nbreak", '"line\\nbreak"'),
        ("\x1b[31mred", '"\\u001b[31mred"'),
        ("ümlaut", '"\\u00fcmlaut"'),
        ("", '""'),
    ],
)
def test_a_value_is_one_word(value, written):
    assert quote(value) == written


def test_a_value_is_short():
    assert len(quote("x" * 10000)) < 400


def test_a_peer_s_identity_cannot_forge_a_line(logged, journal):
    evil = Identity(2, b"x\n2026-01-01 INFO ike established peer=admin")
    journal.record(events.IkeClosed(1, "office", evil, "deleted", Fault.PEER))
    assert len(logged.getvalue().splitlines()) == 1


def test_a_word_outside_the_vocabulary_is_a_mistake(journal):
    with pytest.raises(KeyError):
        journal.write("something happened")
    with pytest.raises(KeyError):
        render("node started", {"colour": "red"})


def test_fields_without_a_value_are_left_out():
    assert render("node started", {"pid": 1, "peer": None, "reason": ""}) == "node started pid=1"


def test_lines_that_strangers_cause_are_limited_and_what_is_lost_is_counted(logged):
    now = [0.0]
    log = EventLog(lambda: now[0], rate=1.0, burst=5)
    for _ in range(100):
        log.write("handshake refused", reason="x")
    assert len(logged.getvalue().splitlines()) == 5
    log.write("ike established", connection="office")
    assert len(logged.getvalue().splitlines()) == 6
    now[0] = 2.0
    log.write("handshake refused", reason="x")
    assert "lines suppressed suppressed=95" in logged.getvalue()
    assert len(logged.getvalue().splitlines()) == 8


def test_a_bucket_refills_and_a_clock_that_stands_still_gives_nothing():
    limit = RateLimit(2.0, 2)
    assert [limit.allows(0.0) for _ in range(3)] == [True, True, False]
    assert limit.allows(0.5)
    assert not limit.allows(0.5)
    assert limit.take_suppressed() == 2
    assert limit.take_suppressed() == 0
    assert [limit.allows(100.0) for _ in range(3)] == [True, True, False]


def test_levels_below_the_chosen_one_are_not_written(logged):
    set_up("warning", logged)
    log = EventLog(lambda: 0.0)
    log.write("ike established", connection="office")
    assert logged.getvalue() == ""
    log.write("connecting failed", connection="office")
    assert " WARNING connecting failed connection=office" in logged.getvalue()
