"""The vault outlives the node, keeps its keys for their time and no longer, and never stops a node from starting."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rhp.node.errors import StartError
from rhp.node.vault import LOOK_AGAIN, NodeVault

BEGAN = datetime(2026, 6, 1, tzinfo=UTC)


class Book:
    """A journal that keeps what is written."""

    def __init__(self):
        self.lines = []

    def write(self, words, **fields):
        self.lines.append((words, fields))


class Clock:
    def __init__(self):
        self.now = BEGAN

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def book():
    return Book()


@pytest.fixture
def vault(tmp_path, clock, book):
    made = []

    def make(folder=tmp_path / "state"):
        made.append(NodeVault(folder, clock, book))
        return made[-1]

    yield make
    for one in made:
        one.close()


def reopened(make):
    one = make()
    found = one.open()
    one.close()
    return found


def test_it_is_made_for_its_owner_alone(vault, tmp_path, book):
    found = vault().open()
    assert (len(found.crash), len(found.tickets), len(found.tickets[0].secret)) == (32, 1, 32)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / "vault.json").stat().st_mode & 0o777 == 0o600
    assert book.lines == []
    assert found.crash.expose().hex() not in repr(found)


def test_it_outlives_the_node(vault):
    assert reopened(vault) == reopened(vault)


def test_what_fingerprints_are_keyed_with_outlives_the_node_and_is_its_own(vault, tmp_path):
    one = vault()
    crash = one.open().crash.expose()
    one.close()
    two, other = vault(), vault(tmp_path / "other")
    two.open()
    other.open()
    assert one.fingerprint_key == two.fingerprint_key != other.fingerprint_key
    assert len(one.fingerprint_key) == 32 and one.fingerprint_key != crash
    for node in (two, other):
        node.close()


def test_a_ticket_key_seals_for_half_a_day_and_opens_for_a_day(vault, clock):
    first = reopened(vault)
    clock.now += timedelta(hours=11)
    assert reopened(vault) == first
    clock.now += timedelta(hours=1)
    second = reopened(vault)
    assert second.tickets[1:] == first.tickets
    clock.now += timedelta(hours=12)
    third = reopened(vault)
    assert third.tickets[1:] == second.tickets[:1]
    clock.now += timedelta(days=3)
    fourth = reopened(vault)
    assert len(fourth.tickets) == 1
    assert len({first.tickets[0].name, second.tickets[0].name, third.tickets[0].name, fourth.tickets[0].name}) == 4
    assert fourth.crash == first.crash


def test_it_is_renewed_while_the_node_runs(vault, clock):
    class Loop:
        def __init__(self):
            self.calls = []

        def call_later(self, seconds, action):
            self.calls.append((seconds, action))
            return self

        def cancel(self):
            self.calls.clear()

    one, loop, changed = vault(), Loop(), []
    first = one.open()
    one.start(loop, changed.append)
    for hours, expected in ((1, 0), (11, 1), (1, 1), (11, 2)):
        clock.now += timedelta(hours=hours)
        ((seconds, look),) = loop.calls
        assert seconds == LOOK_AGAIN
        loop.calls.clear()
        look()
        assert len(changed) == expected
    assert changed[0].tickets[0] == changed[1].tickets[1]
    # What opens nothing any more is overwritten.
    assert len(first.tickets[0].secret) == 0
    one.close()
    assert loop.calls == []
    assert reopened(vault) == changed[1]


def test_a_key_from_the_future_is_not_trusted(vault, clock):
    first = reopened(vault)
    clock.now -= timedelta(days=400)
    second = reopened(vault)
    assert second.tickets[0] != first.tickets[0]
    assert len(second.tickets) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nothing",
        b"[]",
        b"[" * 60000,
        b'{"version": 2}',
        json.dumps({"version": 1, "crash": "00" * 31, "tickets": []}).encode(),
        json.dumps(
            {"version": 1, "crash": "00" * 32, "tickets": [{"name": "00", "key": "00" * 32, "made": 1}]}
        ).encode(),
        json.dumps({"version": 1, "crash": "00" * 32, "tickets": [3]}).encode(),
        json.dumps(
            {"version": 1, "crash": "00" * 32, "tickets": [{"name": "00" * 8, "key": "00" * 32, "made": "1"}]}
        ).encode(),
    ],
)
def test_what_is_no_vault_is_made_anew_and_told(vault, tmp_path, book, content):
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "vault.json").write_bytes(content)
    (folder / "vault.json").chmod(0o600)
    first = reopened(vault)
    ((words, fields),) = book.lines
    assert words == "vault unusable"
    assert fields["detail"] == f"{folder}/vault.json holds no vault; it is made anew"
    assert reopened(vault) == first
    assert len(book.lines) == 1


def test_a_file_that_others_can_read_is_replaced(vault, tmp_path, book):
    first = reopened(vault)
    file = tmp_path / "state" / "vault.json"
    file.chmod(0o644)
    second = reopened(vault)
    assert second.crash != first.crash
    assert "chmod 600" in book.lines[0][1]["detail"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_made(vault, tmp_path, book):
    (tmp_path / "file").write_text("")
    found = vault(tmp_path / "file" / "state").open()
    assert len(found.tickets) == 1
    assert book.lines[0][0] == "vault unusable"
    assert str(tmp_path / "file") in book.lines[0][1]["detail"]
    assert "write a node.state_dir" in book.lines[0][1]["detail"]


def test_a_folder_in_a_file_system_that_takes_none(vault, book):
    """It answers ENOENT, as a folder without a vault does at the first start, which is nothing to tell."""
    found = vault(Path("/proc/rhp")).open()
    assert len(found.tickets) == 1
    ((words, fields),) = book.lines
    assert words == "vault unusable"
    assert "/proc/rhp" in fields["detail"]


def test_a_second_node_is_refused(vault, book, tmp_path):
    one = vault()
    first = one.open()
    with pytest.raises(StartError, match=f"another node keeps its state in {tmp_path}/state; end that one, or give"):
        vault().open()
    one.close()
    assert reopened(vault) == first
    assert book.lines == []
