"""A name that no connection has: the nearest one, or those that there are, but never a page of them."""

import pytest

from rhp.node.control.unknown import no_connection

MANY = [f"branch-{number}" for number in range(1000)]


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("ofice", ["office", "home"], "write office"),
        ("branch-12x", MANY, "write branch-12"),
        ("elsewhere", ["office", "home"], "there is home, office"),
        ("x", MANY, "there are 1000, and rhp status shows them"),
        ("x", [], "none is configured"),
    ],
)
def test_a_name_that_is_not_there_gets_a_short_hint(name, known, hint):
    assert no_connection(name, known) == f'there is no connection "{name}"; {hint}'


def test_what_is_no_text_does_not_reach_the_terminal():
    assert no_connection("a\x1b[2J", []) == 'there is no connection "a\\u001b[2J"; none is configured'
