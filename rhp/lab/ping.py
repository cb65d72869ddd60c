"""ping and ping6, with their answers as numbers."""

import math
import re
import time
from dataclasses import dataclass

from rhp.lab.namespace import Namespace
from rhp.lab.programs import find

SENT = re.compile(r"(\d+) packets transmitted")
ANSWER = re.compile(r"icmp_seq=(\d+) (?:ttl|hlim)=\d+(?: time=([\d.]+) ms)?")
LINGER_SECONDS = 5.0
TRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class PingResult:
    """How many were sent and answered, and the round trips in milliseconds, in order."""

    sent: int
    received: int
    times_ms: tuple[float, ...]

    @property
    def median_ms(self) -> float | None:
        """The median round trip in milliseconds; None when nothing came back."""
        return sorted(self.times_ms)[len(self.times_ms) // 2] if self.times_ms else None


def ping(
    namespace: Namespace,
    address: str,
    *,
    count: int = 3,
    interval: float = 0.2,
    at_once: bool = False,
    wait: float = 1.0,
    size: int = 56,
    fragment: bool = True,
    source: str | None = None,
) -> PingResult:
    """Ping `address` from inside `namespace`; `size` is the payload in bytes, `wait` the patience for each in seconds.

    By itself ping waits for the last answer only as long as `interval`, or twice the slowest of the others. So it goes
    on until as many are answered, or `wait` is over, and what it sends beyond `count` is not looked at. Who does not
    care when the packets leave sends them `at_once`.

    With `fragment` off the packets carry DF, and one that does not fit is not sent. Losing every packet is an answer,
    not an error; raises `ProgramMissing`, or `CommandFailed` when ping itself hangs.
    """
    interval = LINGER_SECONDS if at_once else interval
    command = [find("ping"), "-n", "-c", str(count), "-i", str(interval), "-W", str(wait), "-s", str(size)]
    if at_once:
        command += ["-l", str(count)]
    elif count > 1:
        command += ["-w", str(math.ceil(count * interval + wait))]
    command += [] if fragment else ["-M", "do"]
    command += ["-I", source] if source else []
    said = namespace.run([*command, address], timeout=count * (interval + wait) + 30, check=False)
    sent = SENT.search(said)
    answers = {int(number): time for number, time in reversed(ANSWER.findall(said)) if int(number) <= count}
    times = tuple(float(answers[number]) for number in sorted(answers) if answers[number])
    return PingResult(min(int(sent[1]), count) if sent else 0, len(answers), times)


def reaches(namespace: Namespace, address: str, *, tries: int = 10, source: str | None = None) -> bool:
    """True as soon as one ping comes back; each try takes half a second, also one that is refused at once."""
    for _ in range(tries):
        began = time.monotonic()
        if ping(namespace, address, count=1, wait=TRY_SECONDS, source=source).received:
            return True
        # Without a route or an address yet, ping ends at once: all the tries would be over before it is there.
        time.sleep(max(0.0, began + TRY_SECONDS - time.monotonic()))
    return False
