"""The guard with somebody who counts what it is asked, and tells what it refuses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from rhp.guard.guard import Guard
from rhp.guard.protocol import Answer, Question, Refused

Tell = Callable[[str, Question, str], None]
"""Takes the question's name, the question and the sentence with which it was refused."""


class WatchedGuard:
    """Asks `guard`. `clock` gives seconds; `refused` is called for each refusal.

    `questions`, `refusals` and `failures` count by the question's name in kebab-case, `seconds` says how long the
    answers took.
    """

    def __init__(self, guard: Guard, clock: Callable[[], float], refused: Tell) -> None:
        self._guard = guard
        self._clock = clock
        self._refused = refused
        self.questions: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.seconds: dict[str, float] = {}

    async def ask(self, question: Question) -> Answer:
        """Have one question answered; what the guard raises passes through."""
        name, began = question_name(question), self._clock()
        self.questions[name] += 1
        try:
            answer = await self._guard.ask(question)
        except Exception:
            self.failures[name] += 1
            raise
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + self._clock() - began
        if isinstance(answer, Refused):
            self.refusals[name] += 1
            self._refused(name, question, answer.reason)
        return answer


def question_name(question: Question) -> str:
    """The name of a question's type as a word of the log: "sign-octets"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(question).__name__).lower()
