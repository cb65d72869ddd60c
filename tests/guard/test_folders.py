"""The folders that guard and node write to: whose they become, and which are left alone."""

import os
import stat

import pytest

from rhp.guard import folders
from rhp.guard.brief import Brief, Identities
from rhp.guard.policy import GuardPolicy
from rhp.guard.sandbox import accounts
from rhp.guard.sandbox.accounts import Accounts
from rhp.node.errors import StartError

NODE, GROUP, GUARD = 60001, 60002, 60003
OURS = Accounts(NODE, GROUP, GUARD, GUARD)


@pytest.fixture
def place(tmp_path):
    """A folder that everybody can pass, as pytest's own is not."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o001)
    return tmp_path


def brief(place, *, assigned=False):
    policy = GuardPolicy(assigned=assigned, state_dir=str(place / "state-guard"))
    return Brief(
        "/etc/rhp/rhp.toml", policy, Identities(), str(place / "run"), str(place / "state"), "info", (), "text", 500
    )


def whose(path):
    found = path.lstat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


def test_they_are_made_and_given_away(place):
    folders.prepare(brief(place, assigned=True), OURS)
    assert whose(place / "run") == (GUARD, GROUP, 0o1775)
    assert whose(place / "state") == (NODE, GROUP, 0o700)
    assert whose(place / "state-guard") == (GUARD, GUARD, 0o700)


def test_the_guards_own_is_made_where_it_is_needed(place):
    folders.prepare(brief(place), OURS)
    assert not (place / "state-guard").exists()


def test_what_a_node_of_roots_left_becomes_the_nodes(place):
    (place / "state").mkdir()
    (place / "state" / "vault.json").write_text("{}")
    (place / "run").mkdir()
    (place / "run" / "control.sock").touch()
    folders.prepare(brief(place), OURS)
    assert whose(place / "state" / "vault.json")[:2] == (NODE, GROUP)
    assert not (place / "run" / "control.sock").exists()


def test_a_file_that_lies_elsewhere_too_stays_roots(place):
    """The node could have laid it there, to be given it."""
    elsewhere = place / "shadow"
    elsewhere.write_text("root's")
    folders.prepare(brief(place), OURS)
    os.link(elsewhere, place / "state" / "mine")
    (place / "state" / "link").symlink_to(elsewhere)
    os.mkfifo(place / "state" / "pipe")
    folders.prepare(brief(place), OURS)
    assert whose(elsewhere)[0] == 0


def test_a_folder_of_others_is_not_taken(place):
    (place / "run" / "systemd").mkdir(parents=True)
    with pytest.raises(StartError, match=r"run holds what is not a node's; write one of its own"):
        folders.prepare(brief(place), OURS)
    assert whose(place / "run")[0] == 0


def test_one_that_is_ours_may_hold_anything(place):
    folders.prepare(brief(place), OURS)
    (place / "state" / "captures").mkdir()
    folders.prepare(brief(place), OURS)


def test_a_way_that_is_closed_is_named(place):
    place.chmod(0o700)
    with pytest.raises(StartError, match=rf"the user rhp cannot get to .*: run chmod o\+x {place}, or write another"):
        folders.prepare(brief(place), OURS)


def test_what_is_no_folder_is_named(place):
    (place / "state").touch()
    with pytest.raises(StartError, match=r"state cannot be used: .*; see node\.run_dir and node\.state_dir"):
        folders.prepare(brief(place), OURS)


def test_users_are_found_by_name():
    found = accounts.find(Identities("daemon", "daemon", "bin"))
    assert found.user != found.guard
    assert 0 not in (found.user, found.group, found.guard)


@pytest.mark.parametrize(
    ("identities", "words"),
    [
        (Identities("no-such-user"), 'there is no user "no-such-user"; make it, or write another node.user'),
        (
            Identities("daemon", "daemon", "no-such"),
            'there is no user "no-such"; make it, or write another node.guard_',
        ),
        (Identities("daemon", "no-such-group", "bin"), 'there is no group "no-such-group"; make it, or write another'),
        (Identities("daemon", "daemon", "daemon"), "node.user and node.guard_user are the same user"),
        (Identities("daemon", "root", "bin"), "node.group is root by another name"),
        (Identities("root", "daemon", "bin"), "node.user is root by another name"),
    ],
)
def test_those_that_do_not_do_are_named(identities, words):
    with pytest.raises(StartError) as refused:
        accounts.find(identities)
    assert words in str(refused.value)


def test_the_usual_ones_come_with_the_command_that_makes_them(monkeypatch):
    monkeypatch.setattr("pwd.getpwnam", lambda name: {}[name])
    with pytest.raises(StartError, match=r'there is no user "rhp"; make it with systemd-sysusers /\S+/sysusers\.conf'):
        accounts.find(Identities())
    assert accounts.USERS_FILE.exists()
