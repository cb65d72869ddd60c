"""The tables that `make interop` writes."""

import pytest
from interop_table import FeatureTable, matrix_lines, page

from rhp.lab.interop import STEPS


class Peer:
    def __init__(self, version):
        self._version = version

    def version(self):
        return self._version


OLD, NEW = Peer("strongSwan 5.9.8"), Peer("strongSwan 6.1.0")


def note(table, feature, role, peer, error=None):
    with table.record(feature, role=role, peer=peer):
        if error is not None:
            raise error


def test_a_feature_has_a_row_for_each_role_and_peer():
    table = FeatureTable()
    note(table, "cookies", "responder", NEW)
    note(table, "rekeys", "both", OLD)
    note(table, "cookies", "initiator", OLD)
    assert table.lines()[2:] == [
        "| cookies | initiator | strongSwan 5.9.8 | ok |",
        "| cookies | responder | strongSwan 6.1.0 | ok |",
        "| rekeys | both | strongSwan 5.9.8 | ok |",
    ]


def test_one_failure_outweighs_what_held():
    table = FeatureTable()
    note(table, "cookies", "initiator", OLD)
    with pytest.raises(AssertionError):
        note(table, "cookies", "initiator", OLD, AssertionError())
    note(table, "cookies", "initiator", OLD)
    assert table.lines()[2:] == ["| cookies | initiator | strongSwan 5.9.8 | FAILED |"]


def test_a_role_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="server"):
        note(FeatureTable(), "cookies", "server", OLD)


def test_the_page_holds_what_was_run_and_no_more():
    table = FeatureTable()
    assert (table.lines(), matrix_lines({})) == ([], [])
    note(table, "cookies", "initiator", OLD)
    matrix = matrix_lines({1: {STEPS[0]: "ok"}})
    assert matrix[2].startswith("| rhp | PSK | AES-128-GCM | ok | not reached |")
    text = page(table.lines(), matrix, ["strongSwan 5.9.8", "strongSwan 6.1.0"])
    assert "against strongSwan 5.9.8 and strongSwan 6.1.0" in text
    assert text.index("## Features") < text.index("## Authentication and suites")
    assert "## Authentication" not in page(table.lines(), [], ["strongSwan 5.9.8"])
