"""The reference pages are what `make docs` makes, and every program that shows man pages can read them."""

import subprocess
from pathlib import Path

import pytest

from rhp.cli.main import COMMANDS
from rhp.config.model import TABLES
from rhp.lab.programs import find
from rhp.manual import reference, roff, texts
from rhp.manual.__main__ import pages
from rhp.manual.page import filled, table
from rhp.manual.reference import Incomplete

MADE = list(pages())
MAN = [path for path, _ in MADE if path.parent.name == "man"]
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("path", "text"), MADE, ids=lambda value: value.name if isinstance(value, Path) else "")
def test_the_page_is_what_model_texts_and_help_say_now(path, text):
    assert path.read_text(encoding="utf-8") == text, f"{path.name} is out of date: run `make docs`"


@pytest.mark.parametrize("path", MAN, ids=lambda path: path.name)
def test_groff_has_nothing_to_say_about_it(path):
    done = subprocess.run([find("groff"), "-man", "-ww", "-z", path], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def shown(path):
    """The page as it stands on a terminal, without bold and underlined."""
    command = [find("groff"), "-man", "-Tascii", "-P-cbou", "-rLL=110n", path]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_every_command_has_its_place_in_rhp_1():
    text = shown(MAN[0])
    for name in COMMANDS:
        assert f"   rhp {name} " in text, name
    assert "   rhp keygen node " in text
    assert "Example: rhp check && rhp up" not in text  # That is of `rhp --help` itself, which the page stands for.
    assert "rhp init gateway --name vpn.example.org --pool 10.88.0.0/24 --yes" in text


def test_every_key_has_its_place_in_rhp_toml_5():
    text = shown(MAN[1])
    for section in texts.TEXTS:
        assert reference.heading(section) in text
        for row in reference.rows(section):
            assert ", ".join(row.keys) in text
    assert "(time; default 14400, a tenth of it)" in " ".join(text.split())


def test_every_table_of_the_model_is_explained():
    told = {reference.place(section) for section in texts.TEXTS}
    # Keys inside another table stand there with a dot, and a realm is explained as far as it is no connection.
    inside = {table for table in TABLES if table[-1:] in (("local",), ("remote",), ("interface",)) and len(table) > 1}
    same = {("realms", "*", "children", "*"), ("hub", "static", "*"), ("hubs", "*", "static", "*")}
    assert told == set(TABLES) - {()} - inside - same


def test_a_key_without_a_text_is_named(monkeypatch):
    monkeypatch.delitem(texts.TEXTS["node"], "lanes")
    with pytest.raises(Incomplete, match=r"\[node\] lanes: write its text"):
        reference.rows("node")


def test_a_text_without_a_key_is_named(monkeypatch):
    monkeypatch.setitem(texts.TEXTS["node"], "lane", "no such thing")
    with pytest.raises(Incomplete, match=r"\[node\] has no key lane,"):
        reference.rows("node")


def test_words_for_a_default_that_there_is_are_named(monkeypatch):
    monkeypatch.setitem(texts.WORDS, ("node", "port"), "the usual one")
    with pytest.raises(Incomplete, match=r"\[node\] port has a default"):
        reference.rows("node")


def test_a_section_without_a_place_in_the_page_is_named():
    with pytest.raises(Incomplete, match="has places for"):
        filled("# Configuration\n")


def test_a_row_says_what_may_be_written_and_what_holds_without():
    rows = table("node").splitlines()
    assert "| `port` | port | 500 | IKE |" in rows
    assert any(row.startswith('| `steering` | `"flow"`, `"station"` | `"flow"` | ') for row in rows)
    assert any(row.startswith("| `state_dir` | path | `/var/lib/rhp` | ") for row in rows)
    assert any(
        row.startswith("| `interface` | table | named after the hub | ") for row in table("hubs.NAME").splitlines()
    )
    assert any(row.startswith("| `local.id` | identity | | ") for row in table("connections.NAME").splitlines())


def test_what_roff_would_take_for_an_order_is_text():
    assert roff.plain(".TH is no order, nor 'this") == "\\&.TH is no order, nor \\(aqthis"
    assert roff.plain("a-b \\ ~x") == "a\\-b \\e \\(tix"
    assert roff.words("write `psk_file`, see [there](psk.md#x)") == "write \\fBpsk_file\\fR, see there"


def test_the_wheel_has_the_pages_where_man_looks():
    text = (ROOT / "pyproject.toml").read_text()
    for path in MAN:
        assert f'"share/man/man{path.suffix[1:]}" = ["{path.relative_to(ROOT)}"]' in text
