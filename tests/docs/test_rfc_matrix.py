"""docs/rfc-matrix.md keeps its promise: every cell says something, and every test that it names exists."""

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "rfc-matrix.md"
HEAD = ["section", "requirement", "level", "shown by, or why not"]
LEVELS = {"MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY"}
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")
NEARLY = re.compile(r"\w+\.py|::|test_\w+")
EXTENSIONS = (
    3378,
    3947,
    3948,
    4106,
    4303,
    4309,
    4543,
    4555,
    5685,
    5723,
    5998,
    6023,
    6290,
    6311,
    7383,
    7427,
    7619,
    7634,
    8221,
    8247,
    8420,
    8598,
    8784,
    9242,
    9370,
    9593,
    9611,
)


def rows():
    """Number and cells of every row of every table."""
    for number, line in enumerate(PAGE.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("|"):
            yield number, [cell.strip() for cell in line.strip().strip("|").split("|")]


def data_rows():
    return [(number, cells) for number, cells in rows() if cells != HEAD and set("".join(cells)) != {"-"}]


@cache
def functions_of(path):
    """The test functions of a file, by name."""
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test_")}


def test_every_row_has_its_four_cells():
    found = data_rows()
    assert len(found) > 150
    for number, cells in found:
        assert len(cells) == len(HEAD) and all(cells), f"line {number}"
        assert cells[2] in LEVELS, f"line {number}"


def test_every_row_names_a_test_or_a_reason():
    for number, cells in data_rows():
        last = cells[-1]
        reason = last.partition("Left out")[2]
        # A reason is a sentence, not a word.
        assert NAMED.search(last) if not reason else len(reason) > 20, f"line {number}"


def test_every_named_test_exists():
    for number, cells in data_rows():
        for path, name in NAMED.findall(cells[-1]):
            assert (TESTS / path).is_file() and name in functions_of(path), f"line {number}: {path}::{name}"
        assert not NEARLY.search(NAMED.sub("", cells[-1])), f"line {number}: a test that is not written as one"


def test_every_table_is_one_and_every_extension_has_one():
    text = PAGE.read_text(encoding="utf-8")
    heads = [number for number, cells in rows() if cells == HEAD]
    assert len(heads) > len(EXTENSIONS) / 2
    for extension in EXTENSIONS:
        assert re.search(rf"^##.*\b{extension}\b", text, re.MULTILINE), f"RFC {extension} has no table"
