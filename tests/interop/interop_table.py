"""What `make interop` writes: a table of features, and the matrix of authentication and suites."""

from contextlib import contextmanager
from datetime import date

from rhp.lab.interop import ROWS, STEPS

ROLES = ("initiator", "responder", "both")


class FeatureTable:
    """Which feature held in which role of rhp against which peer."""

    def __init__(self):
        self._results = {}

    @contextmanager
    def record(self, feature, *, role, peer):
        """Note that the feature held, or that it FAILED when the block raises; one failure outweighs all else.

        `role` is rhp's: who initiates what the feature is about, "both" where both do. `peer` is the `StrongSwan`.
        """
        if role not in ROLES:
            raise ValueError(f"a role is one of {ROLES}, not {role!r}")
        key = feature, role, peer.version()
        try:
            yield
        except BaseException:
            self._results[key] = "FAILED"
            raise
        self._results.setdefault(key, "ok")

    def lines(self):
        """The table as lines of Markdown, a feature's rows together; none when nothing was recorded."""
        if not self._results:
            return []
        names = list(dict.fromkeys(feature for feature, _, _ in self._results))
        rows = sorted(self._results.items(), key=lambda item: (names.index(item[0][0]), *item[0][1:]))
        return markdown(["feature", "rhp's role", "peer", "result"], [[*key, result] for key, result in rows])


def matrix_lines(results):
    """The matrix as lines of Markdown; `results` are outcomes by row number and step."""
    rows = [
        [row.initiator, row.auth, row.suite.name, *(results[row.number].get(step, "not reached") for step in STEPS)]
        for row in ROWS
        if row.number in results
    ]
    return markdown(["initiator", "authentication", "suite", *STEPS], rows) if rows else []


def markdown(heads, rows):
    """A table of Markdown."""
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]


def page(features, matrix, versions):
    """The whole of docs/interop.md."""
    suites = sorted({f"- {row.suite.name}: IKE `{row.suite.ike}`, ESP `{row.suite.esp}`" for row in ROWS})
    intro = [
        "# Interoperability",
        "",
        f"Written by `make interop` on {date.today():%Y-%m-%d}, against {' and '.join(versions)},",
        "with ESP in user space, IP in tunnel mode in UDP.",
    ]
    parts = [
        intro,
        ["", "## Features", "", *features] if features else [],
        ["", "## Authentication and suites", "", *MATRIX, "", *matrix] if matrix else [],
        ["", "The suites, in swanctl's notation:", "", *suites] if matrix else [],
    ]
    return "\n".join([*(line for part in parts for line in part), ""])


MATRIX = [
    "Every step ends with pings both ways and both programs naming the same SPIs; after a DELETE neither has any and",
    "nothing passes.",
]
