"""The guard's two configurations: the one in force, and the one that was read last and may follow it."""

import asyncio
from dataclasses import dataclass

import pytest

from rhp.guard.brief import Brief, Fresh, Identities, Mistaken, Part, Revision, Shares, read_revision
from rhp.guard.local import LocalGuard
from rhp.guard.mistake import Mistake
from rhp.guard.policy import GuardPolicy, PpkSecret, PrivateKey, PskSecret
from rhp.guard.protocol import (
    AdoptConfiguration,
    AuthData,
    ConfigurationRead,
    ConfigurationWrong,
    ConfigureLink,
    Done,
    ProvePsk,
    ReadConfiguration,
    Refused,
)
from rhp.node.errors import StartError
from rhp.pki.ca import create_ca, issue

A, B = (2, b"a.example.org"), (2, b"b.example.org")


@dataclass
class Reader:
    """Gives what a test puts there; an exception is raised."""

    next: object = None

    async def __call__(self):
        if isinstance(self.next, Exception):
            raise self.next
        return self.next


def psks(**keys):
    return GuardPolicy(psks=tuple(PskSecret(name, key=key) for name, key in keys.items()))


def shares(policy, identities=None, **parts):
    """A configuration with that policy, whose node is told these words of its connections."""
    brief = Brief(
        "/etc/rhp/rhp.toml", policy, identities or Identities(), "/run/rhp", "/var/lib/rhp", "info", (), "", 500
    )
    told = tuple(Part(name, word.encode()) for name, word in parts.items())
    return Shares(brief, Revision(b"common", tuple(parts), told))


@pytest.fixture
def ask():
    return lambda guard, question: asyncio.run(guard.ask(question))


@pytest.fixture
def kept():
    """A guard with two connections, and its reader."""
    first = shares(psks(office=b"swordfish", home=b"sharkfish"), office="one", home="one")
    reader = Reader(first)
    return LocalGuard(first.guard.policy, reader, first), reader


def proof(guard, ask, connection):
    return ask(guard, ProvePsk(connection, A, B, 5, b"octets"))


def told(read):
    """Of an answer: the parts that came along, and whose secrets are others."""
    revision = read_revision(read.content)
    return [part.name for part in revision.parts], [one.connection for one in revision.fresh]


def test_what_was_read_is_used_when_it_is_adopted_and_not_before(kept, ask):
    guard, reader = kept
    office, home = proof(guard, ask, "office"), proof(guard, ask, "home")
    reader.next = shares(psks(office=b"cuttlefish", lab=b"dogfish"), office="one", lab="one")
    read = ask(guard, ReadConfiguration(1))
    assert isinstance(read, ConfigurationRead)
    # What the node is told of the office is as before; its key is not.
    assert told(read) == (["lab"], ["office"])
    assert proof(guard, ask, "office") == office
    assert isinstance(proof(guard, ask, "lab"), Refused)
    assert ask(guard, AdoptConfiguration(read.generation)) == Done()
    assert proof(guard, ask, "office") != office
    assert isinstance(proof(guard, ask, "lab"), AuthData)
    assert isinstance(proof(guard, ask, "home"), Refused) and isinstance(home, AuthData)


def test_the_policy_of_the_network_follows(kept, ask):
    guard, reader = kept
    reader.next = shares(GuardPolicy(interfaces=("rhpx9",)))
    question = ConfigureLink("rhpx9", mtu=1400)
    assert "not in the configuration" in ask(guard, question).reason
    read = ask(guard, ReadConfiguration(1))
    assert "not in the configuration" in ask(guard, question).reason
    heard = []
    guard.adopted = heard.append
    ask(guard, AdoptConfiguration(read.generation))
    assert "the interface rhpx9 was not made here" in ask(guard, question).reason
    assert heard == [reader.next.guard]


def test_who_goes_by_another_generation_is_told_everything(kept, ask):
    guard, _ = kept
    assert told(ask(guard, ReadConfiguration(1))) == ([], [])
    assert told(ask(guard, ReadConfiguration(0))) == (["office", "home"], [])
    assert told(ask(guard, ReadConfiguration(7))) == (["office", "home"], [])


def test_a_wrong_file_changes_nothing(kept, ask):
    guard, reader = kept
    office = proof(guard, ask, "office")
    mistakes = (Mistake("connections.office.psk", 3, "it is wrong"),)
    reader.next = Mistaken("it is wrong", 1, "/etc/rhp/rhp.toml", mistakes)
    assert ask(guard, ReadConfiguration(1)) == ConfigurationWrong("/etc/rhp/rhp.toml", mistakes)
    assert isinstance(ask(guard, AdoptConfiguration(2)), Refused)
    assert proof(guard, ask, "office") == office


def test_a_file_that_could_not_be_read_changes_nothing(kept, ask):
    guard, reader = kept
    office = proof(guard, ask, "office")
    reader.next = StartError("rhp.toml could not be read within 60 seconds")
    assert ask(guard, ReadConfiguration(1)) == Refused("rhp.toml could not be read within 60 seconds")
    assert proof(guard, ask, "office") == office


def test_a_secret_that_cannot_be_loaded_changes_nothing(kept, ask):
    guard, reader = kept
    office, home = proof(guard, ask, "office"), proof(guard, ask, "home")
    reader.next = shares(GuardPolicy(psks=(PskSecret("office", file="/no/such/file"),)), office="one", home="one")
    answer = ask(guard, ReadConfiguration(1))
    assert isinstance(answer, Refused) and "/no/such/file" in answer.reason
    assert (proof(guard, ask, "office"), proof(guard, ask, "home")) == (office, home)


@pytest.mark.parametrize("wrong", [0, 1, 3, -1])
def test_only_what_was_read_last_can_be_adopted(kept, ask, wrong):
    guard, _ = kept
    read = ask(guard, ReadConfiguration(1))
    assert read.generation == 2
    assert isinstance(ask(guard, AdoptConfiguration(wrong)), Refused)
    assert ask(guard, AdoptConfiguration(2)) == Done()
    assert isinstance(ask(guard, AdoptConfiguration(2)), Refused)


def test_an_earlier_reading_is_forgotten_with_its_secrets(kept, ask):
    guard, reader = kept
    office = proof(guard, ask, "office")
    reader.next = shares(psks(office=b"cuttlefish"), office="two")
    earlier = ask(guard, ReadConfiguration(1))
    (psk,) = guard._generations._waiting.secrets._psks["office"]
    later = ask(guard, ReadConfiguration(1))
    assert len(psk.key) == 0
    assert isinstance(ask(guard, AdoptConfiguration(earlier.generation)), Refused)
    assert proof(guard, ask, "office") == office
    assert ask(guard, AdoptConfiguration(later.generation)) == Done()


def test_the_secrets_of_before_are_wiped(kept, ask):
    guard, _ = kept
    (office,), (home,) = (guard._secrets._psks[name] for name in ("office", "home"))
    ask(guard, AdoptConfiguration(ask(guard, ReadConfiguration(1)).generation))
    assert len(office.key) == len(home.key) == 0
    assert isinstance(proof(guard, ask, "office"), AuthData)


@pytest.mark.parametrize(
    ("identities", "key"),
    [
        (Identities(node_user="else"), "node.user"),
        (Identities(node_group="else"), "node.group"),
        (Identities(guard_user="else"), "node.guard_user"),
    ],
)
def test_whom_the_processes_run_as_is_settled_at_the_start(kept, ask, identities, key):
    guard, reader = kept
    reader.next = shares(psks(office=b"swordfish", home=b"sharkfish"), identities, office="one", home="one")
    assert ask(guard, ReadConfiguration(1)).restart == (key,)


def key_of(name):
    from datetime import UTC, datetime

    now = datetime(2026, 1, 1, tzinfo=UTC)
    return issue(create_ca(name, now), ["a.example.org"], now).private_key


def whose(before, after, names):
    first, second = (shares(policy, **dict.fromkeys(names, "x")) for policy in (before, after))
    guard = LocalGuard(before, Reader(second), first)
    return read_revision(asyncio.run(guard.ask(ReadConfiguration(1))).content).fresh


def test_whose_secrets_are_others():
    one, other = key_of("one"), key_of("other")
    before = GuardPolicy(
        psks=(PskSecret("same", key=b"x"), PskSecret("used", key=b"x"), PskSecret("psk", key=b"x")),
        keys=(PrivateKey("cert", pem=one), PrivateKey("pem", pem=one), PrivateKey("pss", pem=one)),
        ppks=(PpkSecret("ppk", b"id", key=b"y"), PpkSecret("same", b"id", key=b"y")),
    )
    after = GuardPolicy(
        psks=(PskSecret("same", key=b"x"), PskSecret("used", key=b"x", checks=False), PskSecret("psk", key=b"y")),
        keys=(
            PrivateKey("cert", pem=other),
            PrivateKey("pem", pem=one + b"\n"),
            PrivateKey("pss", pem=one, rsa_pss=True),
        ),
        ppks=(PpkSecret("ppk", b"id", key=b"z"), PpkSecret("same", b"id", key=b"y")),
    )
    found = whose(before, after, ("same", "used", "psk", "cert", "pem", "pss", "ppk"))
    assert found == (Fresh("cert"), Fresh("ppk"), Fresh("psk", ("%any",)), Fresh("pss"))


def test_of_a_realm_only_those_whose_own_key_is_another_one():
    def policy(*ppks, **keys):
        entries = [PskSecret("sales", remote_id=f"{who}@x", key=key) for who, key in keys.items()]
        return GuardPolicy(psks=(*entries, PskSecret("sales", key=b"for all others")), ppks=ppks)

    before, after = policy(ann=b"1", bob=b"2", cid=b"3"), policy(ann=b"1", bob=b"4", dan=b"3")
    assert whose(before, after, ("sales",)) == (Fresh("sales", ("bob@x", "cid@x", "dan@x")),)
    ppk = PpkSecret("sales", b"id", key=b"z")
    assert whose(before, policy(ppk, ann=b"1", bob=b"2", cid=b"3"), ("sales",)) == (Fresh("sales"),)


def test_a_guard_without_a_file_says_so(ask):
    guard = LocalGuard(GuardPolicy())
    for question in (ReadConfiguration(1), AdoptConfiguration(2)):
        assert "configuration file" in ask(guard, question).reason
