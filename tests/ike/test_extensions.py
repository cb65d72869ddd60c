"""Extensions are found by entry point or by module, and whatever is wrong with one is told in a sentence."""

import sys

import pytest

from rhp.ike import extensions
from rhp.ike.errors import LocalError


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a module and the entry points of a distribution that brings it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def write(distribution, module, text, **names):
        (tmp_path / f"{module}.py").write_text(text)
        info = tmp_path / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in names.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{extensions.GROUP}]", *lines]) + "\n")
        made.append(module)

    yield write
    for module in made:
        sys.modules.pop(module, None)


def test_what_is_installed_is_listed_and_not_loaded(package):
    package("one", "ext_one", "raise SystemExit", second="ext_one", first="ext_one")
    assert extensions.installed() == ["first", "second"]
    extensions.check("first")
    extensions.check("ext_one")
    assert "ext_one" not in sys.modules


def test_loading_once(package):
    package("one", "ext_one", "import sys\nsys.ext_loads = getattr(sys, 'ext_loads', 0) + 1\n", first="ext_one")
    try:
        for name in ("first", "ext_one", "first"):
            extensions.load(name)
        assert sys.ext_loads == 1
    finally:
        del sys.ext_loads


@pytest.mark.parametrize("name", ["", "nobody", "no.such.module", "a b", "../x", "rhp.ike.nothing", ".x", "x."])
def test_what_is_not_there(name):
    for verb in (extensions.check, extensions.load):
        with pytest.raises(LocalError, match="there is no extension"):
            verb(name)


def test_two_packages_with_one_name(package):
    package("one", "ext_one", "", first="ext_one")
    package("two", "ext_two", "", first="ext_two")
    with pytest.raises(LocalError, match='"first" names more than one extension: ext_one and ext_two'):
        extensions.check("first")
    extensions.load("ext_two")


@pytest.mark.parametrize("text", ["1 / 0", "import nothing_of_that_name", "def", "raise Exception('x')"])
def test_one_that_cannot_be_imported(package, text):
    package("one", "ext_one", text, first="ext_one")
    with pytest.raises(LocalError, match=r'the extension "first" cannot be loaded \(\w+: .+\)'):
        extensions.load("first")
