"""The table of rooms in docs/architecture.md: whom each room imports, and nobody else."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RHP = ROOT / "rhp"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
CELLS = dict(re.findall(r"^\| `rhp/(\w+)` \|.*\| (.*) \|$", PAGE, re.MULTILINE))


def in_words(cell):
    """The rooms and modules that a cell of the table names: `room.module` as it stands, a room by its name alone."""
    quoted = {name for name in re.findall(r"`([\w.]+)`", cell) if name.split(".")[0] in CELLS}
    return quoted | {word for word in re.findall(r"\w+", re.sub(r"`[^`]*`", "", cell)) if word in CELLS}


def allowed(room):
    """Those that the row of a room names, and whether it takes all rows above as well."""
    above = list(CELLS)[: list(CELLS).index(room)] if CELLS[room].startswith("all of the above") else []
    return in_words(CELLS[room]), set(above)


def imports(file):
    """The modules that a file imports, within a function or for types too; "a.b" where `from a import b` takes one."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            yield from (f"{node.module}.{one.name}" for one in node.names)


def of_room(room):
    """What a room imports of others, without "rhp."."""
    files = [*(RHP / room).rglob("*.py"), *(RHP / room).rglob("*.pyi")]
    found = {name.removeprefix("rhp.") for file in files for name in imports(file) if name.startswith("rhp.")}
    return {name for name in found if name.split(".")[0] != room}


def within(name, places):
    return any(name == place or name.startswith(f"{place}.") for place in places)


def test_every_room_stands_in_the_table():
    assert set(CELLS) == {file.parent.name for file in RHP.glob("*/__init__.py")} - {"data"}


@pytest.mark.parametrize("room", CELLS)
def test_a_room_imports_what_the_table_says(room):
    named, above = allowed(room)
    found = of_room(room)
    assert {name for name in found if not within(name, named | above)} == set()
    assert {place for place in named if not any(within(name, [place]) for name in found)} == set()


def test_cryptography_is_imported_where_the_page_says():
    said = re.search(r"`cryptography` and pyOpenSSL are imported in (.*) alone; sockets", PAGE)
    places = [name.replace(".", "/") for name in re.findall(r"`([\w.]+)`", said[1])]
    users = [
        file.relative_to(RHP).as_posix()
        for file in RHP.rglob("*.py")
        if any(name.split(".")[0] in ("cryptography", "OpenSSL") for name in imports(file))
    ]
    assert users
    assert [file for file in users if not any(file.startswith(f"{place}/") for place in places)] == []
