"""Routes of several tunnels to one destination: one is set, and that very one is taken back."""

from types import SimpleNamespace

import pytest

from rhp.guard.protocol import AddRoute
from rhp.node.routebook import RouteBook

NET = "10.9.0.0/16"
ONE, TWO, THREE = (SimpleNamespace(group=number) for number in (1, 2, 3))
A, ALSO_A, B = AddRoute(NET, "rhp0", "10.1.0.1"), AddRoute(NET, "rhp0", "10.1.0.1"), AddRoute(NET, "rhp0", "10.2.0.1")


@pytest.fixture
def book():
    made = RouteBook()
    assert [made.add(*one) for one in ((ONE, A), (TWO, B), (THREE, ALSO_A))] == [True, False, False]
    return made


def test_the_route_stays_while_anybody_wants_one_like_it(book):
    assert book.remove(ONE, NET) == (None, None)
    assert book.is_standing(A) and not book.is_standing(ALSO_A)
    assert book.remove(THREE, NET) == (A, (TWO, B))
    assert book.is_standing(B)
    assert book.remove(TWO, NET) == (B, None)
    assert book.add(TWO, B)


def test_who_never_had_its_own_goes_without_a_word(book):
    assert book.remove(TWO, NET) == (None, None)
    assert book.is_standing(A)


def test_a_refusal_is_everybody_s_who_wants_the_same(book):
    assert book.refuse(A) == ([(ONE, A), (THREE, ALSO_A)], (TWO, B))
    assert book.is_standing(B)
    assert book.refuse(B) == ([(TWO, B)], None)
    assert not book.is_standing(B)
    with pytest.raises(KeyError):
        book.remove(TWO, NET)
