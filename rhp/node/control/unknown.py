"""What is said of a connection that the node does not have; the node says it, and a command that looks for itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches

_MOST_NAMED = 10


def no_connection(name: str, known: Iterable[str]) -> str:
    """The sentence, with the connection that may have been meant; else all of them, where they are few."""
    names = sorted(known)
    if near := get_close_matches(name, names, n=1):
        hint = f"write {near[0]}"
    elif not names:
        hint = "none is configured"
    elif len(names) <= _MOST_NAMED:
        hint = f"there is {', '.join(names)}"
    else:
        hint = f"there are {len(names)}, and rhp status shows them"
    return f"there is no connection {json.dumps(name)}; {hint}"
