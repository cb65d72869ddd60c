"""Spent tickets are remembered until they expire, and never without bound."""

from rhp.ike.spent import SpentTickets


def name(number):
    return number.to_bytes(16)


def test_a_ticket_is_remembered_until_it_expires():
    spent = SpentTickets()
    spent.add(name(1), 100, 0)
    spent.add(name(2), 200, 0)
    assert name(1) in spent
    assert name(3) not in spent
    spent.add(name(3), 300, 100)
    assert [number for number in (1, 2, 3) if name(number) in spent] == [2, 3]


def test_the_oldest_is_forgotten_when_there_are_too_many():
    spent = SpentTickets(3)
    for number in range(10):
        spent.add(name(number), 1000, 0)
    assert len(spent) == 3
    assert [number for number in range(10) if name(number) in spent] == [7, 8, 9]


def test_one_that_lives_long_does_not_keep_the_others():
    spent = SpentTickets(100)
    spent.add(name(0), 10_000, 0)
    most = 0
    for number in range(1, 1000):
        spent.add(name(number), number, number)
        most = max(most, len(spent))
    assert most == 100
    assert name(999) in spent
