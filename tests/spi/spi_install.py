"""Packages that are really installed for a test, and what they leave behind in the process taken back."""

import contextlib
import copy
import shutil
import subprocess
import sys
from pathlib import Path

from rhp.crypto import additions, aead, algorithms, grammar, keyexchange, negotiate, signature
from rhp.guard import shape

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
TABLES = (
    algorithms.KEY_EXCHANGES,
    algorithms.KEY_EXCHANGE_NAMES,
    algorithms._ENCRYPTION_BY_ID,
    algorithms._PRF_BY_ID,
    aead._ADDED,
    keyexchange._STARTERS,
    keyexchange._RESPONDERS,
    grammar._ENCRYPTION_TOKENS,
    grammar._PRF_TOKENS,
    grammar._KEY_EXCHANGE_TOKENS,
    grammar._ADDITIONAL_TOKENS,
    grammar._LARGE,
    grammar._FOREIGN_TO_IKE,
    grammar._FOREIGN_TO_ESP,
    *negotiate._NAMES.values(),
    shape.PRF_OCTETS,
)
LISTS = (additions._added, signature._ADDED)


def install(example, tmp_path_factory):
    """The folder into which pip has installed one of docs/examples, without a network."""
    source, target = tmp_path_factory.mktemp("source") / example, tmp_path_factory.mktemp("target")
    shutil.copytree(EXAMPLES / example, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index", "--no-deps"]
    done = subprocess.run(
        [*pip, "--no-build-isolation", "--target", str(target), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return target


def package(folder, name, entry_points, code=""):
    """A package as pip would leave it in `folder`: one module, and metadata with these entry points by group."""
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"[{group}]\n{key} = {value}\n" for group, (key, value) in entry_points.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))


@contextlib.contextmanager
def installed_again(*names):
    """The modules of these packages are imported anew within, and once more after it."""

    def forget():
        for module in [one for one in sys.modules if one.split(".")[0] in names]:
            del sys.modules[module]

    forget()
    try:
        yield
    finally:
        forget()


@contextlib.contextmanager
def kept_tables():
    """The tables of algorithms are the process's: what is added within is gone after it."""
    before = [copy.copy(one) for one in (*TABLES, *LISTS)]
    try:
        yield
    finally:
        for table, old in zip((*TABLES, *LISTS), before, strict=True):
            table.clear()
            table.update(old) if isinstance(table, dict) else table.extend(old)
