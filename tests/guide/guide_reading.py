"""docs/guide.md as something to do: what is typed on which machine, which files are written, what the lab does.

A block ```console holds commands behind a prompt that names the machine, `laptop# rhp up`, and beneath each what it
should print. A block ```toml begins with a comment that names machine and file. A comment of the page,
`<!-- lab: .. -->`, is what people do without a command: carry a laptop elsewhere.
"""

import re
from dataclasses import dataclass

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$|^<!-- lab: (.+?) -->$", re.DOTALL | re.MULTILINE)
PROMPT = re.compile(r"([a-z][a-z-]*)# (.+)")
PLACE = re.compile(r"# ([a-z-]+): (/\S+)")


@dataclass(frozen=True)
class Command:
    """A line typed on a machine, and the lines that it should print at least."""

    machine: str
    line: str
    shows: tuple[str, ...]


@dataclass(frozen=True)
class File:
    """A file written on a machine."""

    machine: str
    path: str
    text: str


@dataclass(frozen=True)
class Event:
    """What happens to the network without a command."""

    words: tuple[str, ...]


def chapters(page):
    """Give the name of each chapter that has something to do, with its steps in order."""
    for chapter in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        if found := list(_steps(chapter)):
            yield chapter.partition("\n")[0], found


def _steps(chapter):
    for kind, text, event in BLOCK.findall(chapter):
        if event:
            yield Event(tuple(event.split()))
        elif kind == "toml":
            yield _file(text)
        elif kind == "console":
            yield from _commands(text)
        else:
            raise ValueError(f"a block that is neither console nor toml is run by nobody:\n{text}")


def _file(text):
    place = PLACE.fullmatch(text.partition("\n")[0])
    if place is None:
        raise ValueError(f"a file begins with a comment such as `# office-a: /etc/rhp/rhp.toml`, not with\n{text}")
    return File(place[1], place[2], text)


def _commands(text):
    machine, line, shows = "", "", []
    for one in text.splitlines():
        if prompt := PROMPT.fullmatch(one):
            if line:
                yield Command(machine, line, tuple(shows))
            machine, line, shows = prompt[1], prompt[2], []
        elif line.endswith("\\"):
            line = line[:-1] + one.strip()
        elif not line:
            raise ValueError(f"a block of commands begins with a prompt, not with {one}")
        elif one.strip():
            shows.append(one)
    yield Command(machine, line, tuple(shows))
