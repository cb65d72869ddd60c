"""The example of an extension, docs/examples/peer-note: really installed, found by its name, used by two engines."""

import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from ladder_net import TWICE
from ladder_world import config, connection

from rhp.ike import extensions
from rhp.ike.events import AuthenticationFailed, ExtensionNote, IkeEstablished
from rhp.ike.tasks import registry
from rhp.pki.identity import parse_identity
from rhp.wire.iana import ExchangeType
from rhp.wire.message import build_message
from rhp.wire.notify import Notify
from rhp.wire.vendor import Vendor

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "peer-note"
NAME, MODULE, NOTE = "peer-note", "rhp_peer_note", 41001


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder into which pip has installed it, as it would into an environment."""
    source, target = tmp_path_factory.mktemp("source") / "peer-note", tmp_path_factory.mktemp("target")
    shutil.copytree(EXAMPLE, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index", "--no-deps"]
    done = subprocess.run(
        [*pip, "--no-build-isolation", "--target", str(target), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def extended(installed, monkeypatch):
    """Where it can be found, for one test; the hooks of this process are afterwards what they were before."""
    monkeypatch.syspath_prepend(str(installed))
    registry.load()
    before = {exchange: list(hooks) for exchange, hooks in registry._hooks.items()}
    sys.modules.pop(MODULE, None)
    yield NAME
    sys.modules.pop(MODULE, None)
    registry._hooks.clear()
    registry._hooks.update(before)


def world(ladder, name=NAME):
    return ladder(config(connection("a@x", "b@x"), extensions=(name,)), config(connection("b@x", "a@x")))


def notes(side):
    return [(event.peer, event.extension, event.detail) for event in side.happened(ExtensionNote)]


def test_it_is_small_and_found_by_its_name(extended):
    assert len((EXAMPLE / f"{MODULE}.py").read_text().splitlines()) < 100
    assert NAME in extensions.installed()
    extensions.check(NAME)
    assert MODULE not in sys.modules
    for _ in range(2):
        registry.load([NAME])
    tasks = [task for hooks in registry._hooks.values() for _, task in hooks if task.__module__ == MODULE]
    assert sorted(task.__name__ for task in tasks) == ["Announce", "Begin", "Exchange"]
    assert all("__dict__" not in dir(task()) for task in tasks)


def test_two_engines_tell_each_other_their_builds(ladder, extended):
    link = world(ladder, extended)
    # a --- IKE_SA_INIT: .. V(peer-note) ---> b and back
    link.initiate()
    for _ in range(2):
        assert b"rhp: peer-note, 1" in [one.data for one in link.read(link.deliver()).all(Vendor)]
    link.deliver(), link.deliver()
    # a --- INFORMATIONAL: N(41001) ---> b
    request = link.read(link.flight[0])
    assert request.exchange == ExchangeType.INFORMATIONAL
    assert request.notify(NOTE).data.startswith(f"rhp {version('rhp')}, Python ".encode())
    link.deliver()
    # a <--- INFORMATIONAL: N(41001) --- b
    assert link.read(link.flight[0]).notify(NOTE) is not None
    link.settle()
    link.check_established()
    said = request.notify(NOTE).data.decode()
    assert notes(link.a) == [(parse_identity("b@x"), NAME, said)]
    assert notes(link.b) == [(parse_identity("a@x"), NAME, said)]
    for side in (link.a, link.b):
        link.call(side, "rekey_ike", side.status().ike_id)
        link.settle()
        assert side.sa().extra == {NAME: said}
    link.advance(5)
    assert len(notes(link.a)) == len(notes(link.b)) == 1


def test_by_the_name_of_its_module(ladder, extended):
    link = world(ladder, MODULE).establish()
    assert len(notes(link.a)) == len(notes(link.b)) == 1


@pytest.mark.parametrize("lost", range(6))
def test_each_message_lost(ladder, extended, lost):
    link = world(ladder)
    link.lost = lambda packet: packet.number == lost
    link.establish()
    link.advance(5)
    link.check_established()
    assert len(notes(link.a)) == len(notes(link.b)) == 1


def test_each_message_twice(ladder, extended):
    link = world(ladder)
    link.fate = lambda packet: TWICE
    link.establish()
    link.check_established()
    assert len(notes(link.a)) == len(notes(link.b)) == 1


@pytest.mark.parametrize("response", [False, True])
def test_who_takes_part_is_proved(ladder, extended, response):
    """A Vendor ID taken away on the path fits no AUTH, so nobody on the path decides who takes part."""
    link = world(ladder)
    link.initiate()
    if response:
        link.deliver()
    packet = link.drop()
    message = link.read(packet)
    kept = tuple(one for one in message.payloads if not (isinstance(one, Vendor) and one.data.endswith(b"note, 1")))
    link.inject(link.a if response else link.b, build_message(replace(message, payloads=kept)), packet.source)
    link.settle()
    assert len(link.a.happened(AuthenticationFailed)) == len(link.b.happened(AuthenticationFailed)) == 1
    assert notes(link.a) == notes(link.b) == []


def test_what_has_not_been_announced_concerns_nobody(ladder, extended):
    link = world(ladder)
    announce = next(task for _, task in registry._hooks[ExchangeType.IKE_SA_INIT] if task.__module__ == MODULE)
    announce.build = lambda self, turn: None
    link.establish()
    link.check_established()
    assert len(link.sent) == 4
    answer = link.say(link.a, [Notify(NOTE, b"hello")])
    assert answer.payloads == ()
    assert notes(link.b) == []


@pytest.mark.parametrize("data", [b"", b"\n", b"a\x1b[31m", b"\xff\xfe", "é".encode(), bytes(60000), b"x" * 201])
def test_nonsense_is_counted_and_answered(ladder, extended, data):
    link = world(ladder).establish()
    answer = link.say(link.a, [Notify(NOTE, data)])
    assert answer.notify(NOTE) is not None
    assert link.b.count("peer-note-malformed") == 1
    assert len(notes(link.b)) == 1
    assert len(link.b.happened(IkeEstablished)) == 1
    link.check_established()
