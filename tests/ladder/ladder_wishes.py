"""What a side can be asked to do, and who is the other one: for tests that try the same thing in many combinations."""

import pytest

SIDES = pytest.mark.parametrize("who", ["a", "b"])


def sides(link, who):
    """Who begins, and the other one."""
    side = getattr(link, who)
    return side, link.other(side)


def rekey_child(link, side):
    link.call(side, "rekey_child", side.child().child_id)


def rekey_ike(link, side):
    link.call(side, "rekey_ike", side.status().ike_id)


def create_child(link, side):
    link.call(side, "create_child", side.status().ike_id, "ethernet")


def delete_child(link, side):
    link.call(side, "delete_child", side.child().child_id)


def close(link, side):
    link.call(side, "close", side.status().ike_id)


def held_up(link, way, one, other):
    """Both begin the same thing, and one's request is held up while the other's is answered and goes on; gives it."""
    way(link, one)
    late = link.flight.pop()
    way(link, other)
    link.deliver()
    link.deliver()
    return late
