"""docs/json.md as its tests read it: which fields it names, and whether they are those that a command prints."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "json.md"


def flattened(value, path=""):
    """The paths of all that an object holds; what is in a list is called by "[]"."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from flattened(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for inner in value:
            yield from flattened(inner, f"{path}[]")
    else:
        yield path, value


def documented(command):
    """The fields that the page names for a command, those of what it includes among them."""
    text = section(f"`{command}`")
    names = field_names(text)
    for prefix, title in re.findall(r"Each of `(.+?)` is \[an? (.+?)\]", text):
        article = "An" if title == "IKE SA" else "A"
        names += [f"{prefix}.{name}" for name in field_names(section(f"{article} {title}"))]
    return names


def section(title):
    text = PAGE.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    assert text, title
    return text


def field_names(text):
    return [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]


def plainly(path):
    """An empty list is its own path, and its entries are none."""
    return path.removesuffix("[]")


def compare(command, objects):
    """Every printed field stands on the page, and every field of the page is printed, or lies in something empty."""
    printed = {}
    for one in objects:
        for path, value in flattened(one):
            printed.setdefault(path, []).append(value)
    names = {plainly(name) for name in documented(command)}
    anything = tuple(name.removesuffix("*") for name in names if name.endswith(".*"))
    unknown = [path for path in map(plainly, printed) if path not in names]
    # Of what is empty, the names of its entries stand on the page.
    above = {name[: at + 1] for name in names for at, mark in enumerate(name) if mark in ".["}
    strange = [
        path
        for path in unknown
        if not f"{path}.".startswith(anything or ("\0",)) and not {f"{path}.", f"{path}["} & above
    ]
    assert strange == [], strange
    empty = {path for path, values in printed.items() if any(value in (None, [], {}) for value in values)}
    covered = tuple(f"{path}{mark}" for path in empty for mark in (".", "["))
    shown = {plainly(path) for path in printed}
    lacking = [name for name in names if name not in shown and not name.endswith(".*")]
    missing = [name for name in lacking if not name.startswith(covered or ("\0",))]
    assert missing == [], missing
