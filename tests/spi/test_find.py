"""Providers are found by the names of their entry points, and what cannot be used ends in a sentence."""

import sys

import pytest
from spi_install import installed_again, package

from rhp.spi import find
from rhp.spi.find import ProviderError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    with installed_again("some_sink", "other_sink"):
        yield tmp_path


def sentence(kind, name, verb=find.load):
    with pytest.raises(ProviderError) as caught:
        verb(kind, name)
    return str(caught.value)


def test_the_built_in_ones_are_registered_like_any_other():
    ours = {
        "rhp.esp": {"fast", "reference"},
        "rhp.crypto": {"builtin"},
        "rhp.certstore": {"files"},
        "rhp.events": {"jsonl"},
    }
    for kind in find.KINDS:
        assert ours.get(kind.group, set()) <= set(find.installed(kind))
    for kind in find.KINDS:
        for name in find.installed(kind):
            find.check(kind, name)
            assert find.load(kind, name).api_version == kind.api_version
    assert list(find.load(find.CRYPTO, "builtin").transforms()) == []


def test_the_example_has_one_of_every_kind(extended):
    for kind, name in zip(find.KINDS, ("diary", "more-algorithms", "folder", "gtc", "datagrams"), strict=True):
        assert name in find.installed(kind)
        find.check(kind, name)
        assert not [one for one in sys.modules if one == f"rhp_spare_parts.{kind.group.removeprefix('rhp.')}"]
        assert find.load(kind, name) is find.load(kind, name)


def test_a_name_that_is_not_there():
    for verb in (find.check, find.load):
        said = sentence(find.ESP, "slow", verb)
        assert said == 'there is no ESP provider "slow"; installed: fast, reference'
    assert "not even rhp's own; install rhp again" in sentence(find.EAP, "gtc")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise RuntimeError('no\\nway')", "cannot be loaded (RuntimeError: no way); mend or remove its package"),
        ("import no_such_module", "cannot be loaded (ModuleNotFoundError: No module named 'no_such_module')"),
        ("", "cannot be loaded (AttributeError"),
        ("PROVIDER = object()", "does not say for which version of the interface, and this rhp has version 1"),
        ("class PROVIDER: api_version = 2", "is written for version 2 of the interface, and this rhp has version 1"),
        ("class PROVIDER: api_version = 1", "lacks open, which docs/providers.md asks for"),
    ],
)
def test_one_that_cannot_be_used(folder, code, words):
    package(folder, "some-sink", {"rhp.events": ("some", "some_sink:PROVIDER")}, code)
    find.check(find.EVENT_SINK, "some")
    said = sentence(find.EVENT_SINK, "some")
    assert said.startswith('the event sink "some" ')
    assert words in said
    assert "\n" not in said


def test_a_name_that_two_packages_have(folder):
    for name in ("some", "other"):
        package(folder, f"{name}-sink", {"rhp.events": ("one", f"{name}_sink:PROVIDER")})
    said = sentence(find.EVENT_SINK, "one")
    assert said == '"one" names more than one event sink: other_sink and some_sink; remove one of the packages'
