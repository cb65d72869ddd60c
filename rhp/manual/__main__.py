"""`python -m rhp.manual`: write the tables of docs/configuration.md and the man pages anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rhp.manual import commands, settings
from rhp.manual.page import filled

DOCS = Path(__file__).parents[2] / "docs"


def pages(docs: Path = DOCS) -> Iterator[tuple[Path, str]]:
    """Every file that is made, with what belongs in it."""
    page = docs / "configuration.md"
    yield page, filled(page.read_text(encoding="utf-8"))
    yield docs / "man" / "rhp.1", commands.page()
    yield docs / "man" / "rhp.toml.5", settings.page()


def main() -> None:
    """Write them, and name those that changed."""
    for path, text in pages():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(DOCS.parent))


if __name__ == "__main__":
    main()
