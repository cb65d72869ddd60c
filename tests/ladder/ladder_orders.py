"""Every order in which two sides' wishes and the messages between them can meet.

A run is made of choices: which wish begins now, or which message in flight arrives. `Choices` replays a list of them
and then goes on with the first option each time, so that `every` can walk the tree of all runs; where that has too many
leaves, `some` takes runs by chance. Both are the same each time. The environment variable RHP_ORDERS multiplies how
many runs there are at most.
"""

import os
import random
from dataclasses import dataclass, field

WIDER = int(os.environ.get("RHP_ORDERS", "1"))
REORDERED = 4
"""So many of the messages in flight may be the next to arrive."""


@dataclass
class Choices:
    """The choices of one run: those given, then by `chance` if there is any, else always the first option."""

    given: list = field(default_factory=list)
    chance: random.Random | None = None
    made: list = field(default_factory=list)

    def choose(self, options):
        if len(options) == 1:
            return options[0]
        place = len(self.made)
        if place < len(self.given):
            number = self.given[place]
        else:
            number = self.chance.randrange(len(options)) if self.chance is not None else 0
        self.made.append((number, len(options)))
        return options[number]

    def numbers(self):
        return [number for number, _ in self.made]


def every(run, most):
    """Run all orders, up to `most`; whether those were all."""
    given = []
    for _ in range(most):
        choices = Choices(given)
        run(choices)
        made = choices.made
        while made and made[-1][0] + 1 == made[-1][1]:
            made.pop()
        if not made:
            return True
        given = [number for number, _ in made]
        given[-1] += 1
    return False


def some(run, count, seed):
    """Run so many orders by chance."""
    for number in range(count):
        run(Choices(chance=random.Random(f"{seed} {number}")))


def play(link, wishes, choices, limit=200):
    """Have the wishes begin and the messages arrive in the order of the choices, until there is nothing left.

    A wish is a function of the link; those of one side (its attribute `side`) begin in the order given.
    """
    waiting = list(wishes)
    for _ in range(limit):
        sides = {wish.side for wish in waiting}
        first = [next(wish for wish in waiting if wish.side == side) for side in sorted(sides)]
        options = [*first, *range(min(len(link.flight), REORDERED))]
        if not options:
            return
        chosen = choices.choose(options)
        if isinstance(chosen, int):
            link.arrive(chosen)
        else:
            waiting.remove(chosen)
            chosen.begin(link)
    raise AssertionError("the sides do not come to rest")
